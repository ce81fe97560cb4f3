"""Checks of values and gradients against the float64 reference, and of the shapes that are taken."""

from dataclasses import replace

import torch

from gatebench.conformance.kit import NotApplicable, check, require
from gatebench.conformance.trial import ODD, Bound, Trial
from gatebench.contract import Unsupported
from gatebench.measure.subject import Tensors, differentiable
from gatebench.shape import Shape

TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float64": 1e-9}  # of comparisons of an implementation with itself


def close(trial: Trial, found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Say whether two results of one implementation agree to its dtype's rounding, with room for another order."""
    scale = max(1.0, float(expected.detach().abs().max()) if expected.numel() else 0.0)
    return torch.allclose(
        found.detach().double(), expected.detach().double(), rtol=0, atol=TOLERANCE[trial.dtype] * scale
    )


def _values(dtype: str, gradients: bool):
    def run(trial: Trial) -> str:
        if dtype not in trial.entry.dtypes:
            raise NotApplicable(f"does not take {dtype}")
        shapes = trial.shapes(ODD) if trial.shape.hidden_size == 7 else iter((trial.shape,))
        worst = max(trial.agree(trial.case(shape=shape, dtype=dtype), gradients=gradients) for shape in shapes)
        return f"largest error ratio {worst:.2g}"

    return run


for _dtype in ("float32", "bfloat16", "float64"):
    check(
        f"values-{_dtype}",
        f"Outputs agree with the float64 reference in {_dtype}.",
        "Compare one step by hand; then look for a lower dtype inside, or an output that is never written.",
        fast=_dtype == "float32",
    )(_values(_dtype, gradients=False))
    check(
        f"gradients-{_dtype}",
        f"Gradients of every input and of every gate's block agree with the float64 reference in {_dtype}.",
        "Where outputs are right, the backward is not: the derivative of an activation, a factor that the product rule "
        "gives, the order in which gradients are returned, a sum over steps or rows that is missing.",
        fast=_dtype == "float32",
        gradients=True,
    )(_values(_dtype, gradients=True))


@check(
    "gradcheck",
    "torch.autograd.gradcheck passes in float64: gradients are those of the function that is computed.",
    "Gradients that agree with the reference and fail here belong to another function than the outputs.",
    gradients=True,
)
def gradcheck(trial: Trial) -> None:
    if "float64" not in trial.entry.dtypes:
        raise NotApplicable("does not take float64")
    if trial.gate.surrogate_gradient:
        raise NotApplicable("the gate's gradient is a surrogate")
    case = trial.case(shape=replace(trial.shape, batch=2, seq_len=3), dtype="float64")
    bound, inputs = trial.bind(case), trial.inputs(case)
    leaves, moved = bound.prepared.leaves, differentiable(inputs)
    flat = [value.requires_grad_(True) for value in (*moved.values(), *leaves.values())]

    def function(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = inputs | dict(zip(moved, values[: len(moved)], strict=True))
        bound.prepared = replace(bound.prepared, leaves=dict(zip(leaves, values[len(moved) :], strict=True)))
        outputs = bound(given)
        return tuple(outputs[name] for name in trial.output_names(case))

    try:
        # fast_mode compares one random direction: the cost no longer grows with the number of elements.
        torch.autograd.gradcheck(function, flat, eps=1e-6, atol=1e-5, rtol=1e-3, fast_mode=True, check_undefined_grad=False)  # fmt: skip
    except RuntimeError as error:
        require(False, " ".join(str(error).split())[:200])


@check(
    "gradients-at-the-first-step",
    "The gradient of the last step alone reaches the first input and the initial state.",
    "A backward that is truncated, or detached between steps or chunks, loses it.",
    gradients=True,
    time=True,
)
def gradients_at_the_first_step(trial: Trial) -> None:
    _one_step_upstream(trial, -1)


@check(
    "gradients-of-a-middle-step",
    "An upstream gradient at one step in the middle gives the reference's gradients, and none to later inputs.",
    "A backward that adds upstream gradients at the wrong step, or only at the last one, fails here.",
    gradients=True,
    time=True,
)
def gradients_of_a_middle_step(trial: Trial) -> None:
    _one_step_upstream(trial, trial.shape.seq_len // 2)


def _one_step_upstream(trial: Trial, step: int) -> None:
    case = trial.case(dtype="float64" if "float64" in trial.entry.dtypes else None)
    bound, inputs, params = trial.bind(case), trial.inputs(case), trial.params(case)
    outputs = bound(inputs)
    upstream = torch.zeros_like(outputs["output"])
    upstream[step] = torch.randn_like(upstream[step])
    found = bound.gradients(outputs, inputs, {"output": upstream})
    expected = reference_gradients(trial, params, inputs, {"output": upstream})
    for name, gradient in expected.items():
        scale = float(gradient.abs().max())
        limit = (1e-10 if case.dtype == "float64" else TOLERANCE[case.dtype]) * scale
        off = float((found[name].double() - gradient).abs().max())
        require(off <= limit, f"gradient of {name} is off by {off:.2g}, where {scale:.2g} is its largest value")


def reference_gradients(trial: Trial, params: Tensors, inputs: Tensors, upstream: Tensors) -> Tensors:
    """Return the float64 reference's gradients of inputs and parameters for upstream gradients of some outputs."""
    given = differentiable(inputs)
    leaves = {name: value.detach().double().requires_grad_(True) for name, value in {**given, **params}.items()}
    given = {name: leaves.get(name, value) for name, value in inputs.items()}
    outputs = trial.gate.forward({name: leaves[name] for name in params}, given)
    found = torch.autograd.grad(
        [outputs[name] for name in upstream], list(leaves.values()), [value.double() for value in upstream.values()],
        allow_unused=True, materialize_grads=True,
    )  # fmt: skip
    return dict(zip(leaves, found, strict=True))


@check(
    "upstream-is-used",
    "Gradients are linear in the upstream gradient: twice the upstream gives twice the gradient, none gives zero.",
    "A backward that assumes an upstream gradient of ones, or keeps one from an earlier call, fails here.",
    fast=True,
    gradients=True,
)
def upstream_is_used(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    upstream = trial.cotangents(case, bound(inputs))

    def gradients(factor: float) -> Tensors:
        return bound.gradients(bound(inputs), inputs, {name: factor * value for name, value in upstream.items()})

    once, twice, none = gradients(1.0), gradients(2.0), gradients(0.0)
    for name, gradient in once.items():
        require(close(trial, twice[name], 2 * gradient), f"twice the upstream gradient does not double that of {name}")
        require(not none[name].any(), f"an upstream gradient of zeros leaves {name} a gradient")


@check(
    "gradients-of-the-final-state",
    "Upstream gradients of the final state alone give the reference's gradients.",
    "A backward that starts from `output` only forgets the paths through h and c.",
    gradients=True,
    time=True,
)
def gradients_of_the_final_state(trial: Trial) -> None:
    case = trial.case()
    bound, inputs, params = trial.bind(case), trial.inputs(case), trial.params(case)
    outputs = bound(inputs)
    upstream = {name: value for name, value in trial.cotangents(case, outputs).items() if name != "output"}
    found = bound.gradients(outputs, inputs, upstream)
    for name, gradient in reference_gradients(trial, params, inputs, upstream).items():
        require(close(trial, found[name], gradient), f"gradient of {name} is off")


@check(
    "every-gradient-flows",
    "Every input and every parameter block has a gradient that is not zero.",
    "A tensor that is detached, converted through numpy, or left out of an autograd.Function's backward has none.",
    fast=True,
    gradients=True,
)
def every_gradient_flows(trial: Trial) -> None:
    case = trial.case()
    bound, inputs, params = trial.bind(case), trial.inputs(case), trial.params(case)
    outputs = bound(inputs)
    cotangents = trial.cotangents(case, outputs)
    found = bound.gradients(outputs, inputs, cotangents)
    for name, gradient in reference_gradients(trial, params, inputs, cotangents).items():
        letters = trial.gate.blocks(name) if name in params else ()
        pairs = zip(found[name].chunk(max(1, len(letters))), gradient.chunk(max(1, len(letters))), strict=True)
        for letter, (mine, theirs) in zip(letters or ("",), pairs, strict=True):
            what = f"{name}, block {letter}" if letter else name
            require(bool(mine.any()) or not theirs.any(), f"the gradient of {what} is zero everywhere")


@check(
    "forward-without-gradients",
    "Under torch.no_grad the outputs are the same, and need no gradient.",
    "Another path for inference is fine as long as it computes the same.",
)
def forward_without_gradients(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    lean, full = bound.without_gradients(inputs), bound(inputs)
    for name in trial.output_names(case):
        require(not lean[name].requires_grad, f"{name} requires a gradient under no_grad")
        require(close(trial, lean[name], full[name]), f"{name} differs between no_grad and a call with gradients")


# --- shapes


def _at(trial: Trial, shape: Shape) -> str:
    try:
        return f"error ratio {trial.agree(trial.case(shape=shape)):.2g}"
    except Unsupported as refusal:
        raise NotApplicable(f"refused: {refusal}") from refusal


@check("one-step", "A sequence of one step is right, or refused with gatebench.Unsupported.", "Loops that start at 1.")
def one_step(trial: Trial) -> str:
    return _at(trial, replace(trial.shape, seq_len=1))


@check("one-row", "A batch of one row is right, or refused.", "squeeze() drops the batch; broadcasting hides it.")
def one_row(trial: Trial) -> str:
    return _at(trial, replace(trial.shape, batch=1))


@check(
    "many-steps",
    "A long sequence is right: 257 steps, one more than a power of two.",
    "Chunks that do not divide T; tables or buffers of a fixed length.",
)
def many_steps(trial: Trial) -> str:
    return _at(trial, replace(trial.shape, seq_len=257, batch=2))


@check(
    "widths-that-differ",
    "Input and hidden widths may differ, either way round, or are refused.",
    "A kernel that takes I for H reads beyond its rows.",
)
def widths_that_differ(trial: Trial) -> None:
    for shape in trial.shapes((Shape(batch=2, seq_len=3, input_size=3, hidden_size=19), Shape(batch=2, seq_len=3, input_size=19, hidden_size=3))):  # fmt: skip
        trial.agree(trial.case(shape=shape))


@check(
    "empty-batch",
    "A batch of no rows gives empty outputs of the right shape, or gatebench.Unsupported.",
    "Raise gatebench.Unsupported('an empty batch') where a kernel cannot be launched on nothing.",
)
def empty_batch(trial: Trial) -> str | None:
    case = trial.case()
    axis = 1 if trial.has_time else 0
    inputs = {
        name: value.narrow(axis if value.dim() > 2 else 0, 0, 0).clone() for name, value in trial.inputs(case).items()
    }
    try:
        outputs = trial.bind(case).without_gradients(inputs)
    except Unsupported as refusal:
        return f"refused: {refusal}"
    expected = trial.gate.forward(trial.params(case), inputs)
    for name in trial.output_names(case):
        found = tuple(outputs[name].shape)
        require(found == tuple(expected[name].shape), f"{name} has shape {found}, expected {tuple(expected[name].shape)}")  # fmt: skip
    return None


@check(
    "shapes-take-turns",
    "Calls with two shapes in turn are right each time.",
    "Buffers, plans or results kept from the last shape.",
)
def shapes_take_turns(trial: Trial) -> None:
    cases = [trial.case(), trial.case(shape=replace(trial.shape, seq_len=trial.shape.seq_len + 3))]
    bounds: list[Bound] = [trial.bind(case) for case in cases]
    for _ in range(2):
        for case, bound in zip(cases, bounds, strict=True):
            trial.agree(case, bound)

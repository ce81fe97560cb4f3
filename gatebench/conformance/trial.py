"""One implementation on trial for one gate: it is bound to weights, called and differentiated, beside the reference."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from gatebench.cases import Case
from gatebench.conformance.kit import CheckFailed, NotApplicable
from gatebench.contract import Failure, Implementation, Unsupported
from gatebench.gates import Gate
from gatebench.measure import subject as subjects
from gatebench.measure.reference import Reference, compute, named_tensors, worst_eager
from gatebench.measure.subject import Tensors
from gatebench.measure.tolerance import RELATIVE_LIMIT, TensorError, judge, largest_value
from gatebench.options import OptionValue
from gatebench.shape import Shape

SMALL = Shape(batch=3, seq_len=6, input_size=5, hidden_size=7)
# Shapes for implementations that refuse the small one, e.g. because a width must be a multiple of their tile.
ROUND = tuple(Shape(batch=4, seq_len=6, input_size=width, hidden_size=width) for width in (8, 16, 32, 64, 128))
ODD = (
    Shape(batch=1, seq_len=3, input_size=1, hidden_size=1),
    Shape(batch=2, seq_len=9, input_size=7, hidden_size=5),
    Shape(batch=3, seq_len=4, input_size=2, hidden_size=33),
)
FINEST = ("float64", "float32", "bfloat16")
_MORE_DRAWS = 8  # of eager's error before anything is called wrong: in small tensors one draw of it is luck


@dataclass(frozen=True)
class Trial:
    """An implementation with its options, a gate with its options bound, a device and a number of threads."""

    entry: Implementation
    gate: Gate
    device: str = "cpu"
    threads: int = 1
    plugins: tuple[str, ...] = ()  # files that a fresh process must import to know the implementation
    options: tuple[tuple[str, OptionValue], ...] = ()  # of the implementation

    @property
    def has_time(self) -> bool:
        """Say whether the gate carries a state from step to step."""
        return bool(self.gate.state(SMALL))

    @property
    def differentiates(self) -> bool:
        """Say whether the implementation claims gradients."""
        return "forward_backward" in self.entry.modes

    @cached_property
    def dtype(self) -> str:
        """The dtype of checks that are about something else: float32 where it is taken."""
        return next((name for name in ("float32", "bfloat16", "float64") if name in self.entry.dtypes), "float32")

    @cached_property
    def shape(self) -> Shape:
        """A small shape that the implementation takes; raises NotApplicable where it takes none that is tried."""
        reason = ""
        for shape in (SMALL, *ROUND):
            try:
                self.bind(self.case(shape=shape))(self.inputs(self.case(shape=shape)))
            except Unsupported as refusal:
                reason = str(refusal)
                continue
            return shape
        raise NotApplicable(f"no shape that was tried is taken: {reason}")

    def case(self, shape: Shape | None = None, dtype: str | None = None, seed: int = 0) -> Case:
        """Return a case of the trial."""
        mode = "forward_backward" if self.differentiates else "forward"
        options = tuple(sorted((k, v) for k, v in self.gate.option_values if v != self.gate.options[k].default))
        return Case(
            gate=self.gate.name, implementation=self.entry.name, shape=shape or self.shape, dtype=dtype or self.dtype,
            device=self.device, threads=self.threads, mode=mode, seed=seed, gate_options=options,
            implementation_options=self.options,
        )  # fmt: skip

    def params(self, case: Case) -> Tensors:
        """Draw the case's parameters, rounded to its dtype."""
        return {name: subjects.place(value, case) for name, value in self.gate.draw(case.shape, case.seed).items()}

    def inputs(self, case: Case, index: int = 0) -> Tensors:
        """Draw the case's inputs, rounded to its dtype; another index gives other values."""
        return subjects.draw_problem(self.gate, case, index)

    def cotangents(self, case: Case, outputs: Mapping[str, Tensor]) -> Tensors:
        """Draw one upstream gradient per output."""
        return subjects.draw_cotangents(case, {name: outputs[name] for name in self.output_names(case)})

    def output_names(self, case: Case) -> tuple[str, ...]:
        """Return what the implementation must return: output, and the final state's parts."""
        return ("output", *self.gate.state(case.shape))

    def bind(self, case: Case, params: Tensors | None = None) -> "Bound":
        """Let the implementation prepare for a case with these weights; raises Unsupported where it refuses."""
        return Bound(self, case, self.params(case) if params is None else params)

    def shapes(self, shapes: Iterable[Shape]) -> Iterator[Shape]:
        """Yield the shapes that are taken; raises NotApplicable where all are refused."""
        refusals, taken = [], 0
        for shape in shapes:
            try:
                self.bind(self.case(shape=shape))(self.inputs(self.case(shape=shape)))
            except Unsupported as refusal:
                refusals.append(str(refusal))
                continue
            taken += 1
            yield shape
        if not taken:
            raise NotApplicable(f"refused: {refusals[0] if refusals else 'no shape'}")

    # --- judging against the reference

    def agree(
        self, case: Case, bound: "Bound | None" = None, inputs: Tensors | None = None, params: Tensors | None = None,
        gradients: bool | None = None,
    ) -> float:  # fmt: skip
        """Compare outputs, and gradients where claimed, with float64; returns the largest error ratio.

        Raises CheckFailed with the worst tensor, its gate block and the first step that differs.
        """
        params = self.params(case) if params is None else params
        inputs = self.inputs(case) if inputs is None else inputs
        bound = bound or self.bind(case, params)
        wanted = self.differentiates if gradients is None else gradients
        outputs = bound(inputs) if wanted else bound.without_gradients(inputs)
        check_names(self, case, outputs)
        cotangents = self.cotangents(case, outputs) if wanted else {}
        found_gradients = bound.gradients(outputs, inputs, cotangents) if wanted else {}
        found = named_tensors(self.gate, {name: value.detach() for name, value in outputs.items()}, found_gradients)
        try:
            return self.judge(case, found, compute(self.gate, params, inputs, cotangents), cotangents)
        except Failure as failure:
            raise CheckFailed(failure.reason) from failure

    def judge(
        self, case: Case, found: Mapping[str, Tensor], reference: Reference, cotangents: Mapping[str, Tensor]
    ) -> float:
        """Judge named tensors; before one is called wrong, eager's error is taken over further draws of the problem."""
        missing = [name for name in reference.tensors if name not in found]
        if missing:
            raise CheckFailed(f"{missing[0]} is missing, or has another shape than the reference")
        errors = self._errors(case, found, reference)
        if not all(error.passed for error in errors):
            more = [
                compute(self.gate, self.params(other), self.inputs(other, index), cotangents)
                for index, other in ((number, replace(case, seed=case.seed + number)) for number in range(_MORE_DRAWS))
            ]
            reference = Reference(reference.tensors, worst_eager([reference, *more]))
            errors = self._errors(case, found, reference)
        failed = [error for error in errors if not (error.passed or ill_conditioned(error, case, reference))]
        if failed:
            raise CheckFailed(self._say(failed, found, reference))
        return max(error.error_ratio for error in errors)

    def _errors(self, case: Case, found: Mapping[str, Tensor], reference: Reference) -> list[TensorError]:
        return [
            judge(name, found[name], value, reference.eager_errors[name], case.dtype, self.entry.error_limit)
            for name, value in reference.tensors.items()
        ]

    def _say(self, failed: list[TensorError], found: Mapping[str, Tensor], reference: Reference) -> str:
        """Describe the worst failure, one with a time axis first: it says at which step the trouble begins."""
        whole = [error for error in failed if "@" not in error.tensor]
        timed = [error for error in whole if self.gate.time_axis(error.tensor.removeprefix("grad:")) is not None]
        blocks = [error for error in whole if "/" in error.tensor]
        worst = max(timed or whole or failed, key=lambda error: error.error_ratio)
        text = self._describe(worst, found[worst.tensor], reference.tensors[worst.tensor])
        if blocks and worst not in blocks:
            name, _, block = max(blocks, key=lambda error: error.error_ratio).tensor.partition("/")
            text += f"; worst gate block: {block} of {name.removeprefix('grad:')}"
        return text

    def _describe(self, error: TensorError, found: Tensor, reference: Tensor) -> str:
        """Say what is wrong: the tensor, its gate block, the step at which it first differs, by how much."""
        if found.shape != reference.shape:
            return f"{error.tensor} has shape {tuple(found.shape)}, expected {tuple(reference.shape)}"
        name, _, block = error.tensor.removeprefix("grad:").partition("/")
        what = f"gradient of {name}" if error.tensor.startswith("grad:") else name
        what += f", block {block}" if block else ""
        at = first_step(self.gate, name, found, reference, error)
        what += f", first at step t={at}" if at is not None else ""
        return (
            f"{what}: error ratio {error.error_ratio:.3g} (limit {error.limit_ratio:g}), "
            f"relative error {error.relative_error:.2g}, {error.dtype}"
        )


class Bound:
    """An implementation bound to a case and weights; takes and returns tensors in the gate's own layouts."""

    def __init__(self, trial: Trial, case: Case, params: Tensors) -> None:
        self.trial, self.case = trial, case
        self.prepared = trial.entry.prepare(trial.gate, case, {name: value.clone() for name, value in params.items()})
        self.swapped = trial.entry.layout == "batch_first"
        if trial.differentiates:
            for leaf in self.prepared.leaves.values():
                leaf.requires_grad_(True)

    def __call__(self, inputs: Tensors) -> dict[str, Tensor]:
        """Call forward; inputs that require no gradient yet do so where the implementation differentiates."""
        if self.trial.differentiates and torch.is_grad_enabled():
            for value in subjects.differentiable(inputs).values():
                if value.is_leaf:
                    value.requires_grad_(True)
        given = subjects.swap_time_and_batch(self.trial.gate, inputs) if self.swapped else inputs
        outputs = self.prepared.forward(self.prepared.leaves, given)
        if not isinstance(outputs, Mapping):
            names = ", ".join(self.trial.output_names(self.case))
            raise CheckFailed(f"returns a {type(outputs).__name__}; return a dict of tensors: {names}")
        outputs = dict(outputs)
        subjects.synchronize(self.case.device)
        if self.swapped:
            axes = {name: self.trial.gate.time_axis(name) for name in outputs}
            outputs = {n: v.transpose(0, 1) if axes[n] == 0 and v.dim() > 1 else v for n, v in outputs.items()}
        return outputs

    def without_gradients(self, inputs: Tensors) -> dict[str, Tensor]:
        """Call forward as mode `forward` does."""
        with torch.no_grad():
            return self(inputs)

    def gradients(self, outputs: Mapping[str, Tensor], inputs: Tensors, cotangents: Mapping[str, Tensor]) -> Tensors:
        """Differentiate outputs; returns gradients of inputs and parameters by the gate's names. Cotangents choose."""
        detached = [name for name in cotangents if not outputs[name].requires_grad]
        if detached:
            raise CheckFailed(f"{', '.join(detached)} cannot be differentiated: autograd does not follow it")
        inputs, leaves = subjects.differentiable(inputs), self.prepared.leaves
        found = torch.autograd.grad(
            [outputs[name] for name in cotangents], [*inputs.values(), *leaves.values()], list(cotangents.values()),
            allow_unused=True, materialize_grads=True,
        )  # fmt: skip
        subjects.synchronize(self.case.device)
        by_input = dict(zip(inputs, found[: len(inputs)], strict=True))
        return {**by_input, **self.prepared.canonical(dict(zip(leaves, found[len(inputs) :], strict=True)))}


def ill_conditioned(error: TensorError, case: Case, reference: Reference) -> bool:
    """Say whether a tensor is no worse than eager's, which in this dtype is off by more than the limit itself."""
    limit = RELATIVE_LIMIT[case.dtype] * largest_value(reference.tensors[error.tensor])
    return error.error_ratio <= error.limit_ratio and reference.eager_errors[error.tensor] > limit


def check_names(trial: Trial, case: Case, outputs: Mapping[str, Tensor]) -> None:
    """Raise CheckFailed where an output is missing or is no tensor."""
    expected = trial.output_names(case)
    for name in expected:
        if not isinstance(outputs.get(name), Tensor):
            raise CheckFailed(f"returns {', '.join(outputs) or 'nothing'}; expected {', '.join(expected)}")


def first_step(gate: Gate, name: str, found: Tensor, reference: Tensor, error: TensorError) -> int | None:
    """Return the first step at which a tensor with a time axis is off by more than a tenth of its worst error."""
    axis = gate.time_axis(name)
    if axis is None or found.dim() <= axis or "@" in error.tensor:
        return None
    off = (found.detach().double() - reference).abs().nan_to_num(nan=torch.inf)
    per_step = off.movedim(axis, 0).flatten(1).amax(dim=1)
    return int((per_step > 0.1 * per_step.max()).nonzero()[0])

"""Checks that it is this gate and not its neighbour: the reset form, what z keeps, the order of the gate blocks."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from gatebench.conformance.kit import CheckFailed, NotApplicable, check
from gatebench.conformance.trial import ROUND, Trial
from gatebench.conformance.values import close
from gatebench.contract import Prepared, Unsupported
from gatebench.errors import UserError
from gatebench.gates import Gate
from gatebench.measure.failures import classify
from gatebench.measure.subject import Tensors
from gatebench.options import Option, OptionValue
from gatebench.shape import Shape


def _outputs(trial: Trial) -> tuple[Tensors, Tensors, Tensor]:
    case = trial.case()
    params, inputs = trial.params(case), trial.inputs(case)
    return params, inputs, trial.bind(case, params).without_gradients(inputs)["output"]


def _is(trial: Trial, found: Tensor, params: Tensors, inputs: Tensors) -> bool:
    """Say whether the outputs are the gate's own with these parameters."""
    expected = trial.gate.forward(params, inputs)["output"]
    return found.shape == expected.shape and close(trial, found, expected)


@check(
    "gate-order",
    "The blocks along a weight's first axis are in the gate's order.",
    "Frameworks differ: torch i, f, g, o and r, z, n; ONNX i, o, f, c and z, r, h; Keras i, f, c, o and z, r, h.",
    fast=True,
    explains=True,
)
def gate_order(trial: Trial) -> None:
    params, inputs, found = _outputs(trial)
    letters = next((trial.gate.blocks(name) for name in params if trial.gate.blocks(name)), ())
    if not letters:
        raise NotApplicable("the gate has no blocks")
    if _is(trial, found, params, inputs):
        return
    for order in itertools.permutations(range(len(letters))):
        permuted = {name: _permute(trial, name, value, order) for name, value in params.items()}
        if order != tuple(range(len(letters))) and _is(trial, found, permuted, inputs):
            raise CheckFailed(f"reads the blocks as {', '.join(letters[number] for number in order)}, not {', '.join(letters)}")  # fmt: skip
    # Another mistake: the checks of values name it.


def _permute(trial: Trial, name: str, value: Tensor, order: tuple[int, ...]) -> Tensor:
    blocks = len(trial.gate.blocks(name))
    if blocks != len(order):
        return value
    parts = value.chunk(blocks)
    placed: list[Tensor] = list(parts)
    for number, source in enumerate(order):
        placed[source] = parts[number]
    return torch.cat(placed)


@check(
    "halves-in-order",
    "The value and the gate are not taken for one another.",
    "F.glu gates by the second half; many SwiGLU layers activate the first.",
    fast=True,
    explains=True,
)
def halves_in_order(trial: Trial) -> None:
    params, inputs, found = _outputs(trial)
    if {"value", "gate"} <= set(inputs):
        swapped = {"value": inputs["gate"], "gate": inputs["value"]}, params
    elif {"W", "V"} <= set(params):
        swapped = dict(inputs), {**params, "W": params["V"], "V": params["W"]}
    else:
        raise NotApplicable("the gate has no value and gate of one shape")
    if not _is(trial, found, params, inputs) and _is(trial, found, swapped[1], swapped[0]):
        raise CheckFailed("value and gate are swapped")


@check(
    "reset-form",
    "The reset gate acts where this GRU has it: after the recurrent product, r ⊙ (U h + b), or before it, U (r ⊙ h).",
    "torch, cuDNN and Keras' default reset after; Wikipedia, ONNX's default and the first paper's last version before.",
    fast=True,
    explains=True,
)
def reset_form(trial: Trial) -> None:
    _other_gru(trial, "reset", "resets {theirs} the recurrent product, and this gate resets {mine} it")


@check(
    "what-z-keeps",
    "The update gate z keeps the old state, h = z ⊙ h' + (1 - z) ⊙ n, or adds the new one, as this gate has it.",
    "Lecture notes and Haiku add; torch, cuDNN, Keras, ONNX and Flax keep.",
    fast=True,
    explains=True,
)
def what_z_keeps(trial: Trial) -> None:
    _other_gru(trial, "z", "lets z {theirs}, and in this gate it must {mine}")


_GRU_FORMS = {"gru": ("after", "keep"), "gru_reset_before": ("before", "keep"), "gru_textbook": ("before", "add")}


def _other_gru(trial: Trial, differs: str, message: str) -> None:
    """Fail where the outputs are another form's of the GRU that differs in `differs`: reset or z."""
    if trial.gate.name not in _GRU_FORMS:
        raise NotApplicable("not a GRU")
    params, inputs, found = _outputs(trial)
    if _is(trial, found, params, inputs):
        return
    mine: dict[str, str] = dict(zip(("reset", "z"), _GRU_FORMS[trial.gate.name], strict=True))
    for theirs in _forms():
        if theirs[differs] != mine[differs] and close(trial, found, _gru(params, inputs, **theirs)):
            raise CheckFailed(message.format(theirs=theirs[differs], mine=mine[differs]))


def _forms() -> Iterator[dict[str, str]]:
    for reset, z in itertools.product(("after", "before"), ("keep", "add")):
        yield {"reset": reset, "z": z}


def _gru(params: Tensors, inputs: Tensors, reset: str, z: str) -> Tensor:
    """Compute a GRU of any form from torch's parameters; its output (T, B, H)."""
    weight_hh, bias_hh = params["weight_hh"], params["bias_hh"]
    h, outputs = inputs["h0"], []
    U_r, U_z, U_n = weight_hh.chunk(3)
    b_r, b_z, b_n = bias_hh.chunk(3)
    for x_t in inputs["x"]:
        u_r, u_z, u_n = (x_t @ params["weight_ih"].T + params["bias_ih"]).chunk(3, dim=1)
        r, update = torch.sigmoid(u_r + h @ U_r.T + b_r), torch.sigmoid(u_z + h @ U_z.T + b_z)
        product = r * (h @ U_n.T + b_n) if reset == "after" else (r * h) @ U_n.T + b_n
        n = torch.tanh(u_n + product)
        h = update * h + (1 - update) * n if z == "keep" else (1 - update) * h + update * n
        outputs.append(h)
    return torch.stack(outputs)


@check(
    "other-options",
    "The gate's options away from their defaults are computed right, or refused with Unsupported.",
    "An option that is never read: look at gate[...] for each of gate.options.",
)
def other_options(trial: Trial) -> str:
    if not trial.gate.options:
        raise NotApplicable("the gate has no options")
    shapes = tuple(dict.fromkeys((trial.shape, *ROUND)))
    ended: dict[str, list[str]] = {"does": [], "refuses": [], "not told apart:": [], "the gate takes no": []}
    for name, option in trial.gate.options.items():
        for values in _others(option, trial.gate[name]):
            variant = _telling(trial, name, values, shapes)
            if variant is None:
                ended["the gate takes no"].append(f"{name}={values[0]}")
                continue
            try:
                variant.trial.agree(variant.trial.case(shape=variant.shape))
            except Unsupported:
                ended["refuses"].append(variant.words)
            except CheckFailed as failure:
                raise CheckFailed(f"{variant.words}: {failure}") from failure
            except Exception as error:  # the code under test may raise anything
                raise CheckFailed(f"{variant.words}: {classify(error).reason}") from error
            else:
                ended["does" if variant.tells else "not told apart:"].append(variant.words)
    return "; ".join(f"{what} {', '.join(words)}" for what, words in ended.items() if words)


_SHAPES = 2  # of those that the gate takes: an option may mean something only where two widths are equal


class Variant(NamedTuple):
    """A trial of the gate with one option changed, at a shape that the gate takes; `tells`: ignoring it would show."""

    words: str
    trial: Trial
    shape: Shape
    tells: bool


def _telling(trial: Trial, name: str, values: list[OptionValue], shapes: tuple[Shape, ...]) -> Variant | None:
    """Return the first of these values of an option that tells, else the first that the gate takes, else None."""
    first = None
    for variant in _variants(trial, name, values, shapes):
        if variant.tells:
            return variant
        first = first or variant
    return first


def _variants(trial: Trial, name: str, values: list[OptionValue], shapes: tuple[Shape, ...]) -> Iterator[Variant]:
    """Change the option alone, then beside each other option: a width means something in two dimensions only."""
    now = dict(trial.gate.option_values)
    others = [
        {key: group[0]}
        for key, option in trial.gate.options.items()
        if key != name
        for group in _others(option, now[key])
    ]
    for beside, nth, value in itertools.product(({}, *others), range(_SHAPES), values):
        words = " with ".join(f"{key}={given}" for key, given in {name: value, **beside}.items())
        try:
            without, other = (type(trial.gate)(**(now | beside | change)) for change in ({}, {name: value}))
        except (UserError, Unsupported):  # the gate does not take the two together
            continue
        except Exception as error:  # so may a plugin's gate
            raise CheckFailed(f"{words}: {classify(error).reason}") from error
        for shape in [shape for shape in shapes if _takes(other, shape)][nth : nth + 1]:
            variant = replace(trial, gate=other)
            yield Variant(words, variant, shape, _tells(variant, without, shape))


def _takes(gate: Gate, shape: Shape) -> bool:
    try:
        gate.check_shape(shape)
    except Unsupported:
        return False
    return True


def _tells(trial: Trial, without: Gate, shape: Shape) -> bool:
    """Say whether the gate with the option has other tensors than without it, or other values from the same tensors."""
    sizes = [(gate.parameters(shape), gate.input_shapes(shape), gate.state(shape)) for gate in (trial.gate, without)]
    if sizes[0] != sizes[1]:
        return True
    entry = replace(
        trial.entry, prepare=lambda _gate, _case, params: Prepared(without.forward, params), layout="native"
    )
    ignoring = replace(trial, entry=entry)
    try:
        ignoring.agree(ignoring.case(shape=shape))
    except Exception:  # wrong, or lost with the tensors: both tell
        return True
    return False


def _others(option: Option, now: OptionValue) -> list[list[OptionValue]]:
    """Return what to try besides the value it has: each other choice, and one number out of several."""
    if option.type not in (int, float):
        return [[value] for value in option.range if value != now]
    low, high = (float(end) for end in option.range)
    near = (2 * float(now), float(now) + 1, (float(now) + low) / 2, low, high)
    inside = dict.fromkeys(option.type(value) for value in near if low <= value <= high)
    return [[value for value in inside if value != now]]

"""Checks that it is this gate and not its neighbour: the reset form, what z keeps, the order of the gate blocks."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from gatebench.conformance.kit import CheckFailed, NotApplicable, check
from gatebench.conformance.trial import Trial
from gatebench.conformance.values import close
from gatebench.contract import Unsupported
from gatebench.measure.failures import classify
from gatebench.measure.subject import Tensors
from gatebench.options import Option, OptionValue


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
)
def reset_form(trial: Trial) -> None:
    _other_gru(trial, "reset", "resets {theirs} the recurrent product, and this gate resets {mine} it")


@check(
    "what-z-keeps",
    "The update gate z keeps the old state, h = z ⊙ h' + (1 - z) ⊙ n, or adds the new one, as this gate has it.",
    "Lecture notes and Haiku add; torch, cuDNN, Keras, ONNX and Flax keep.",
    fast=True,
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
    served, refused = [], []
    for name, option in trial.gate.options.items():
        for value in _others(option, trial.gate[name]):
            words = f"{name}={value}"
            other = replace(trial, gate=type(trial.gate)(**{**dict(trial.gate.option_values), name: value}))
            try:
                other.agree(other.case(shape=trial.shape))
            except Unsupported:
                refused.append(words)
                continue
            except CheckFailed as failure:
                raise CheckFailed(f"{words}: {failure}") from failure
            except Exception as error:  # the code under test may raise anything
                raise CheckFailed(f"{words}: {classify(error).reason}") from error
            served.append(words)
    return "; ".join(f"{what} {', '.join(words)}" for what, words in (("does", served), ("refuses", refused)) if words)


def _others(option: Option, now: OptionValue) -> list[OptionValue]:
    """Return values that an option may have besides the one it has: all choices, one other number."""
    if option.type not in (int, float):
        return [value for value in option.range if value != now]
    low, high = (float(end) for end in option.range)
    near = (2 * float(now), float(now) + 1, (float(now) + low) / 2, low, high)
    inside = (option.type(value) for value in near if low <= value <= high)
    return list(itertools.islice((value for value in inside if value != now), 1))

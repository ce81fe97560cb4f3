"""Checks at the edges of the number range: saturated gates, denormals, NaN and infinity."""

import math

import torch
from torch import Tensor

from gatebench.conformance.kit import check, require
from gatebench.conformance.trial import Trial
from gatebench.conformance.values import TOLERANCE, close
from gatebench.gates.base import Gate
from gatebench.measure.subject import differentiable

_HUGE = 1e4
_TINY = {"float32": 1e-40, "bfloat16": 1e-39, "float64": 1e-310}


def _scaled(trial: Trial, factor: float) -> dict[str, Tensor]:
    inputs = trial.inputs(trial.case())
    return inputs | {name: value * factor for name, value in differentiable(inputs).items()}


@check(
    "saturation",
    "Inputs of ±1e4, where every gate is open or shut, give the reference's finite values and no NaN in gradients.",
    "exp(x) / (1 + exp(x)) overflows; exp(-|x|) does not.",
)
def saturation(trial: Trial) -> None:
    case = trial.case()
    inputs = trial.inputs(case)
    inputs |= {name: _HUGE * value.sign() for name, value in differentiable(inputs).items()}
    params = trial.params(case)
    bound = trial.bind(case, params)
    outputs = bound(inputs)
    expected = trial.gate.forward(
        {name: value.double() for name, value in params.items()},
        inputs | {name: value.detach().double() for name, value in differentiable(inputs).items()},
    )
    for name in trial.output_names(case):
        require(bool(outputs[name].isfinite().all()), f"{name} is not finite at inputs of ±{_HUGE:g}")
        scale = max(1.0, float(expected[name].abs().max()))
        off = float((outputs[name].detach().double() - expected[name]).abs().max())
        require(off <= 10 * TOLERANCE[case.dtype] * scale, f"{name} is off by {off:.2g} at inputs of ±{_HUGE:g}")
    if trial.differentiates:
        for name, gradient in bound.gradients(outputs, inputs, trial.cotangents(case, outputs)).items():
            require(bool(gradient.isfinite().all()), f"the gradient of {name} is not finite at inputs of ±{_HUGE:g}")


@check(
    "denormals",
    "Inputs below the smallest normal number give finite results that agree with the reference.",
    "A division by the input, or by its norm. Flushing to zero is fine.",
)
def denormals(trial: Trial) -> None:
    case = trial.case()
    inputs = _scaled(trial, _TINY[case.dtype])
    params = trial.params(case)
    outputs = trial.bind(case, params).without_gradients(inputs)
    expected = trial.gate.forward(params, {name: value.detach() for name, value in inputs.items()})
    for name in trial.output_names(case):
        require(bool(outputs[name].isfinite().all()), f"{name} is not finite at inputs of {_TINY[case.dtype]:g}")
        require(close(trial, outputs[name], expected[name]), f"{name} is off at inputs of {_TINY[case.dtype]:g}")


@check(
    "nan-goes-through",
    "A NaN in one input is seen in the outputs that depend on it, and in no other row.",
    "max(x, 0) that turns NaN into 0; clamping; isnan() that repairs: divergence must show.",
)
def nan_goes_through(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    poisoned = {name: value.clone() for name, value in inputs.items()}
    name = main_input(trial.gate, poisoned)
    index = (-1, 0, 0) if trial.has_time else (0, 0, 0)
    poisoned[name][index] = math.nan
    found = bound.without_gradients(poisoned)["output"]
    expected = trial.gate.forward(trial.params(case), poisoned)["output"]
    require(not bool((expected.isnan() & ~found.isnan()).any()), f"a NaN in {name} is lost")
    require(not bool((found.isnan() & ~expected.isnan()).any()), f"a NaN in {name} spreads to outputs that do not depend on it")  # fmt: skip


@check(
    "infinity-is-a-number",
    "An infinite input gives what the reference gives: a saturated gate where it is one, NaN where it must be.",
    "inf - inf inside a rearranged formula.",
)
def infinity_is_a_number(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    given = {name: value.clone() for name, value in inputs.items()}
    name = "gate" if "gate" in given else main_input(trial.gate, given)
    given[name][(-1, 0, 0) if trial.has_time else (0, 0, 0)] = math.inf
    found = bound.without_gradients(given)["output"]
    expected = trial.gate.forward(trial.params(case), given)["output"]
    require(torch.equal(found.isnan(), expected.isnan()), f"an infinite {name} gives NaN where the reference has none, or none where it has")  # fmt: skip
    finite = expected.isfinite()
    require(close(trial, found[finite], expected[finite]), f"outputs at an infinite {name} are off")


def main_input(gate: Gate, inputs: dict[str, Tensor]) -> str:
    """Return the name of the input that carries the data."""
    return "x" if "x" in inputs else next(iter(inputs))

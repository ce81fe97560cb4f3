"""Saturation: how often a gate's own values stand at their ends, where their derivative is nearly 0."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.shape import ONES
from gatebench.stability.checks import check_numbers
from gatebench.stability.trajectory import Trajectory, unroll

LOW, HIGH = 0.1, 0.9  # ends of a sigmoid gate (Karpathy, Johnson & Fei-Fei 2015)
TANH_END = 0.99  # end of a tanh


@dataclass(frozen=True)
class LetterSaturation:
    """Shares in [0, 1] of one letter's values over all steps, rows and units; None where it does not apply.

    low, high      sigmoid letters: shares of g < 0.1 and g > 0.9
    mean           sigmoid letters: mean of 4 g (1 - g); 1: all half open, 0: all shut or open
    tanh           tanh letters: share of |g| > 0.99
    negative_lobe  swish letters: share of values below 0
    nonfinite      how many values were not finite (left out of the shares)
    """

    letter: str
    nonlinearity: str
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    tanh: float | None = None
    negative_lobe: float | None = None
    nonfinite: int = 0


def saturation(gate: Gate, params: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, LetterSaturation]:
    """Compute the saturation of each letter of `gate.activations` whose nonlinearity the gate declares.

    A gate with time is unrolled, and all steps count; others are evaluated once; both in the inputs' dtype. Letters
    that are neither sigmoid, tanh nor swish are left out, {} for a gate that names none.
    Raises StabilityError as unroll does. Karpathy, Johnson & Fei-Fei 2015, arXiv 1506.02078.
    """
    if gate.state(ONES):
        return saturation_of(unroll(gate, params, inputs, next(iter(inputs.values())).dtype))
    check_numbers("saturation", {**params, **inputs})
    with torch.no_grad():
        return _by_letter(gate, gate.activations(params, inputs))


def saturation_of(trajectory: Trajectory) -> dict[str, LetterSaturation]:
    """Compute the saturation along a trajectory that is there already; {} for a bare step."""
    if trajectory.gate is None:
        return {}
    with torch.no_grad():
        x, states = trajectory.x.flatten(0, 1), trajectory.states[:-1].flatten(0, 1)
        return _by_letter(trajectory.gate, trajectory.gate.activations(trajectory.params, x, states))


def _by_letter(gate: Gate, values: Mapping[str, Tensor]) -> dict[str, LetterSaturation]:
    known = {letter: gate.nonlinearities.get(letter) for letter in values}
    return {letter: _letter(letter, kind, values[letter]) for letter, kind in known.items() if kind in _KINDS}


def _letter(letter: str, kind: str, values: Tensor) -> LetterSaturation:
    values = values.double().flatten()
    finite = values[torch.isfinite(values)]
    shares = _KINDS[kind](finite) if len(finite) else {}
    return LetterSaturation(letter, kind, nonfinite=len(values) - len(finite), **shares)


def _share(condition: Tensor) -> float:
    return float(condition.double().mean())


_KINDS = {
    "sigmoid": lambda g: {"low": _share(g < LOW), "high": _share(g > HIGH), "mean": float((4 * g * (1 - g)).mean())},
    "tanh": lambda g: {"tanh": _share(g.abs() > TANH_END)},
    "swish": lambda g: {"negative_lobe": _share(g < 0)},
}

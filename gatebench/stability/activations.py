"""Saturation: how often a gate's own values stand at their ends, where their derivative is nearly 0."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.shape import ONES
from gatebench.stability.checks import check_dtype, check_given, check_numbers
from gatebench.stability.given import check_gate, check_shapes, check_tensors
from gatebench.stability.trajectory import Trajectory, unroll

LOW, HIGH = 0.1, 0.9  # ends of a sigmoid gate (Karpathy, Johnson & Fei-Fei 2015)
TANH_END = 0.99  # end of a tanh
FLAT = 0.01  # a derivative smaller than this passes next to nothing back


@dataclass(frozen=True)
class LetterSaturation:
    """Shares in [0, 1] and means of one letter's values over all steps, rows and units; None where it does not apply.

    low, high      sigmoid letters: shares of g < 0.1 and g > 0.9
    mean           sigmoid letters: mean of 4 g (1 - g); 1: all half open, 0: all shut or open
    tanh           tanh letters: share of |g| > 0.99
    dead           relu letters: share of values that are 0, and let no gradient pass
    negative_lobe  swish and gelu letters: share of values below 0
    density        letters that are 0 or 1 (channel gates): share of ones, ρ
    slope          mean of the activation's derivative φ'(a)
    flat           share of |φ'(a)| < 0.01
    nonfinite      how many values were not finite (left out of the rest)
    """

    letter: str
    nonlinearity: str
    low: float | None = None
    high: float | None = None
    mean: float | None = None
    tanh: float | None = None
    dead: float | None = None
    negative_lobe: float | None = None
    density: float | None = None
    slope: float | None = None
    flat: float | None = None
    nonfinite: int = 0


def saturation(gate: Gate, params: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, LetterSaturation]:
    """Compute the saturation of each letter of `gate.activations` whose nonlinearity the gate declares.

    A gate with time is unrolled, and all steps count; others are evaluated once; both in the inputs' dtype. Letters that
    cannot saturate (identity, exp) are left out, {} for a gate that names none.
    Raises StabilityError as unroll does, time or not. Karpathy, Johnson & Fei-Fei 2015, arXiv 1506.02078.
    """
    check_gate("saturation", gate)
    check_tensors("saturation", "params", params)
    check_tensors("saturation", "inputs", inputs)
    check_given("saturation", inputs, gate.input_shapes(ONES))
    dtype = check_dtype("saturation", next(iter(inputs.values())).dtype)
    if gate.state(ONES):
        return saturation_of(unroll(gate, params, inputs, dtype))
    check_shapes("saturation", gate, params, inputs)
    check_numbers("saturation", {**params, **inputs})
    with torch.no_grad():
        return _by_letter(gate, gate.activations(params, inputs), gate.slopes(params, inputs))


def saturation_of(trajectory: Trajectory) -> dict[str, LetterSaturation]:
    """Compute the saturation along a trajectory that is there already; {} for a bare step."""
    if trajectory.gate is None:
        return {}
    with torch.no_grad():
        x, states = trajectory.x.flatten(0, 1), trajectory.states[:-1].flatten(0, 1)
        return _by_letter(trajectory.gate, trajectory.gate.activations(trajectory.params, x, states), {})


def _by_letter(gate: Gate, values: Mapping[str, Tensor], slopes: Mapping[str, Tensor]) -> dict[str, LetterSaturation]:
    kinds = {letter: gate.nonlinearities.get(letter) for letter in values}
    return {
        letter: _letter(letter, kind, values[letter], slopes.get(letter))
        for letter, kind in kinds.items()
        if kind in _SHARES
    }


def _letter(letter: str, kind: str, values: Tensor, slopes: Tensor | None) -> LetterSaturation:
    values = values.double().flatten()
    slopes = _SLOPES[kind](values) if slopes is None and kind in _SLOPES else slopes
    finite = torch.isfinite(values)
    known = {}
    if bool(finite.any()):
        known = _SHARES[kind](values[finite])
        known |= _slope_shares(slopes.double().flatten()[finite]) if slopes is not None else {}
    return LetterSaturation(letter, kind, nonfinite=int((~finite).sum()), **known)


def _slope_shares(slopes: Tensor) -> dict[str, float]:
    return {"slope": float(slopes.mean()), "flat": _share(slopes.abs() < FLAT)}


def _share(condition: Tensor) -> float:
    return float(condition.double().mean())


_SHARES = {
    "sigmoid": lambda g: {"low": _share(g < LOW), "high": _share(g > HIGH), "mean": float((4 * g * (1 - g)).mean())},
    "tanh": lambda g: {"tanh": _share(g.abs() > TANH_END)},
    "relu": lambda g: {"dead": _share(g <= 0)},
    "swish": lambda g: {"negative_lobe": _share(g < 0)},
    "gelu": lambda g: {"negative_lobe": _share(g < 0)},
    "step": lambda g: {"density": float(g.mean())},
}
# φ'(a) from g = φ(a); of swish and gelu the gate itself says it, and a step's surrogate is no derivative
_SLOPES = {
    "sigmoid": lambda g: g * (1 - g),
    "tanh": lambda g: 1 - g * g,
    "relu": lambda g: (g > 0).double(),
}

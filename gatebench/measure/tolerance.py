"""When a result is wrong: the one tolerance table.

    error_ratio = e / max(e_eager, u · m)        relative_error = e / m

e is a tensor's largest absolute error against the float64 reference on the same rounded inputs, e_eager eager's
error in the same dtype, m the largest absolute reference value, u the unit round-off. Wrong: error_ratio or
relative_error above its limit, or a shape or dtype that differs.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

UNIT_ROUNDOFF = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float64": 2.0**-53}
RATIO_LIMIT = {"float32": 10.0, "float64": 10.0, "bfloat16": 4.0}
RELATIVE_LIMIT = {"float32": 1e-3, "float64": 1e-9, "bfloat16": 0.25}
# float64 has no finer reference here: eager's float32 error, scaled by the ratio of the two round-offs.
FLOAT64_EAGER_SCALE = 2.0**-29


@dataclass(frozen=True)
class TensorError:
    """How far one tensor is from its reference."""

    tensor: str
    dtype: str
    max_abs_error: float
    relative_error: float
    error_ratio: float
    limit_ratio: float
    passed: bool

    def to_json(self) -> dict[str, object]:
        """Return the row of the accuracy table."""
        return dict(self.__dict__)


def largest_error(value: Tensor, reference: Tensor) -> float:
    """Return max |value - reference|; inf where value is not finite and reference is."""
    if reference.numel() == 0:
        return 0.0
    value = value.detach().to(torch.float64).to(reference.device)
    finite = torch.isfinite(reference)
    same = torch.where(finite, torch.isfinite(value), (value == reference) | (value.isnan() & reference.isnan()))
    if not bool(same.all()):
        return math.inf
    return float(torch.where(finite, (value - reference).abs(), 0.0).max())


def largest_value(reference: Tensor) -> float:
    """Return m, the largest finite |reference|; 0 for an empty tensor."""
    finite = reference[torch.isfinite(reference)]
    return float(finite.abs().max()) if finite.numel() else 0.0


def judge(
    tensor: str, value: Tensor, reference: Tensor, eager_error: float, dtype: str, limit: float | None = None
) -> TensorError:
    """Compare one tensor with its float64 reference. limit replaces the dtype's error_ratio limit."""
    limit_ratio = RATIO_LIMIT[dtype] if limit is None else limit
    found = str(value.dtype).removeprefix("torch.")
    if value.shape != reference.shape or found != dtype:
        return TensorError(tensor, found, math.inf, math.inf, math.inf, limit_ratio, False)
    error, magnitude = largest_error(value, reference), largest_value(reference)
    if magnitude == 0.0:
        ratio = relative = 0.0 if error == 0.0 else math.inf
    else:
        ratio = error / max(eager_error, UNIT_ROUNDOFF[dtype] * magnitude)
        relative = error / magnitude
    passed = ratio <= limit_ratio and relative <= RELATIVE_LIMIT[dtype]
    return TensorError(tensor, found, error, relative, ratio, limit_ratio, passed)

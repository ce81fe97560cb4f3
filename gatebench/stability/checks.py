"""What stability refuses: one clear error each, which is a UserError and a ValueError."""

import math
from collections.abc import Iterable, Mapping
from numbers import Integral, Real

import torch
from torch import Tensor

from gatebench.errors import UserError

DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
ALL_EXPONENTS_LIMIT = 2048  # state width; a full spectrum costs O(T·S³), so wider states must say how many they want


class StabilityError(UserError, ValueError):
    """A question that has no answer: no time, too few steps, sizes that do not fit, NaN in the weights."""


def check_dtype(where: str, dtype: "torch.dtype | str") -> torch.dtype:
    """Return a floating dtype; raises StabilityError for integers and names that are not accepted."""
    found = DTYPES.get(dtype) if isinstance(dtype, str) else dtype if dtype in DTYPES.values() else None
    if found is None:
        raise StabilityError(where, f"dtype is {dtype}", f"accepted: {', '.join(DTYPES)}", "choose one of them")
    return found


def check_numbers(where: str, tensors: Mapping[str, Tensor], next_step: str = "mend what made them") -> None:
    """Raise StabilityError where a given tensor holds NaN or Inf (what a network computes from it may)."""
    for name, value in tensors.items():
        bad = int((~torch.isfinite(value)).sum())
        if bad:
            raise StabilityError(
                where, f"{name} has {bad} values that are NaN or infinite", "accepted: finite numbers", next_step
            )


def check_given(where: str, inputs: Mapping[str, Tensor], names: Iterable[str]) -> None:
    """Raise StabilityError where inputs lack one of the names."""
    for name in names:
        if name not in inputs:
            raise StabilityError(
                where, f"inputs lack {name!r}", f"given: {', '.join(inputs) or 'none'}", f"add {name!r}"
            )


def check_count(where: str, k: int | None, size: int) -> int:
    """Return how many exponents are wanted; None means all `size`, refused above 2048."""
    if k is None:
        if size > ALL_EXPONENTS_LIMIT:
            raise StabilityError(
                where, f"k is not given and the state has {size} values", f"accepted: k from 1 to {size}", "give k"
            )
        return size
    if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= k <= size:
        raise StabilityError(where, f"k is {k!r}", f"accepted: 1 to {size}, the width of the state")
    return int(k)


def check_burn_in(where: str, burn_in: int, steps: int) -> None:
    """Raise StabilityError unless 0 <= burn_in < steps."""
    if isinstance(burn_in, bool) or not isinstance(burn_in, Integral) or not 0 <= burn_in < steps:
        raise StabilityError(where, f"burn_in is {burn_in!r}", f"accepted: 0 to {steps - 1}, fewer than all steps")


def check_positive(where: str, what: str, value: float) -> None:
    """Raise StabilityError unless a value is a finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < value < math.inf:
        raise StabilityError(where, f"{what} is {value!r}", "accepted: a finite number above 0")


def check_whole(where: str, what: str, value: int, low: int) -> None:
    """Raise StabilityError unless a value is a whole number of at least `low`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < low:
        raise StabilityError(where, f"{what} is {value!r}", f"accepted: whole numbers from {low}")

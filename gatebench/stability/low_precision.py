"""Gradients in low precision against float64: what rounding the weights costs, and what rounding the arithmetic."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.stability.checks import check_dtype
from gatebench.stability.gradients import Gradients, gradients
from gatebench.stability.trajectory import unroll

# A plateau is false where the reference falls by at least so many nats, and the low-precision norm by this share at most.
PLATEAU_DROP, PLATEAU_SHARE = math.log(2), 0.1
LARGEST_SHIFT = 2046  # exponents: from 2^-1023 to 2^1023, each half of it a finite number


@dataclass(frozen=True, eq=False)
class Difference:
    """How far gradients g are from a reference r, by lag.

    relative_error (T+1, B)  ||g - r|| / ||r||; 0 where both are 0; inf where only r is 0, or g is not finite
    cosine (T+1, B)          <g, r> / ||g|| ||r||; 1 where both are 0, 0 where one is 0 or not finite
    """

    relative_error: Tensor
    cosine: Tensor


@dataclass(frozen=True, eq=False)
class PrecisionError:
    """Errors of the gradients δ by lag k = 0..T, per batch row, of one dtype.

    arithmetic    low precision against float64 at the same rounded weights and inputs
    quantisation  float64 at rounded against float64 at the original weights and inputs
    total         low precision against float64 at the original ones
    underflow_share (T+1, B)   share of entries that are 0 where float64's (rounded weights) are not
    nonfinite_share (T+1, B)   share of entries that are NaN or infinite
    first_bad_lag (B,)         first lag with a non-finite entry, or a norm of 0 where float64's is not; -1: none
    false_plateau (B,)         the most lags at the end over which float64's norm falls to half or less, and this one by
                               less than a tenth of that in nats, or rises by as little; 0: none
    usable_loss_scale (B,)     largest power of two that keeps every δ_t of the reference finite in the dtype; 0: none that
                               float64 holds
    """

    dtype: torch.dtype
    arithmetic: Difference
    quantisation: Difference
    total: Difference
    underflow_share: Tensor
    nonfinite_share: Tensor
    first_bad_lag: Tensor
    false_plateau: Tensor
    usable_loss_scale: Tensor

    @property
    def relative_error(self) -> Tensor:
        """The arithmetic's relative error (T+1, B)."""
        return self.arithmetic.relative_error

    @property
    def cosine(self) -> Tensor:
        """The arithmetic's cosine (T+1, B)."""
        return self.arithmetic.cosine


def precision(
    gate: Gate, params: Mapping[str, Tensor], inputs: Mapping[str, Tensor], dtype: torch.dtype | str
) -> PrecisionError:
    """Compare the gradients that `dtype` computes (forward and chain of VJPs) with float64's.

    Cotangent: ones on part "h", or the whole state. Raises StabilityError as unroll does.
    Bound for a diagonal chain: |relative error| <= (1 + u)^k - 1 at lag k.
    """
    dtype = check_dtype("precision", dtype)
    low = unroll(gate, params, inputs, dtype)
    reference, original = gradients(low.again_in_float64()), gradients(unroll(gate, params, inputs))
    return compare_gradients(gradients(low), reference, original, dtype)


def compare_gradients(low: Gradients, reference: Gradients, original: Gradients, dtype: torch.dtype) -> PrecisionError:
    """Compare gradients that were computed already; see PrecisionError."""
    low, reference, original = (_by_lag(found) for found in (low, reference, original))
    zero = (low.values == 0) & (reference.values != 0)
    finite = torch.isfinite(low.values)
    low_norm, reference_norm = low.log_norms(slice(None)), reference.log_norms(slice(None))
    bad = ~finite.all(-1) | ((low_norm == -math.inf) & (reference_norm > -math.inf))
    return PrecisionError(
        dtype,
        difference(low, reference),
        difference(reference, original),
        difference(low, original),
        zero.double().mean(-1),
        1 - finite.double().mean(-1),
        torch.where(bad.any(0), bad.double().argmax(0), -1),
        _false_plateau(low_norm, reference_norm),
        _usable_loss_scale(reference, dtype),
    )


def difference(found: Gradients, reference: Gradients) -> Difference:
    """Compare gradients with a reference, entry by entry along the first axis; see Difference."""
    r, g = reference.values.double(), _scaled(found, found.exponents - reference.exponents)
    finite = (torch.isfinite(g) & torch.isfinite(r)).all(-1)
    norm_g, norm_r, gap = g.norm(dim=-1), r.norm(dim=-1), (g - r).norm(dim=-1)
    both_zero, one_zero = (norm_g == 0) & (norm_r == 0), (norm_g == 0) | (norm_r == 0)
    relative = torch.where(both_zero, 0.0, gap / norm_r).masked_fill(~finite, math.inf)
    unit_g = g / g.abs().amax(-1, keepdim=True)  # the product of norms must not overflow
    cosine = (unit_g * r).sum(-1) / (unit_g.norm(dim=-1) * norm_r)
    cosine = torch.where(both_zero, 1.0, torch.where(one_zero, 0.0, cosine)).masked_fill(~finite, 0.0)
    return Difference(relative, cosine.clamp(-1, 1))


def _by_lag(found: Gradients) -> Gradients:
    return Gradients(found.values.flip(0), found.exponents.flip(0))


def _scaled(found: Gradients, shift: Tensor) -> Tensor:
    """Return values · 2^shift in float64; what float64 cannot hold becomes 0 or inf, and 0 stays 0."""
    shift = shift.clamp(-LARGEST_SHIFT, LARGEST_SHIFT)
    half = shift // 2
    values = found.values.double()
    return values * torch.exp2(half.double())[..., None] * torch.exp2((shift - half).double())[..., None]


def _false_plateau(low: Tensor, reference: Tensor) -> Tensor:
    known = (torch.isfinite(low) & torch.isfinite(reference)).flip(0).long().cumprod(0).flip(0) > 0  # to the end
    fall = reference - reference[-1]
    flat = known & (fall >= PLATEAU_DROP) & ((low - low[-1]).abs() <= PLATEAU_SHARE * fall)
    lags_to_go = torch.arange(len(low) - 1, -1, -1)[:, None]
    return torch.where(flat, lags_to_go, 0).amax(0)


def _usable_loss_scale(reference: Gradients, dtype: torch.dtype) -> Tensor:
    """Return 2^e with the largest e such that |δ_t| 2^e is at most the dtype's largest number, for every t."""
    top, top_exponent = math.frexp(torch.finfo(dtype).max)
    largest = reference.values.double().abs().amax(-1)
    mantissa, exponent = torch.frexp(largest)
    room = top_exponent - exponent - reference.exponents - (mantissa > top).long()
    scale = torch.exp2(room.masked_fill(largest == 0, torch.iinfo(room.dtype).max).amin(0).double())
    return scale.masked_fill(~torch.isfinite(largest).all(0), 0.0)

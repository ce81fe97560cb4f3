"""Classes of a gradient profile: what a row's gradients do, in one word."""

import math

import torch

from gatebench.stability.checks import check_dtype
from gatebench.stability.lyapunov import LyapunovSpectrum
from gatebench.stability.metrics import CLASSES
from gatebench.stability.profile import Profile

LARGE = math.log(1e3)  # nats; growth or decay over all lags that is called exploding or vanishing


def unit_roundoff(dtype: torch.dtype) -> float:
    """Return u = 2^-p: 2^-53 float64, 2^-24 float32, 2^-8 bfloat16, 2^-11 float16."""
    return torch.finfo(dtype).eps / 2


def classify(
    profile: Profile,
    dtype: torch.dtype | str,
    *,
    reference: Profile | None = None,
    lyapunov: LyapunovSpectrum | None = None,
) -> list[str]:
    """Name what the gradients of each of B rows do, from slope m and total R = p_T; the first that fits.

    nonfinite   any norm, or any state that it was taken along, is not finite
    underflow   a norm is 0 where the float64 reference's is not (needs `reference`)
    exploding   m > 0 and R > ln 1000
    vanished    m < 0 and R < ln u, the round-off of `dtype`; also R = -inf, a gradient of exactly 0
    vanishing   m < 0 and R < -ln 1000
    marginal    λ_1 ± 2 standard errors contains 0 (needs `lyapunov`)
    stable      none of these

    Where m is not known (fewer than 4 lags) R alone decides. Raises StabilityError for a dtype that is no float.
    """
    threshold = math.log(unit_roundoff(check_dtype("classify", dtype)))
    marginal = lyapunov is not None and _contains_zero(lyapunov)
    return [_class(profile, reference, row, threshold, marginal) for row in range(profile.log_norm.shape[1])]


def most_severe(classes: list[str]) -> str:
    """Return the class of a case: the most severe of its rows'."""
    return min(classes, key=CLASSES.index)


def _class(profile: Profile, reference: Profile | None, row: int, threshold: float, marginal: bool) -> str:
    log_norm, slope = profile.log_norm[:, row], float(profile.slope[row])
    total = float(log_norm[-1])
    grows, shrinks = not slope <= 0, not slope >= 0  # a slope that is not known (NaN) is both
    if profile.finite is not None and not bool(profile.finite[row]):
        return "nonfinite"
    if bool((log_norm.isnan() | (log_norm == math.inf)).any()):
        return "nonfinite"
    if reference is not None and bool(((log_norm == -math.inf) & (reference.log_norm[:, row] > -math.inf)).any()):
        return "underflow"
    if grows and total > LARGE:
        return "exploding"
    if (shrinks and total < threshold) or total == -math.inf:
        return "vanished"
    if shrinks and total < -LARGE:
        return "vanishing"
    return "marginal" if marginal else "stable"


def _contains_zero(lyapunov: LyapunovSpectrum) -> bool:
    value, error = float(lyapunov.values[0]), float(lyapunov.standard_error[0])
    return math.isfinite(value) and math.isfinite(error) and abs(value) <= 2 * error

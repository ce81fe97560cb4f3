"""Clipping a gradient by its norm, and how often and how hard a threshold clips."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.stability.checks import StabilityError, check_positive

EPSILON = 1e-6  # torch.nn.utils.clip_grad_norm_ adds it to the norm: what it clips ends just below the threshold
PERCENTILES = (0.5, 0.95, 0.99)


@dataclass(frozen=True)
class ClipStatistics:
    """What a threshold θ does to a series of gradient norms; all but `nonfinite` over the finite norms, nan without one.

    rate              share of norms above θ
    mean_coefficient  mean of min(1, θ / (norm + 1e-6)), the factor that the gradient is multiplied by
    p50, p95, p99     percentiles of the norms, linear between the two nearest
    nonfinite         how many norms are NaN or infinite
    """

    rate: float
    mean_coefficient: float
    p50: float
    p95: float
    p99: float
    nonfinite: int


def clipping(norms: Tensor | Sequence[float], threshold: float) -> ClipStatistics:
    """Compute how often and how hard clipping at `threshold` acts on gradients of these norms (any shape, unit of θ).

    A norm is clipped where it is strictly above θ; a norm of θ is multiplied by θ / (θ + 1e-6) all the same, as torch
    does. Non-finite norms are no events of clipping, since no factor brings such a gradient back (torch's would be 0 or
    NaN): they are counted apart. Raises StabilityError for a threshold that is no finite number above 0, for no norms,
    for norms that are no real numbers, and for negative ones. Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063, algorithm 1; torch.nn.utils.clip_grad_norm_.
    """
    check_positive("clipping", "threshold", threshold)
    values = _numbers(norms)
    _check_norms(values)
    finite = values[torch.isfinite(values)]
    p50, p95, p99 = (
        finite.quantile(torch.tensor(PERCENTILES, dtype=torch.float64)).tolist() if len(finite) else [torch.nan] * 3
    )
    return ClipStatistics(
        rate=float((finite > threshold).double().mean()),
        mean_coefficient=float(coefficient(finite, threshold).mean()),
        p50=p50,
        p95=p95,
        p99=p99,
        nonfinite=len(values) - len(finite),
    )


def coefficient(norm: Tensor, threshold: float) -> Tensor:
    """Compute min(1, θ / (norm + 1e-6)), any shape."""
    return (threshold / (norm + EPSILON)).clamp(max=1)


def clip_by_norm(gradients: Sequence[Tensor], threshold: float | None) -> tuple[list[Tensor], Tensor]:
    """Clip gradients by their global norm -> min(1, θ / (||g|| + 1e-6)) g for each tensor, and ||g|| before it.

    ||g|| is the 2-norm of all values of all tensors, in their dtype; threshold None leaves them as they are. A norm that
    is not finite leaves nothing usable: the factor is 0 or NaN, in torch, too. Raises StabilityError for a threshold
    that is no finite number above 0. Source: as clipping.
    """
    norm = torch.nn.utils.get_total_norm(gradients)
    if threshold is None:
        return list(gradients), norm
    check_positive("clip_by_norm", "threshold", threshold)
    factor = coefficient(norm, threshold)
    return [gradient * factor for gradient in gradients], norm


def _numbers(norms: Tensor | Sequence[float]) -> Tensor:
    """Return norms as one row of float64."""
    try:
        given = torch.as_tensor(norms).detach()
        if given.is_complex() or given.dtype == torch.bool:
            raise TypeError(f"they are {given.dtype}".replace("torch.", ""))
        return torch.as_tensor(norms, dtype=torch.float64).detach().flatten()
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"norms are no numbers: {' '.join(str(error).split())}"
        raise StabilityError("clipping", what, "accepted: real numbers, a tensor or a sequence") from None


def _check_norms(values: Tensor) -> None:
    if not len(values):
        raise StabilityError("clipping", "no norms are given", "accepted: one norm per step, at least one")
    negative = values[values < 0]
    if len(negative):
        raise StabilityError("clipping", f"a norm is {float(negative[0])}", "accepted: norms from 0, NaN and inf")

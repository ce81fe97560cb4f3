"""A profile: how a gradient's norm changes with the lag, and the numbers that sum it up."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

REACH_SHARE = 1e-3  # reach: the largest lag at which the norm is at least this share of lag 0's (ε)
FEWEST_LAGS = 4  # a slope through fewer lags is not given


@dataclass(frozen=True, eq=False)
class Profile:
    """Log norms of a gradient by lag, relative to lag 0, with slope and what follows from it.

    log_norm (T+1, B)  p_k = ln||δ_{T-k}|| - ln||δ_T||, nats; -inf: exactly 0; +inf: not finite; never NaN
    slope (B,)         m, least squares of p_k on k over the finite lags in [T/4, T], nats/step; NaN: fewer than 4
    r_squared (B,)     share of the variance that the line explains; NaN where slope is
    half_life (B,)     ln 2 / -m, steps; inf where m >= 0; NaN where slope is
    horizon (B,)       -1/m, steps; inf where m >= 0; NaN where slope is
    reach (B,)         largest lag with norm >= 1e-3 of lag 0, steps
    finite (B,)        whether every state that it was taken along is finite; None: of norms alone
    """

    log_norm: Tensor
    slope: Tensor
    r_squared: Tensor
    half_life: Tensor
    horizon: Tensor
    reach: Tensor
    finite: Tensor | None = None


def profile_of(log_norm: Tensor, finite: Tensor | None = None) -> Profile:
    """Sum up log norms by lag (T+1, B), relative to lag 0, as a Profile. Definitions: see there."""
    log_norm = log_norm.double()
    slope, r_squared = _slopes(log_norm)
    decay = torch.where(slope >= 0, 0.0, -slope)  # 0 where the gradient does not shrink: ln 2 / 0 = 1 / 0 = inf
    return Profile(log_norm, slope, r_squared, math.log(2) / decay, 1 / decay, _reach(log_norm), finite)


def _slopes(log_norm: Tensor) -> tuple[Tensor, Tensor]:
    steps = len(log_norm) - 1
    lags = torch.arange(steps + 1, dtype=torch.float64, device=log_norm.device)
    window = (lags >= steps / 4)[:, None] & torch.isfinite(log_norm)
    count = window.sum(0)
    x, y = torch.where(window, lags[:, None], 0.0), torch.where(window, log_norm, 0.0)
    x = torch.where(window, x - x.sum(0) / count, 0.0)
    y = torch.where(window, y - y.sum(0) / count, 0.0)
    slope = (x * y).sum(0) / (x * x).sum(0)
    left, total = ((y - slope * x) ** 2).sum(0), (y * y).sum(0)
    r_squared = torch.where(total > 0, 1 - left / total, 1.0)
    few = count < FEWEST_LAGS
    return slope.masked_fill(few, math.nan), r_squared.masked_fill(few, math.nan)


def _reach(log_norm: Tensor) -> Tensor:
    lags = torch.arange(len(log_norm), dtype=torch.float64, device=log_norm.device)
    return torch.where(log_norm >= math.log(REACH_SHARE), lags[:, None], 0.0).amax(0)

"""Gradients back through time: cut derivatives, chained step by step."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gatebench.stability.checks import StabilityError, check_numbers
from gatebench.stability.given import check_tensor
from gatebench.stability.profile import Profile, profile_of
from gatebench.stability.trajectory import Trajectory

# Rows whose largest value lies between this and its inverse are left as they are: one step more, by a factor from
# 2^-700 to 2^700, neither over- nor underflows, and most steps are spared the arithmetic.
COMFORTABLE = 2.0**-300


@dataclass(frozen=True, eq=False)
class Gradients:
    """δ_t = dL/ds_t for t = 0..T, as values · 2^exponents, so that no product over- or underflows in float64.

    values (T+1, B, S) in the trajectory's dtype; exponents (T+1, B), whole numbers, 0 below float64
    """

    values: Tensor
    exponents: Tensor

    def log_norms(self, part: slice) -> Tensor:
        """Compute ln||δ_t|| over a part of the state -> (T+1, B), nats; -inf for 0, +inf for what is not finite."""
        return self._norms(part).log() + self.exponents.double() * math.log(2)

    def norms(self, part: slice) -> Tensor:
        """Compute ||δ_t|| over a part of the state -> (T+1, B) float64; +inf for what is not finite."""
        mantissa, exponent = self._norms(part).numpy(force=True), self.exponents.numpy(force=True)
        with np.errstate(over="ignore", under="ignore"):
            return torch.from_numpy(np.ldexp(mantissa, exponent.astype(np.int64)))

    def _norms(self, part: slice) -> Tensor:
        chosen = self.values[..., part].double()
        largest = chosen.abs().amax(-1, keepdim=True)
        scale = torch.where(torch.isfinite(largest) & (largest > 0), largest, 1.0)  # squares must not underflow
        return ((chosen / scale).norm(dim=-1) * scale[..., 0]).nan_to_num(nan=math.inf, posinf=math.inf)


def gradients(trajectory: Trajectory, cotangent: Tensor | None = None) -> Gradients:
    """Compute δ_{t-1} = J_tᵀ δ_t, t = T..1, from δ_T = cotangent, in the trajectory's dtype.

    s_t is the independent input of steps t+1..T (a cut derivative). autograd's retain_grad on c_t is another number:
    it adds the path through h_t of the same step. In float64 each row is multiplied by a power of two where it
    grows or shrinks too far, which is exact; below float64 it is not, so that what that dtype loses is lost here too.
    """
    delta = _cotangent(trajectory, cotangent)
    rescale = delta.dtype == torch.float64
    values = torch.empty_like(trajectory.states)
    exponents = torch.zeros(values.shape[:2], dtype=torch.int64, device=values.device)
    exponent = exponents[0].clone()
    if rescale:
        delta, exponent = rescaled(delta, exponent)
    values[-1], exponents[-1] = delta, exponent
    for t, jacobian in zip(range(trajectory.steps, 0, -1), trajectory.linear_maps(reverse=True), strict=True):
        delta = jacobian.pull(delta)
        if rescale:
            delta, exponent = rescaled(delta, exponent)
        values[t - 1], exponents[t - 1] = delta, exponent
    return Gradients(values, exponents)


def rescaled(delta: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
    """Return (delta · 2^-e, exponent + e) with e such that each row's largest value lies in [0.5, 1), or is comfortable.

    Exact in float64: delta (B, ...) and exponent (B,) stand for delta · 2^exponent before and after.
    """
    largest = delta.abs().flatten(1).amax(-1)
    low, high = largest.aminmax()
    if low >= COMFORTABLE and high <= 1 / COMFORTABLE:
        return delta, exponent
    usable = torch.isfinite(largest) & (largest > 0)
    shift = torch.where(usable, torch.frexp(largest).exponent, 0)
    half = torch.exp2(-(shift // 2).double())  # in two factors: 2^1074 alone is not finite
    rest = torch.exp2(-(shift - shift // 2).double())
    shape = (-1, *[1] * (delta.ndim - 1))
    return delta * half.reshape(shape) * rest.reshape(shape), exponent + shift


def gradient_norms(trajectory: Trajectory, cotangent: Tensor | None = None, part: str | None = None) -> Tensor:
    """Compute ||δ_t||, t = 0..T, cut derivatives -> (T+1, B) float64, by time: entry t is ||δ_t||, the last is ||δ_T||.

    gradient_profile and norm_bound are by lag, the other way round: entry k of theirs belongs to entry T - k of these.
    cotangent: δ_T on the state (B, S); default ones on part "h", on the whole state where there is none. part: a name of
    gate.state, default the whole state. A trajectory below float64 gives the plain chain of that dtype, underflow
    included. 0 where float64 itself cannot hold the norm (gradient_profile stays in log space); inf: not finite.
    Raises StabilityError for a cotangent that is no torch tensor, of the wrong shape, with NaN, or with a row that is 0 in the trajectory's dtype,
    and for an unknown part.
    """
    return gradients(trajectory, cotangent).norms(trajectory.part(part))


def gradient_profile(trajectory: Trajectory, cotangent: Tensor | None = None, part: str | None = None) -> Profile:
    """Compute the Profile p_k = ln||δ^part_{T-k}|| - ln||δ_T||, k = 0..T, with slope, half-life and reach.

    By lag: entry k is k steps before the last (norm_bound too; gradient_norms is by time t, the other way round). The norm
    that all are relative to is the whole state's: with the default cotangent, ones on h, an LSTM's part c is exactly 0 at
    lag 0. Arguments and errors as gradient_norms.
    """
    return profile_of_gradients(gradients(trajectory, cotangent), trajectory, part)


def profile_of_gradients(found: Gradients, trajectory: Trajectory, part: str | None = None) -> Profile:
    """Sum up gradients that were computed already; see gradient_profile."""
    logs = found.log_norms(trajectory.part(part))
    start = found.log_norms(trajectory.part(None))[-1]
    relative = torch.where(logs == math.inf, math.inf, logs - start)
    return profile_of(relative.flip(0), trajectory.first_bad_step < 0)


def _cotangent(trajectory: Trajectory, cotangent: Tensor | None) -> Tensor:
    shape = (trajectory.batch, trajectory.size)
    if cotangent is None:
        ones = trajectory.states.new_zeros(shape)
        ones[:, trajectory.parts.get("h", slice(None))] = 1
        return ones
    check_tensor("cotangent", "it", cotangent)
    if tuple(cotangent.shape) != shape:
        raise StabilityError(
            "cotangent",
            f"its shape is {tuple(cotangent.shape)}",
            f"accepted: {shape}, one value per row and state value",
        )
    check_numbers("cotangent", {"it": cotangent})
    rounded = cotangent.detach().to(trajectory.states)
    if bool((rounded == 0).all(-1).any()):
        what = f"a row is zero everywhere in {rounded.dtype}".replace("torch.", "")
        raise StabilityError("cotangent", what, "accepted: rows with a value that is not zero")
    return rounded

"""Lyapunov exponents by Benettin's method: push orthonormal directions forward, orthonormalise, average the logs."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.stability.checks import StabilityError, check_burn_in, check_count
from gatebench.stability.derivatives import LinearMap
from gatebench.stability.trajectory import Trajectory

SEGMENTS = 10  # pieces of each row's steps that the standard error is taken over
EXPLICIT_SIZE = 64  # state width up to which building J_t costs less than pushing directions
START_SEED = 0  # of the random first directions; any seed gives the same limit

Advance = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Finite-time Lyapunov exponents, nats/step.

    values (k,)          descending; -inf: a direction collapsed to nothing float64 can resolve (at some step, some row)
    standard_error (k,)  over segments of the steps and rows of the batch; 0 at -inf; inf where there is one sample only
    collapsed (k,)       how many of the n·B logs were -inf
    nonfinite (k,)       how many were left out because a Jacobian was not finite; NaN values if that were all
    """

    values: Tensor
    standard_error: Tensor
    collapsed: Tensor
    nonfinite: Tensor


def lyapunov_spectrum(trajectory: Trajectory, k: int | None = None, burn_in: int = 0) -> LyapunovSpectrum:
    """Compute the k largest exponents λ_i = 1/n Σ ln|R_ii| with Q R = J_t Q, t = burn_in+1..T, n = T - burn_in.

    Steps up to burn_in only turn Q towards the leading directions. k = None: all S, refused above S = 2048. k = 1 is one
    sweep of renormalised Jacobian-vector products. Derivatives are taken in float64 at the trajectory's states, in
    forward time order (the transposes, taken in that order, belong to another product). λ_i of finite time are not
    ln(singular value)/T; both agree only as T grows.
    Raises StabilityError for k outside 1..S and burn_in outside 0..T-1.
    Benettin et al. 1980; Engelken, Wolf & Abbott 2020, arXiv 2006.02427.
    """
    k = check_count("lyapunov_spectrum", k, trajectory.size)
    check_burn_in("lyapunov_spectrum", burn_in, trajectory.steps)
    start = _directions(trajectory.batch, trajectory.size, k)
    logs = _logs(_advances(trajectory.to_float64(), k), start)
    return _spectrum(logs[burn_in:])


def lyapunov_of_products(jacobians: Tensor, k: int | None = None, burn_in: int = 0) -> LyapunovSpectrum:
    """Compute the k largest exponents of the product J_N ... J_1 of matrices (N, S, S), J_1 first; as lyapunov_spectrum."""
    if jacobians.ndim != 3 or jacobians.shape[1] != jacobians.shape[2] or not jacobians.is_floating_point():
        raise StabilityError(
            "lyapunov_of_products", f"jacobians have shape {tuple(jacobians.shape)}", "accepted: (N, S, S) floats"
        )
    k = check_count("lyapunov_of_products", k, jacobians.shape[1])
    check_burn_in("lyapunov_of_products", burn_in, len(jacobians))
    matrices = jacobians.double()[:, None]
    logs = _logs(((lambda q, J=J: J @ q) for J in matrices), _directions(1, jacobians.shape[1], k))
    return _spectrum(logs[burn_in:])


def _advances(trajectory: Trajectory, k: int) -> Iterator[Advance]:
    """Yield Q -> J_t Q for t = 1..T."""
    if _explicit(trajectory.size, k):
        for chunk in trajectory.jacobians():
            for J in chunk:
                yield lambda q, J=J: J @ q
        return
    for x, state in zip(trajectory.x, trajectory.states, strict=False):  # the last state has no step
        yield LinearMap.at(trajectory.step, trajectory.params, x, state).push_all


def _explicit(size: int, k: int) -> bool:
    """Say whether building J_t costs less than pushing k directions."""
    return size <= EXPLICIT_SIZE or 4 * k >= size


def _directions(batch: int, size: int, k: int) -> Tensor:
    generator = torch.Generator().manual_seed(START_SEED)
    one_by_one = [torch.randn(batch, size, generator=generator, dtype=torch.float64) for _ in range(k)]
    return torch.linalg.qr(torch.stack(one_by_one, -1)).Q  # the first ones are the same whatever k is


def _logs(advances: Iterator[Advance], q: Tensor) -> Tensor:
    """Return ln|R_ii| of each step -> (N, B, k): -inf where collapsed, NaN from a row's first non-finite step on."""
    logs, lost = [], torch.zeros(len(q), 1, dtype=torch.bool)
    for advance in advances:
        z = advance(q)
        lost = lost | ~torch.isfinite(z).flatten(1).all(1, keepdim=True)
        if bool(lost.any()):
            z = torch.where(lost[..., None], q, z)
        q, grown = _orthonormalised(z, q)
        logs.append(grown.masked_fill(lost, math.nan))
    return torch.stack(logs)


def _orthonormalised(z: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """Return Q (B, S, k) and ln|R_ii| (B, k) of z = Q R. What rounding left of a dependent column counts as 0."""
    length = z.norm(dim=1)
    if z.shape[2] == 1:
        return torch.where(length[:, None] > 0, z / length[:, None], q), length.log()
    q, r = torch.linalg.qr(z)
    grown = r.diagonal(dim1=1, dim2=2).abs()
    resolution = z.shape[1] * torch.finfo(z.dtype).eps * length
    return q, torch.where(grown > resolution, grown, 0.0).log()


def _spectrum(logs: Tensor) -> LyapunovSpectrum:
    """Average logs (n, B, k) over steps and rows."""
    lost, collapsed = logs.isnan(), logs == -math.inf
    values = logs.flatten(0, 1).nanmean(0)
    values, order = values.sort(descending=True)
    pieces = torch.stack([piece.nanmean(0) for piece in logs.tensor_split(min(SEGMENTS, len(logs)))]).flatten(0, 1)
    error = torch.stack([_standard_error(column) for column in pieces.unbind(1)])[order]
    return LyapunovSpectrum(values, error, collapsed.sum((0, 1))[order], lost.sum((0, 1))[order])


def _standard_error(samples: Tensor) -> Tensor:
    samples = samples[~samples.isnan()]
    if bool((samples == -math.inf).any()):
        return samples.new_zeros(())
    return samples.std() / len(samples) ** 0.5 if len(samples) > 1 else samples.new_full((), math.inf)

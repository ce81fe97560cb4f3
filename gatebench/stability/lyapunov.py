"""Lyapunov exponents by Benettin's method: push orthonormal directions forward, orthonormalise, average the logs."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.stability.bases import Basis, lengths, sweep
from gatebench.stability.checks import StabilityError, check_burn_in, check_count
from gatebench.stability.given import check_tensor
from gatebench.stability.linear_maps import LinearMap, Matrices
from gatebench.stability.trajectory import Trajectory

SEGMENTS = 10  # pieces of each row's steps that the standard error is taken over
EXPLICIT_SIZE = 64  # state width up to which building J_t costs less than pushing directions


@dataclass(frozen=True, eq=False)
class LyapunovSpectrum:
    """Finite-time Lyapunov exponents, nats/step: means over the steps and the rows of the batch.

    values (k,)          descending; -inf: a direction collapsed to nothing float64 can resolve (at some step, some row)
    standard_error (k,)  over segments of the steps and rows of the batch; 0 at -inf; inf where there is one sample only
    collapsed (k,)       how many of the n·B logs were -inf
    nonfinite (k,)       how many of the n·B logs were left out: a row's steps from its first state or Jacobian on that is not
                         finite. The values are then of the steps before; +inf where that leaves none
    """

    values: Tensor
    standard_error: Tensor
    collapsed: Tensor
    nonfinite: Tensor

    @property
    def kaplan_yorke_dimension(self) -> float:
        """D = k + Σ_{i<=k} λ_i / |λ_{k+1}|, k the most exponents whose sum is not negative; 0 where λ_1 < 0.

        The dimension of the attractor that the states live on. All exponents where none makes the sum negative: more
        would be needed. inf where no Jacobian was finite. Kaplan & Yorke 1979.
        """
        if bool((self.values == math.inf).any()):
            return math.inf
        sums = self.values.cumsum(0)
        k = int((sums >= 0).sum())
        if k in (0, len(sums)):
            return float(k)
        return k + float(sums[k - 1] / self.values[k].abs())


def lyapunov_spectrum(trajectory: Trajectory, k: int | None = None, burn_in: int = 0) -> LyapunovSpectrum:
    """Compute the k largest exponents λ_i = 1/n Σ ln|R_ii| with Q R = J_t Q, t = burn_in+1..T, n = T - burn_in.

    Values are means over the rows of the batch, too, which are one ensemble: unroll a row alone for its own. The first Q is
    the same random one for every row and call, orthonormal columns of N(0, 1); steps up to burn_in only turn it towards
    the leading directions. A row ends where a state that a Jacobian is taken at, or the Jacobian, is not finite: infinite
    states have no neighbours, whatever autograd says there. k = None: all S, refused above S = 2048. k = 1 is one
    sweep of renormalised Jacobian-vector products. Derivatives are taken in float64 at the trajectory's states, in
    forward time order (the transposes, taken in that order, belong to another product). λ_i of finite time are not
    ln(singular value)/T; both agree only as T grows.
    Raises StabilityError for k outside 1..S and burn_in outside 0..T-1.
    Benettin et al. 1980; Engelken, Wolf & Abbott 2020, arXiv 2006.02427.
    """
    k = check_count("lyapunov_spectrum", k, trajectory.size)
    check_burn_in("lyapunov_spectrum", burn_in, trajectory.steps)
    exact = trajectory.to_float64()
    logs = _logs(exact.linear_maps(matrices=_explicit(exact.size, k)), exact.batch, exact.size, k)
    gone = (~torch.isfinite(exact.states[:-1]).all(-1)).long().cummax(0).values.bool()  # (T, B)
    return _spectrum(logs.masked_fill(gone[..., None], math.nan)[burn_in:])


def lyapunov_of_products(jacobians: Tensor, k: int | None = None, burn_in: int = 0) -> LyapunovSpectrum:
    """Compute the k largest exponents of the product J_N ... J_1 of matrices (N, S, S), J_1 first; as lyapunov_spectrum.

    Raises StabilityError for what is no torch tensor, other shapes, whole numbers, k outside 1..S and burn_in outside 0..N-1.
    """
    check_tensor("lyapunov_of_products", "jacobians", jacobians)
    square = jacobians.ndim == 3 and jacobians.shape[1] == jacobians.shape[2] > 0
    if not square or not jacobians.is_floating_point():
        raise StabilityError(
            "lyapunov_of_products", f"jacobians have shape {tuple(jacobians.shape)}", "accepted: (N, S, S) floats"
        )
    k = check_count("lyapunov_of_products", k, jacobians.shape[1])
    check_burn_in("lyapunov_of_products", burn_in, len(jacobians))
    products = map(Matrices, jacobians.detach().double()[:, None])
    return _spectrum(_logs(products, 1, jacobians.shape[1], k)[burn_in:])


def _explicit(size: int, k: int) -> bool:
    """Say whether building J_t costs less than pushing k directions."""
    return size <= EXPLICIT_SIZE or 4 * k >= size


def _logs(jacobians: Iterable[LinearMap], batch: int, size: int, k: int) -> Tensor:
    """Return ln|R_ii| of each step -> (N, B, k): -inf where collapsed, NaN from a row's first non-finite step on."""
    if k == 1:
        return _logs_of_one(jacobians, batch, size)
    steps = sweep(jacobians, Basis.random(batch, size, k))
    return torch.stack(
        [step.triangle.diagonal(dim1=1, dim2=2).abs().log().masked_fill(step.lost[:, None], math.nan) for step in steps]
    )


def _logs_of_one(jacobians: Iterable[LinearMap], batch: int, size: int) -> Tensor:
    """Return ln||J_t q|| of one direction, renormalised every step -> (N, B, 1), as _logs."""
    q = Basis.random(batch, size, 1).columns()[..., 0]
    logs, lost = [], torch.zeros(batch, dtype=torch.bool)
    for jacobian in jacobians:
        z = jacobian.push(q)
        lost = lost | ~torch.isfinite(z).all(-1)
        length = lengths(z, -1)
        logs.append(length.log().masked_fill(lost, math.nan))
        q = torch.where((lost | (length == 0))[:, None], q, z / length[:, None])
    return torch.stack(logs)[..., None]


def _spectrum(logs: Tensor) -> LyapunovSpectrum:
    """Average logs (n, B, k) over steps and rows."""
    lost, collapsed = logs.isnan(), logs == -math.inf
    values = logs.flatten(0, 1).nanmean(0).nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
    values, order = values.sort(descending=True)
    pieces = torch.stack([piece.nanmean(0) for piece in logs.tensor_split(min(SEGMENTS, len(logs)))]).flatten(0, 1)
    error = torch.stack([_standard_error(column) for column in pieces.unbind(1)])[order]
    return LyapunovSpectrum(values, error, collapsed.sum((0, 1))[order], lost.sum((0, 1))[order])


def _standard_error(samples: Tensor) -> Tensor:
    samples = samples[~samples.isnan()]
    if bool((samples == -math.inf).any()):
        return samples.new_zeros(())
    return samples.std() / len(samples) ** 0.5 if len(samples) > 1 else samples.new_full((), math.inf)

"""The end-to-end Jacobian P = J_T ... J_1: its singular values and its determinant, in log space, P never formed."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.stability.bases import Basis, lengths, sweep
from gatebench.stability.checks import check_count
from gatebench.stability.graded import EPS, Graded
from gatebench.stability.trajectory import Trajectory

TOLERANCE = 1e-6  # nats, or relative where a value is beyond 1 nat: what a resolved value is known to
OVERSAMPLING = 8  # directions carried beside the k that are asked for: k converge faster
MOST_SWEEPS = 100  # back and forth, where only leading values are asked for
SWEEPS_OF_ALL = 3  # where all are, the directions are whole from the start: only rounding is left to differ
AGREEMENT = 0.01  # of the tolerance: how far the values of a sweep back and a sweep forward may lie apart


@dataclass(frozen=True, eq=False)
class LogSingularValues:
    """ln σ_i of the end-to-end Jacobian ds_T/ds_0.

    values (B, k)    nats, descending; -inf: 0, or below all that float64 resolves; +inf: a Jacobian was not finite
    resolved (B, k)  whether a value is known to 1e-6 (absolute up to 1 nat, relative beyond); where it is not, it is -inf,
                     a lower bound, or has lost digits to rounding
    """

    values: Tensor
    resolved: Tensor


def singular_values(trajectory: Trajectory, k: int | None = None) -> LogSingularValues:
    """Compute the k largest ln σ_i of ds_T/ds_0 = J_T ... J_1, nats -> values and resolved (B, k).

    Directions are carried back through the transposed Jacobians, then forward through the Jacobians, orthonormalised at
    every step: P V = Q R_T ... R_1. The product of triangles is kept row by row in its own scale, and one-sided Jacobi
    rotations give its singular values: nothing over- or underflows, and small values are as exact as large ones. An SVD
    of the formed product has only those above eps σ_1. A sweep back and one forward round differently: a value is
    resolved where both agree. Chains that grow along a direction and later shrink along it lose the digits between.
    All S values take two sweeps, or three; the k largest, k + 8 directions and sweeps until they stand still, no matrix
    of S x S. Derivatives are in float64 at the trajectory's states.
    k = None: all, refused above S = 2048. Raises StabilityError for k outside 1..S.
    Demmel & Veselić 1992; Bojanczyk, Ewerbring, Luk & Van Dooren 1992 (product SVD); Halko, Martinsson & Tropp 2011.
    """
    k = check_count("singular_values", k, trajectory.size)
    exact = trajectory.to_float64()
    whole = k + OVERSAMPLING >= exact.size
    width = exact.size if whole else k + OVERSAMPLING
    basis, values, error = _swept(exact, Basis.random(exact.batch, exact.size, width), back=True)
    change, known = torch.full_like(values, math.inf), torch.zeros_like(values, dtype=torch.bool)
    for number in range(1, SWEEPS_OF_ALL if whole else MOST_SWEEPS):
        before, earlier = values, change
        basis, values, error = _swept(exact, basis, back=number % 2 == 0)
        change = torch.where(values == before, 0.0, (values - before).abs())
        allowed = TOLERANCE * values.abs().clamp(min=1.0)
        left = change if whole else _left(change, earlier, error)
        known = (left <= AGREEMENT * allowed) & (error <= allowed)
        if bool((known | (error > allowed))[:, :k].all()):
            break
    resolved = (known & torch.isfinite(values)).long().cumprod(-1).bool()  # below one that is not, places are not known
    return LogSingularValues(values[:, :k], resolved[:, :k])


def _left(change: Tensor, earlier: Tensor, error: Tensor) -> Tensor:
    """Return how far values are from where they converge to, from their last two changes: a geometric series.

    A change alone does not say it: where singular values lie close together, they creep.
    """
    shrinking = (change < earlier) & torch.isfinite(earlier)
    rest = torch.where(shrinking, change**2 / (earlier - change).clamp(min=torch.finfo(change.dtype).tiny), math.inf)
    return torch.where(change <= error, change, torch.maximum(change, rest))


def _swept(trajectory: Trajectory, basis: Basis, back: bool) -> tuple[Basis, Tensor, Tensor]:
    """Carry a basis V through P, or back through Pᵀ -> Q, ln σ_i of P V (B, k), how far rounding may have moved each."""
    maps = trajectory.linear_maps(reverse=back, matrices=basis.square)
    product = Graded.identity(trajectory.batch, basis.reflectors.shape[2])
    error, lost = torch.zeros(product.logs.shape, dtype=torch.float64), torch.zeros(trajectory.batch, dtype=torch.bool)
    for step in sweep((one.transpose for one in maps) if back else maps, basis):
        product = product.multiplied_by(step.triangle)
        basis, error, lost = step.basis, error + step.loss, step.lost
    error = error + len(product.logs[0]) * EPS / product.diagonal_shares()
    values = product.log_singular_values().masked_fill(lost[:, None], math.inf)
    return basis, values, error.nan_to_num(nan=math.inf)


def log_abs_det(trajectory: Trajectory) -> Tensor:
    """Compute ln|det ds_T/ds_0| = Σ_t ln|det J_t| -> (B,), nats; float64 at the trajectory's states.

    -inf where a J_t is singular in float64 (a column within S eps of the span of those before it); +inf where one is not
    finite, or its factors are not. Equal to the sum of all ln σ_i of a row; its mean over the rows is T times the sum of all
    Lyapunov exponents, where burn_in = 0 and nothing was left out.
    """
    exact = trajectory.to_float64()
    total = torch.zeros(exact.batch, dtype=torch.float64)
    lost = torch.zeros(exact.batch, dtype=torch.bool)
    for chunk in exact.jacobians():
        bad = ~torch.isfinite(chunk).flatten(2).all(-1)
        safe = torch.where(bad[..., None, None], torch.eye(exact.size, dtype=torch.float64), chunk)
        grown = torch.geqrf(safe).a.diagonal(dim1=-2, dim2=-1).abs()
        gone = grown <= exact.size * EPS * lengths(safe, -2)
        total = total + torch.where(gone, 0.0, grown).log().sum((0, -1))
        lost = lost | (bad | ~torch.isfinite(grown).all(-1)).any(0)
    return total.masked_fill(lost, math.inf)

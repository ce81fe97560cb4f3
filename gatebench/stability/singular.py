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
MOST_SWEEPS = 50  # back and forth, where only leading values are asked for
STANDSTILL = 0.01  # of the tolerance: values that change less from sweep to sweep have converged


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
    of the formed product has only those above eps σ_1. All S values take two sweeps; the k largest, k + 8 directions and
    sweeps until they stand still, no matrix of S x S. Derivatives are in float64 at the trajectory's states.
    k = None: all, refused above S = 2048. Raises StabilityError for k outside 1..S.
    Demmel & Veselić 1992; Bojanczyk, Ewerbring, Luk & Van Dooren 1992 (product SVD); Halko, Martinsson & Tropp 2011.
    """
    k = check_count("singular_values", k, trajectory.size)
    exact = trajectory.to_float64()
    width = exact.size if k + OVERSAMPLING >= exact.size else k + OVERSAMPLING
    basis, values, error = _round_trip(exact, Basis.random(exact.batch, exact.size, width))
    still = torch.full(values.shape, width == exact.size)
    for _ in range(MOST_SWEEPS):
        exact_enough = error <= _allowed(values)
        if bool((still | ~exact_enough)[:, :k].all()):
            break
        before = values
        basis, values, error = _round_trip(exact, basis)
        still = (values == before) | ((values - before).abs() <= STANDSTILL * _allowed(values))
    resolved = still & (error <= _allowed(values)) & torch.isfinite(values)
    return LogSingularValues(values[:, :k], resolved[:, :k])


def _allowed(values: Tensor) -> Tensor:
    return TOLERANCE * values.abs().clamp(min=1.0)


def _round_trip(trajectory: Trajectory, basis: Basis) -> tuple[Basis, Tensor, Tensor]:
    return _carried_forward(trajectory, _carried_back(trajectory, basis))


def _carried_back(trajectory: Trajectory, basis: Basis) -> Basis:
    """Return the right directions V that Pᵀ turns a basis into: they sort those of P by their growth."""
    for step in sweep((jacobian.transpose for jacobian in trajectory.linear_maps(reverse=True)), basis):
        basis = step.basis
    return basis


def _carried_forward(trajectory: Trajectory, basis: Basis) -> tuple[Basis, Tensor, Tensor]:
    """Carry V forward -> Q, ln σ_i of P V (B, k), and how far rounding may have moved each of them."""
    product = Graded.identity(trajectory.batch, basis.reflectors.shape[2])
    error, lost = torch.zeros(product.logs.shape, dtype=torch.float64), torch.zeros(trajectory.batch, dtype=torch.bool)
    for step in sweep(trajectory.linear_maps(), basis):
        product = product.multiplied_by(step.triangle)
        basis, error, lost = step.basis, error + step.loss, step.lost
    error = error + len(product.logs[0]) * EPS / product.diagonal_shares()
    values = product.log_singular_values().masked_fill(lost[:, None], math.inf)
    return basis, values, error.nan_to_num(nan=math.inf)


def log_abs_det(trajectory: Trajectory) -> Tensor:
    """Compute ln|det ds_T/ds_0| = Σ_t ln|det J_t| -> (B,), nats; float64 at the trajectory's states.

    -inf where a J_t is singular in float64 (a column within S eps of the span of those before it); +inf where one is not
    finite. Equal to the sum of all ln σ_i and to T times the sum of all Lyapunov exponents.
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
        lost = lost | bad.any(0)
    return total.masked_fill(lost, math.inf)

"""Singular values of graded matrices: rows so different in size that one float64 matrix could not hold them.

A matrix is kept as rows a_i = e^{l_i} m_i with logs l_i of their own and vectors m_i of ordinary size.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_SWEEPS = 60  # of Jacobi rotations over all pairs of rows; graded rows need 3 to 8
EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Graded:
    """Matrices A = diag(e^logs) M: logs (B, k), -inf for a row of zeros; rows M (B, k, k), largest entry 1 or row 0."""

    logs: Tensor
    rows: Tensor

    @classmethod
    def identity(cls, batch: int, k: int) -> "Graded":
        """Return the identity of width k, B times."""
        return cls(torch.zeros(batch, k, dtype=torch.float64), torch.eye(k, dtype=torch.float64).repeat(batch, 1, 1))

    def multiplied_by(self, left: Tensor) -> "Graded":
        """Compute L A for L (B, k, k), row by row in its own scale."""
        sizes = left.abs().log() + self.logs[:, None, :]  # of what each row of A adds to each new row
        logs = sizes.amax(-1)
        known = torch.where(torch.isfinite(logs), logs, 0.0)
        coefficients = left.sign() * (sizes - known[..., None]).exp()
        return Graded(known, coefficients @ self.rows)._rescaled()

    def _rescaled(self) -> "Graded":
        largest = self.rows.abs().amax(-1)
        rows = torch.where(largest[..., None] > 0, self.rows / largest[..., None], 0.0)
        return Graded(self.logs + largest.log(), rows)

    def diagonal_shares(self) -> Tensor:
        """Return |M_ii| (B, k), at most 1: how nearly the matrix is diagonal."""
        return self.rows.diagonal(dim1=1, dim2=2).abs()

    def log_singular_values(self) -> Tensor:
        """Compute ln σ_i (B, k), descending; -inf for what is linearly dependent in float64.

        One-sided Jacobi: rotate pairs of rows until all are orthogonal; their lengths are then the singular values. On
        graded rows it has small values as exactly as large ones (Demmel & Veselić 1992; Drmač 1997).
        """
        logs, rows = _unit(self.logs, self.rows)
        k = rows.shape[1]
        rounds = _rounds(k) if k > 1 else []
        for _ in range(MOST_SWEEPS):
            largest_cosine = 0.0
            for first, second in rounds:
                largest_cosine = max(largest_cosine, _rotate(logs, rows, first, second))
            if largest_cosine <= k * EPS:
                break
        return logs.sort(dim=-1, descending=True).values


def _rounds(k: int) -> list[tuple[Tensor, Tensor]]:
    """Return all pairs of 0..k-1 in rounds of disjoint pairs: a round-robin tournament (the circle method)."""
    players = [*range(k), *([-1] if k % 2 else [])]
    rounds = []
    for _ in range(len(players) - 1):
        pairs = zip(players[: len(players) // 2], reversed(players), strict=False)
        firsts, seconds = zip(*(pair for pair in pairs if -1 not in pair), strict=True)
        rounds.append((torch.tensor(firsts), torch.tensor(seconds)))
        players = [players[0], players[-1], *players[1:-1]]
    return rounds


def _unit(logs: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same rows with length 1, or 0 and log -inf."""
    length = rows.norm(dim=-1)
    return logs + length.log(), torch.where(length[..., None] > 0, rows / length[..., None], 0.0)


def _rotate(logs: Tensor, rows: Tensor, first: Tensor, second: Tensor) -> float:
    """Rotate pairs of rows, in place, until each pair is orthogonal; return the largest cosine there was.

    With a = e^l v the longer and b = e^l ρ w the shorter row of a pair, ρ <= 1, the rotation by the angle with tangent t
    makes a' = e^l c (v - t ρ w) and b' = e^l ρ c (w + (t/ρ) v): t/ρ stays of ordinary size where ρ underflows.
    """
    turned = logs[:, second] > logs[:, first]
    longer = torch.where(turned, second, first)
    shorter = torch.where(turned, first, second)
    batch = torch.arange(len(logs))[:, None]
    log_a, v, log_b, w = logs[batch, longer], rows[batch, longer], logs[batch, shorter], rows[batch, shorter]
    cosine = (v * w).sum(-1)
    rho = torch.where(log_b == -math.inf, 0.0, (log_b - log_a).exp())
    difference = 1 - rho**2  # |a|² - |b|², in units of |a|²
    over_rho = -2 * cosine / (difference + (difference**2 + 4 * (rho * cosine) ** 2).sqrt())  # t/ρ
    over_rho = torch.where(cosine == 0, 0.0, over_rho)  # 0/0 where lengths are equal
    c = (1 + (over_rho * rho) ** 2).rsqrt()[..., None]
    new_v = c * (v - (over_rho * rho**2)[..., None] * w)
    new_w = c * (w + over_rho[..., None] * v)
    gone = new_w.norm(dim=-1, keepdim=True) <= rows.shape[-1] * EPS  # only rounding is left: it depends on the other
    logs[batch, longer], rows[batch, longer] = _unit(log_a, new_v)
    logs[batch, shorter], rows[batch, shorter] = _unit(log_b, torch.where(gone, 0.0, new_w))
    return float(cosine.abs().max())

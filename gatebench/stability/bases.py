"""Orthonormal directions that a chain of Jacobians carries along: push, orthonormalise, keep what they grew by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.stability.linear_maps import LinearMap

START_SEED = 0  # of the random first directions; any seed gives the same limit


@dataclass(frozen=True, eq=False)
class Basis:
    """k orthonormal columns for each of B rows, (B, S, k), kept as the Householder reflectors that QR found them by."""

    reflectors: Tensor  # (B, S, k), as torch.geqrf gives them, the triangle R above them
    scales: Tensor  # (B, k)

    @classmethod
    def of(cls, matrices: Tensor) -> "Basis":
        """Orthonormalise the columns of (B, S, k), k <= S, from the first to the last."""
        return cls(*torch.geqrf(matrices))

    @classmethod
    def random(cls, batch: int, size: int, k: int) -> "Basis":
        """Draw directions, the same for each row, so that no row's numbers depend on its place; the first whatever k is."""
        generator = torch.Generator().manual_seed(START_SEED)
        one_by_one = [torch.randn(size, generator=generator, dtype=torch.float64) for _ in range(k)]
        return cls.of(torch.stack(one_by_one, -1).repeat(batch, 1, 1))

    @property
    def square(self) -> bool:
        """Whether the columns span the whole state."""
        return self.reflectors.shape[1] == self.reflectors.shape[2]

    def triangle(self) -> Tensor:
        """Return R (B, k, k) of the matrices that were orthonormalised."""
        return self.reflectors[:, : self.reflectors.shape[2]].triu()

    def columns(self) -> Tensor:
        """Return Q (B, S, k)."""
        return torch.linalg.householder_product(self.reflectors, self.scales)

    def carried_by(self, jacobian: LinearMap) -> Tensor:
        """Compute J Q (B, S, k), not orthonormal."""
        if self.square:
            return torch.ormqr(self.reflectors, self.scales, jacobian.matrix(), left=False)
        return jacobian.times(self.columns())


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a sweep: J Q = Q' R.

    basis      Q'
    triangle   R (B, k, k), a diagonal entry that rounding alone left over set to 0
    loss (B, k) how many of a diagonal entry's digits rounding may have spoilt: S eps ||J|| / |R_ii|, relative
    lost (B,)  rows that have met a Jacobian that is not finite, at this step or before; their Q' means nothing
    """

    basis: Basis
    triangle: Tensor
    loss: Tensor
    lost: Tensor


def sweep(jacobians: Iterable[LinearMap], basis: Basis) -> Iterator[Step]:
    """Carry a basis through the Jacobians, in their order; orthonormalise after each."""
    lost = torch.zeros(len(basis.reflectors), dtype=torch.bool)
    for jacobian in jacobians:
        z = basis.carried_by(jacobian)
        lost = lost | ~torch.isfinite(z).flatten(1).all(1)
        if bool(lost.any()):
            z = torch.where(lost[:, None, None], torch.eye(*z.shape[1:], dtype=z.dtype), z)
        basis = Basis.of(z)
        triangle, loss = _resolved(basis.triangle(), z)
        yield Step(basis, triangle, loss, lost)


def _resolved(triangle: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Return R with what rounding left of a dependent column set to 0, and the relative loss of each diagonal entry."""
    norms, grown = lengths(z, 1), triangle.diagonal(dim1=1, dim2=2)
    precision = z.shape[1] * torch.finfo(z.dtype).eps
    gone = grown.abs() <= precision * norms
    loss = precision * norms.amax(-1, keepdim=True) / grown.abs()
    return triangle - torch.diag_embed(torch.where(gone, grown, 0.0)), loss


def lengths(vectors: Tensor, dim: int) -> Tensor:
    """Compute Euclidean norms along an axis; squares neither overflow nor underflow."""
    largest = vectors.abs().amax(dim, keepdim=True)
    scale = torch.where(largest > 0, largest, 1.0)
    return (vectors / scale).norm(dim=dim) * scale.squeeze(dim)

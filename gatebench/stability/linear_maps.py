"""Linear maps with a structure: the pieces that a closed-form Jacobian is written in, one map per row.

Tangents and cotangents are (..., n, width): n rows, any leading axes; every row has its own map. A map is applied to
them without ever forming its matrix; `matrix` forms it where all of it is wanted.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


class LinearMap:
    """n maps R^in -> R^out, one per row."""

    def push(self, tangent: Tensor) -> Tensor:
        """Compute J v, (..., n, in) -> (..., n, out)."""
        raise NotImplementedError

    def pull(self, cotangent: Tensor) -> Tensor:
        """Compute Jᵀ u, (..., n, out) -> (..., n, in)."""
        raise NotImplementedError

    def matrix(self) -> Tensor:
        """Compute J, (n, out, in)."""
        raise NotImplementedError

    def times(self, matrix: Tensor) -> Tensor:
        """Compute J M, (n, in, m) -> (n, out, m)."""
        return self.push(matrix.permute(2, 0, 1).contiguous()).permute(1, 2, 0)

    def rows(self, rows: slice) -> "LinearMap":
        """Return the maps of some of the rows."""
        raise NotImplementedError

    @property
    def transpose(self) -> "LinearMap":
        """The maps Jᵀ."""
        return Transpose(self)

    def __add__(self, other: "LinearMap") -> "LinearMap":
        return Sum(self, other)

    def __matmul__(self, other: "LinearMap") -> "LinearMap":
        return Product(self, other)


@dataclass(frozen=True, eq=False)
class Transpose(LinearMap):
    """u -> Jᵀ u."""

    original: LinearMap

    def push(self, tangent: Tensor) -> Tensor:
        return self.original.pull(tangent)

    def pull(self, cotangent: Tensor) -> Tensor:
        return self.original.push(cotangent)

    def matrix(self) -> Tensor:
        return self.original.matrix().mT

    def rows(self, rows: slice) -> "Transpose":
        return Transpose(self.original.rows(rows))


@dataclass(frozen=True, eq=False)
class Identity(LinearMap):
    """v -> v, of n rows and a width, in a dtype and on a device."""

    like: Tensor  # (n, width)

    def push(self, tangent: Tensor) -> Tensor:
        return tangent

    def pull(self, cotangent: Tensor) -> Tensor:
        return cotangent

    def matrix(self) -> Tensor:
        return torch.diag_embed(torch.ones_like(self.like))

    def times(self, matrix: Tensor) -> Tensor:
        return matrix

    def rows(self, rows: slice) -> "Identity":
        return Identity(self.like[rows])


@dataclass(frozen=True, eq=False)
class Diagonal(LinearMap):
    """v -> a ⊙ v with a (n, width)."""

    values: Tensor

    def push(self, tangent: Tensor) -> Tensor:
        return self.values * tangent

    def pull(self, cotangent: Tensor) -> Tensor:
        return self.values * cotangent

    def matrix(self) -> Tensor:
        return torch.diag_embed(self.values)

    def times(self, matrix: Tensor) -> Tensor:
        return self.values[..., None] * matrix

    def rows(self, rows: slice) -> "Diagonal":
        return Diagonal(self.values[rows])


@dataclass(frozen=True, eq=False)
class Shared(LinearMap):
    """v -> U v with one U (out, in) for all rows: a weight."""

    weight: Tensor

    def push(self, tangent: Tensor) -> Tensor:
        return tangent @ self.weight.T

    def pull(self, cotangent: Tensor) -> Tensor:
        return cotangent @ self.weight

    def matrix(self) -> Tensor:
        return self.weight[None]  # one for all rows: it broadcasts

    def times(self, matrix: Tensor) -> Tensor:
        return self.weight @ matrix

    def rows(self, rows: slice) -> "Shared":
        return self


@dataclass(frozen=True, eq=False)
class Matrices(LinearMap):
    """v -> M v with a matrix (n, out, in) for each row."""

    matrices: Tensor

    def push(self, tangent: Tensor) -> Tensor:
        return (self.matrices @ tangent[..., None])[..., 0]

    def pull(self, cotangent: Tensor) -> Tensor:
        return (self.matrices.mT @ cotangent[..., None])[..., 0]

    def matrix(self) -> Tensor:
        return self.matrices

    def times(self, matrix: Tensor) -> Tensor:
        return self.matrices @ matrix

    def rows(self, rows: slice) -> "Matrices":
        return Matrices(self.matrices[rows])


@dataclass(frozen=True, eq=False)
class Sum(LinearMap):
    """v -> A v + B v."""

    left: LinearMap
    right: LinearMap

    def push(self, tangent: Tensor) -> Tensor:
        return self.left.push(tangent) + self.right.push(tangent)

    def pull(self, cotangent: Tensor) -> Tensor:
        return self.left.pull(cotangent) + self.right.pull(cotangent)

    def matrix(self) -> Tensor:
        return self.left.matrix() + self.right.matrix()

    def times(self, matrix: Tensor) -> Tensor:
        return self.left.times(matrix) + self.right.times(matrix)

    def rows(self, rows: slice) -> "Sum":
        return Sum(self.left.rows(rows), self.right.rows(rows))


@dataclass(frozen=True, eq=False)
class Product(LinearMap):
    """v -> A B v."""

    left: LinearMap
    right: LinearMap

    def push(self, tangent: Tensor) -> Tensor:
        return self.left.push(self.right.push(tangent))

    def pull(self, cotangent: Tensor) -> Tensor:
        return self.right.pull(self.left.pull(cotangent))

    def matrix(self) -> Tensor:
        return self.left.times(self.right.matrix())

    def times(self, matrix: Tensor) -> Tensor:
        return self.left.times(self.right.times(matrix))

    def rows(self, rows: slice) -> "Product":
        return Product(self.left.rows(rows), self.right.rows(rows))


@dataclass(frozen=True, eq=False)
class Blocks(LinearMap):
    """A grid of maps between parts of equal width; None is the zero map."""

    grid: Sequence[Sequence[LinearMap | None]]

    def push(self, tangent: Tensor) -> Tensor:
        parts = tangent.chunk(len(self.grid[0]), dim=-1)
        return torch.cat(
            [_total([one.push(part) for one, part in zip(row, parts, strict=True) if one]) for row in self.grid], dim=-1
        )

    def pull(self, cotangent: Tensor) -> Tensor:
        parts = cotangent.chunk(len(self.grid), dim=-1)
        columns = zip(*self.grid, strict=True)
        return torch.cat(
            [_total([one.pull(part) for one, part in zip(column, parts, strict=True) if one]) for column in columns],
            dim=-1,
        )

    def matrix(self) -> Tensor:
        return _assembled([[one.matrix() if one else None for one in row] for row in self.grid])

    def rows(self, rows: slice) -> "Blocks":
        return Blocks([[one.rows(rows) if one else None for one in row] for row in self.grid])

    def __matmul__(self, other: LinearMap) -> LinearMap:
        return BlocksProduct(self, other) if isinstance(other, Blocks) else Product(self, other)


@dataclass(frozen=True, eq=False)
class BlocksProduct(Product):
    """v -> A B v of two grids: its matrix is formed block by block, so that zeros and identities cost nothing."""

    left: Blocks
    right: Blocks

    def matrix(self) -> Tensor:
        inner = [
            [one.matrix() if one and not isinstance(one, Identity) else one for one in row] for row in self.right.grid
        ]
        columns = list(zip(*inner, strict=True))
        return _assembled([[_entry(row, column) for column in columns] for row in self.left.grid])

    def rows(self, rows: slice) -> "BlocksProduct":
        return BlocksProduct(self.left.rows(rows), self.right.rows(rows))


def _entry(row: Sequence[LinearMap | None], column: Sequence[Tensor | Identity | None]) -> Tensor | None:
    """Return one block of a product of grids: Σ_k A_ik B_kj, None where every term is zero."""
    terms = [
        one.matrix() if isinstance(below, Identity) else one.times(below)
        for one, below in zip(row, column, strict=True)
        if one and below is not None
    ]
    return _total(terms) if terms else None


def _total(terms: Sequence[Tensor]) -> Tensor:
    return functools.reduce(torch.add, terms)


def _assembled(grid: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Put blocks (n or 1, w, w) together to (n, rows·w, columns·w)."""
    known = [block for row in grid for block in row if block is not None]
    n, width = max(len(block) for block in known), known[0].shape[-1]
    whole = known[0].new_zeros(n, len(grid) * width, len(grid[0]) * width)
    for i, row in enumerate(grid):
        for j, block in enumerate(row):
            if block is not None:
                whole[:, i * width : (i + 1) * width, j * width : (j + 1) * width] = block
    return whole

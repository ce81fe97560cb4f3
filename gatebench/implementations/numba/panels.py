"""Packing a weight W (G·H, K) into panels, and the products of many rows with them.

Forward, W x:   panels (N, K, V·L): panel p, row k, register v, lane l holds W[row, k], where row is unit p·L + l
                of gate v where there are several gates, and p·4L + v·L + l where there is one; zeros beyond H.
Backward, Wᵀ d: panels (M, G·H, 4L): panel p, row n holds W[n, p·4L : (p + 1)·4L]; zeros beyond K.
"""

from typing import Any

import torch
from numba import prange
from torch import Tensor

from gatebench.implementations.numba.kernels import kernel
from gatebench.implementations.numba.simd import lanes_of
from gatebench.implementations.numba.tiles import product3, product4


def units_of(gates: int, dtype: torch.dtype) -> int:
    """Return how many hidden units one forward panel serves."""
    return lanes_of(dtype.itemsize) * (4 if gates == 1 else 1)


def pack(transposed: Tensor, gates: int) -> Tensor:
    """Return Wᵀ (K, G·H) as forward panels (N, K, V·L)."""
    K, H, units = transposed.shape[0], transposed.shape[1] // gates, units_of(gates, transposed.dtype)
    panels = transposed.new_empty((-(-H // units), K, gates * units))
    fill_panels(transposed.contiguous().numpy(), panels.numpy(), gates)
    return panels


def unpack(panels: Tensor, gates: int, width: int) -> Tensor:
    """Return W (G·H, K) from forward panels (N, K, V·L); width is H."""
    count, K, _ = panels.shape
    blocks = panels.view(count, K, gates, -1).permute(2, 0, 3, 1).reshape(gates, -1, K)
    return blocks[:, :width].reshape(gates * width, K)


def pack_backward(panels: Tensor, gates: int, width: int) -> Tensor:
    """Return backward panels (M, G·H, 4L) from forward panels; width is H."""
    units = 4 * lanes_of(panels.dtype.itemsize)
    packed = panels.new_empty((-(-panels.shape[1] // units), gates * width, units))
    transpose_panels(panels.numpy(), packed.numpy(), gates)
    return packed


def project(x: Tensor, panels: Tensor, gates: int, threads: int) -> Tensor:
    """Return W x (T, B, G, Hp) of x (T, B, K) and forward panels, H padded to whole panels."""
    T, B, K = x.shape
    units = panels.shape[2] // gates
    out = x.new_empty((T, B, gates, panels.shape[0] * units))
    vectors, step = (4, units // 4) if gates == 1 else (gates, out.shape[3])
    multiply_rows(
        x.reshape(T * B, K).contiguous().numpy(),
        panels.numpy(),
        out.view(T * B, gates * out.shape[3]).numpy(),
        vectors,
        units,
        step,
        threads,
    )
    return out


def project_back(d: Tensor, panels: Tensor, width: int, threads: int) -> Tensor:
    """Return Wᵀ d (M, K) of d (M, G·H) and backward panels; width is K."""
    units = panels.shape[2]
    out = d.new_empty((d.shape[0], panels.shape[0] * units))
    multiply_rows(d.numpy(), panels.numpy(), out.numpy(), 4, units, units // 4, threads)
    return out[:, :width].contiguous()


@kernel
def fill_panels(transposed: Any, panels: Any, gates: int) -> None:
    """Write forward panels (N, K, V·L) from Wᵀ (K, G·H)."""
    (count, K, lanes), H = panels.shape, transposed.shape[1] // gates
    units = lanes // gates
    for p in prange(count):
        filled = min(units, H - p * units)
        for k in range(K):
            for g in range(gates):
                for unit in range(filled):
                    panels[p, k, g * units + unit] = transposed[k, g * H + p * units + unit]
                for unit in range(filled, units):
                    panels[p, k, g * units + unit] = 0.0


@kernel
def transpose_panels(panels: Any, packed: Any, gates: int) -> None:
    """Write backward panels (M, G·H, 4L) from forward panels (N, K, V·L)."""
    (count, K, lanes), (_, rows, width) = panels.shape, packed.shape
    H, units = rows // gates, lanes // gates
    for p in prange(packed.shape[0]):
        filled = min(width, K - p * width)
        for block in range(count):
            for g in range(gates):
                for unit in range(min(units, H - block * units)):
                    row = g * H + block * units + unit
                    for m in range(filled):
                        packed[p, row, m] = panels[block, p * width + m, g * units + unit]
                    for m in range(filled, width):
                        packed[p, row, m] = 0.0


@kernel
def multiply_rows(left: Any, panels: Any, out: Any, vectors: int, span: int, step: int, workers: int) -> None:
    """Multiply all rows of left (M, K) by all panels (see tiles), split over workers by rows or, of few, by panels."""
    (M, K), count, row = left.shape, panels.shape[0], out.shape[1]
    by_rows = 16 * workers <= M
    for worker in prange(workers):
        start, stop, first, last = 0, M, 0, count
        if by_rows:
            start = M * worker // workers // 4 * 4
            stop = M if worker == workers - 1 else M * (worker + 1) // workers // 4 * 4
        else:
            first, last = count * worker // workers, count * (worker + 1) // workers
        if vectors == 3:
            product3(left, start * K, K, stop - start, panels, first, last, out, start * row, row, span, step)
        else:
            product4(left, start * K, K, stop - start, panels, first, last, out, start * row, row, span, step)

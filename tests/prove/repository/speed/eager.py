"""Torch, operation by operation, on small tensors."""

import torch

from speed.work import Unit

torch.set_num_threads(1)


def drawn(*sizes: int) -> list[torch.Tensor]:
    """Return four normal tensors of one size."""
    torch.manual_seed(0)
    return [torch.randn(sizes) for _ in range(4)]


def without_gradients(unit: Unit) -> Unit:
    return torch.no_grad()(unit)


def products() -> Unit:
    left, right, *_ = drawn(96, 96)
    return without_gradients(lambda number: left @ right)


def cell() -> Unit:
    """One step of a GRU."""
    torch.manual_seed(0)
    gru, x, h = torch.nn.GRUCell(32, 32), torch.randn(2, 32), torch.randn(2, 32)
    return without_gradients(lambda number: gru(x, h))


def gating() -> Unit:
    value, gate, *_ = drawn(32, 64)
    return without_gradients(lambda number: value * torch.sigmoid(gate) + torch.tanh(value))


def attention() -> Unit:
    queries, keys, values, _ = drawn(32, 32)
    return without_gradients(lambda number: torch.softmax(queries @ keys.T, dim=-1) @ values)


UNITS = {"products": products, "cell": cell, "gating": gating, "attention": attention}

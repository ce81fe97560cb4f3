"""Torch, fused by torch.compile."""

from collections.abc import Callable

import torch

from speed.eager import drawn, without_gradients
from speed.work import Unit


def compiled(function: Callable[..., torch.Tensor], *arguments: torch.Tensor) -> Unit:
    fused = torch.compile(function, dynamic=False)
    unit = without_gradients(lambda number: fused(*arguments))
    unit(0)
    return unit


def swiglu() -> Unit:
    value, gate, *_ = drawn(32, 64)
    return compiled(lambda value, gate: value * torch.nn.functional.silu(gate), value, gate)


def norm() -> Unit:
    x, scale, *_ = drawn(32, 64)
    return compiled(lambda x, scale: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + 1e-6) * scale, x, scale)


def softmax() -> Unit:
    x, *_ = drawn(32, 64)
    return compiled(lambda x: torch.softmax(2 * x, dim=-1), x)


def leaky() -> Unit:
    x, h, forget, _ = drawn(32, 64)
    return compiled(lambda x, h, forget: torch.lerp(torch.tanh(x), h, torch.sigmoid(forget)), x, h, forget)


UNITS = {"swiglu": swiglu, "norm": norm, "softmax": softmax, "leaky": leaky}

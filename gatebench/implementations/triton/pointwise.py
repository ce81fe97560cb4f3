# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
"""The pointwise gates of the GLU family: output = φ(value) ⊙ act(gate) and its gradients, in one kernel each way.

Packed, x (..., 2H) holds a row's H values and then its H gates; of two tensors, all elements are one row.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatebench.implementations.triton.functions import activate, load, tile
from gatebench.implementations.triton.settings import LAUNCH, block_of

BLOCK = 1024  # elements per program: with 4 warps 8 a thread, two 16-byte loads of float32


class Kinds(NamedTuple):
    """What a gate does: φ of the value, act of the gate, and Swish's β."""

    value: str
    gate: str
    beta: float = 1.0


@triton.jit
def triton_gate_forward(
    value, gate, output, width, stride,
    VALUE: tl.constexpr, GATE: tl.constexpr, BETA: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write a tile of output = φ(value) ⊙ act(gate); output is dense, rows of value and gate are `stride` apart."""
    row, columns, mask = tile(width, BLOCK)
    v, _ = activate(load(value + row * stride + columns, mask), VALUE, BETA)
    g, _ = activate(load(gate + row * stride + columns, mask), GATE, BETA)
    tl.store(output + row * width + columns, v * g, mask=mask)


@triton.jit
def triton_gate_backward(
    value, gate, d_output, d_value, d_gate, width, stride,
    VALUE: tl.constexpr, GATE: tl.constexpr, BETA: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Write a tile of d_value = d_output ⊙ φ'(value) ⊙ act(gate), d_gate = d_output ⊙ φ(value) ⊙ act'(gate)."""
    row, columns, mask = tile(width, BLOCK)
    v, v_slope = activate(load(value + row * stride + columns, mask), VALUE, BETA)
    g, g_slope = activate(load(gate + row * stride + columns, mask), GATE, BETA)
    d = load(d_output + row * width + columns, mask)
    tl.store(d_value + row * stride + columns, d * v_slope * g, mask=mask)
    tl.store(d_gate + row * stride + columns, d * v * g_slope, mask=mask)


class Gated(torch.autograd.Function):
    """φ(value) ⊙ act(gate) (..., H), from value and gate (..., H), or from one packed x (..., 2H)."""

    @staticmethod
    def forward(ctx: Any, kinds: Kinds, *inputs: Tensor) -> Tensor:
        """Gate, and keep the inputs."""
        inputs = tuple(tensor.contiguous() for tensor in inputs)
        width = inputs[0].shape[-1] // (3 - len(inputs))
        output = inputs[0].new_empty((*inputs[0].shape[:-1], width))
        launch(triton_gate_forward, kinds, inputs, (output,), output)
        ctx.kinds = kinds
        ctx.save_for_backward(*inputs)
        return output

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # once_differentiable hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of the inputs."""
        d_output = grad_outputs[0].contiguous()
        gradients = tuple(torch.empty_like(tensor) for tensor in ctx.saved_tensors)
        launch(triton_gate_backward, ctx.kinds, ctx.saved_tensors, (d_output, *halves(gradients)), d_output)
        return None, *gradients


def launch(kernel: Any, kinds: Kinds, inputs: tuple[Tensor, ...], others: tuple[Tensor, ...], output: Tensor) -> None:
    """Run a kernel over all tiles of an output."""
    packed = len(inputs) == 1
    width = output.shape[-1] if packed else output.numel()
    stride, block = (2 * width if packed else width), block_of(width, BLOCK)
    tiles = -(-width // block) * (output.numel() // width) if width else 0
    kernel[(tiles,)](*halves(inputs), *others, width, stride, *kinds, block, **LAUNCH)


def halves(tensors: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Return value and gate: two tensors as they are, or the first row's two halves of a packed one."""
    if len(tensors) == 2:
        return tensors
    (x,) = tensors
    return x, x[..., x.shape[-1] // 2 :]

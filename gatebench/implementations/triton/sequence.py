"""LSTM and GRU over a whole sequence as one node of autograd's graph.

W x for all steps is one product before the loop over time. A step is one product with U and one kernel, each way; the
gradients of x, W and U are one product each after the backward loop.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatebench.implementations.triton.cells import (
    triton_gru_backward,
    triton_gru_forward,
    triton_lstm_backward,
    triton_lstm_forward,
)
from gatebench.implementations.triton.settings import LAUNCH, block_of

BLOCK = 256  # elements per program: a step is small, and spread over many processors; with 4 warps 2 a thread


class LSTM(NamedTuple):
    """Tensors of a sequence: gates (T, B, 4H), states h_0..h_T (T+1, B, H), memory c_0..c_T, or one c that moves on."""

    gates: Tensor
    states: Tensor
    memory: Tensor

    def step(self, t: int, product: Tensor, keep: bool) -> None:
        """Compute h_{t+1} and c_{t+1} from product = U h_t (B, 4H)."""
        before, after = (self.memory[number % len(self.memory)] for number in (t, t + 1))
        launch(
            triton_lstm_forward, self.states[t], self.gates[t], product, before, after, self.states[t + 1], keep=keep
        )

    def step_back(self, t: int, d_output: Tensor, d_product: Tensor, d_state: Tensor, d: "Gradients") -> None:
        """Write step t's gradients; d_state (B, H) is c's."""
        memory = self.memory[t], self.memory[t + 1]
        launch(triton_lstm_backward, d_output, self.gates[t], *memory, d_output, d_product, d_state, d.recurrent[t])


class GRU(NamedTuple):
    """Tensors of a sequence: gates (T, B, 3H), states (T+1, B, H), candidate U_n h + c_n (T, B, H) or one, bias c_n."""

    gates: Tensor
    states: Tensor
    candidate: Tensor
    bias: Tensor

    def step(self, t: int, product: Tensor, keep: bool) -> None:
        """Compute h_{t+1} from product = U h_t (B, 3H)."""
        before, after, candidate = self.states[t], self.states[t + 1], self.candidate[t % len(self.candidate)]
        launch(triton_gru_forward, before, self.gates[t], product, self.bias, candidate, before, after, keep=keep)

    def step_back(self, t: int, d_output: Tensor, d_product: Tensor, d_state: Tensor, d: "Gradients") -> None:
        """Write step t's gradients; d_state (B, H) is what reaches h without a product."""
        kept = self.gates[t], self.candidate[t], self.states[t]
        launch(triton_gru_backward, d_output, *kept, d_output, d_product, d_state, d.input[t], d.recurrent[t])


class Gradients(NamedTuple):
    """Gradients of the sums W x + b and U h + c (T, B, G·H); an LSTM adds the two sums, so there they are one tensor."""

    input: Tensor
    recurrent: Tensor


def launch(kernel: Any, rows: Tensor, *operands: Tensor, keep: bool | None = None) -> None:
    """Run a cell's kernel over all tiles of (B, H); `rows` has that shape."""
    batch, width = rows.shape
    block = block_of(width, BLOCK)
    constants = (block,) if keep is None else (keep, block)
    kernel[(-(-width // block) * batch,)](*operands, width, *constants, **LAUNCH)


class Recurrence(torch.autograd.Function):
    """A whole sequence: (W, U, b, c, x, h0[, c0]) -> output (T, B, H) and the last states (B, H)."""

    @staticmethod
    def forward(ctx: Any, *operands: Tensor) -> tuple[Tensor, ...]:
        """Run the sequence and keep what the backward needs."""
        weight_ih, weight_hh, _, _, x, *_ = operands
        sequence = start(*operands, keep=True)
        ctx.kind = type(sequence)
        ctx.save_for_backward(weight_ih, weight_hh, x, *sequence)
        return run(sequence, weight_hh, keep=True)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # once_differentiable hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Run the sequence back, then take the weights' and the inputs' gradients over all steps."""
        weight_ih, weight_hh, x, *tensors = ctx.saved_tensors
        sequence: LSTM | GRU = ctx.kind(*tensors)
        d, d_states = run_back(sequence, weight_hh, *grad_outputs)
        d_input, d_recurrent = d.input.flatten(0, 1), d.recurrent.flatten(0, 1)
        d_weight_ih = torch.mm(d_input.t(), x.flatten(0, 1))
        d_weight_hh = torch.mm(d_recurrent.t(), sequence.states[:-1].flatten(0, 1))
        d_x = torch.mm(d_input, weight_ih).view(x.shape) if ctx.needs_input_grad[4] else None
        d_bias_hh = d_recurrent.sum(0)
        d_bias_ih = d_bias_hh.clone() if d.input is d.recurrent else d_input.sum(0)
        return d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, d_x, *d_states


def start(
    weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor, x: Tensor, h0: Tensor,
    c0: Tensor | None = None, *, keep: bool,
) -> LSTM | GRU:  # fmt: skip
    """Project all inputs, allocate the tensors of a sequence and set the initial state."""
    (T, B, _), H = x.shape, weight_hh.shape[1]
    states = x.new_empty((T + 1, B, H))
    states[0] = h0
    if c0 is not None:
        gates = F.linear(x.contiguous(), weight_ih, bias_ih + bias_hh)
        memory = x.new_empty((T + 1 if keep else 1, B, H), dtype=carried(x))
        memory[0] = c0
        return LSTM(gates, states, memory)
    bias = torch.cat((bias_ih[: 2 * H] + bias_hh[: 2 * H], bias_ih[2 * H :]))  # c_n acts inside r ⊙ (U_n h + c_n)
    gates = F.linear(x.contiguous(), weight_ih, bias)
    return GRU(gates, states, x.new_empty((T if keep else 1, B, H)), bias_hh[2 * H :].contiguous())


def run(sequence: LSTM | GRU, weight_hh: Tensor, keep: bool) -> tuple[Tensor, ...]:
    """Run a sequence that was started; returns output (T, B, H) and copies of the last states."""
    states = sequence.states
    product = states.new_empty((states.shape[1], weight_hh.shape[0]))
    for t in range(len(states) - 1):
        torch.mm(states[t], weight_hh.t(), out=product)
        sequence.step(t, product, keep)
    finals = [states[-1].clone()]
    if isinstance(sequence, LSTM):
        finals.append(sequence.memory[-1].to(states.dtype, copy=True))
    return states[1:], *finals


def run_back(
    sequence: LSTM | GRU, weight_hh: Tensor, d_output: Tensor, d_h: Tensor, d_c: Tensor | None = None
) -> tuple[Gradients, tuple[Tensor, ...]]:
    """Run a sequence back; returns the gradients of its sums and of the initial states."""
    d_output, d_product = d_output.contiguous(), d_h.clone(memory_format=torch.contiguous_format)
    recurrent = torch.empty_like(sequence.gates)
    d = Gradients(recurrent if d_c is not None else torch.empty_like(recurrent), recurrent)
    d_state = torch.zeros_like(d_product, dtype=carried(d_product))
    if d_c is not None:
        d_state.copy_(d_c)
    for t in reversed(range(len(d_output))):
        sequence.step_back(t, d_output[t], d_product, d_state, d)
        torch.mm(d.recurrent[t], weight_hh, out=d_product)
    d_state = d_state.to(d_product.dtype)
    return d, (d_product, d_state) if d_c is not None else (d_product + d_state,)


def carried(tensor: Tensor) -> torch.dtype:
    """Return the dtype in which sums are carried over time: float32 for bfloat16, else the tensor's own."""
    return torch.promote_types(tensor.dtype, torch.float32)

"""`numba` for recurrent gates: RNN, LSTM, GRU with their loops over time in one compiled call each way.

W x for all steps is one product before the loop; dW, dU and dx are one product each after the backward loop.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numba
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatebench.cases import Case
from gatebench.contract import Prepared, prepared_implementation
from gatebench.gates import Gate
from gatebench.gates.recurrent.layers import require_single
from gatebench.implementations.numba.cells import GRU, LSTM, RNN, Flow
from gatebench.implementations.numba.panels import pack, pack_backward, project, project_back, unpack
from gatebench.implementations.numba.recurrence import run_backward, run_forward
from gatebench.implementations.numba.threads import claim_threads, describe_threads

GATES = {"rnn_tanh": 1, "gru": 3, "lstm": 4}


@prepared_implementation("numba", gates=list(GATES), devices=["cpu"], dtypes=["float32", "float64"], compiles=True)
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Pack W and U into panels; the panels are the leaves."""
    require_single(gate, "numba")
    claim_threads(case.threads)
    gates, width = GATES[gate.name], case.shape.hidden_size
    leaves = {name: value.detach().clone() for name, value in params.items()}
    for name in ("weight_ih", "weight_hh"):
        leaves[name] = pack(leaves[name].t(), gates)

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        operands: list[Any] = [leaves[name] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        operands += [inputs["x"], inputs["h0"], inputs.get("c0")]
        if torch.is_grad_enabled():
            results = Recurrence.apply(gates, case.threads, *operands)
        else:
            results = finish(start(gates, case.threads, *operands, keep=False), case.threads, leaves["weight_hh"])
        return dict(zip(("output", "h", "c"), results, strict=False))

    def canonical(gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        weights = {name: unpack(gradients[name], gates, width) for name in ("weight_ih", "weight_hh")}
        return {**gradients, **weights}

    workers = min(case.threads, leaves["weight_hh"].shape[0])
    return Prepared(forward, leaves, canonical, lambda: describe_threads(workers))


class Recurrence(torch.autograd.Function):
    """A whole sequence as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, gates: int, threads: int, *operands: Tensor) -> tuple[Tensor, ...]:
        """Run the sequence and keep what the backward needs."""
        sequence = start(gates, threads, *operands, keep=True)
        panels_ih, panels_hh, _, _, x, *_ = operands
        ctx.save_for_backward(panels_ih, panels_hh, x, *sequence)
        ctx.kind, ctx.threads, ctx.gates = type(sequence), threads, gates
        return finish(sequence, threads, panels_hh)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # once_differentiable hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Run the sequence back, then take all steps' weight and input gradients in one product each."""
        d_output, *d_states = grad_outputs
        panels_ih, panels_hh, x, *arrays = ctx.saved_tensors
        sequence, gates = ctx.kind(*arrays), ctx.gates
        flow = run_back(sequence, d_output, d_states, panels_hh, ctx.threads, gates)
        H, inputs = d_output.shape[2], x.reshape(x.shape[0] * x.shape[1], x.shape[2])
        d_recurrent, d_input = flow.recurrent.view(-1, gates * H), flow.input.view(-1, gates * H)
        d_weight_ih = pack(torch.mm(inputs.t(), d_input), gates)
        d_weight_hh = pack(torch.mm(sequence.states[:-1].view(-1, H).t(), d_recurrent), gates)
        d_bias_hh = d_recurrent.sum(0)
        d_bias_ih = d_input.sum(0) if gates == 3 else d_bias_hh.clone()
        d_x = None
        if ctx.needs_input_grad[6]:
            d_x = project_back(d_input, pack_backward(panels_ih, gates, H), x.shape[2], ctx.threads).view(x.shape)
        d_h = flow.carry[:, :H] + flow.state if gates == 3 else flow.carry[:, :H].contiguous()
        return None, None, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh, d_x, d_h, flow.state if gates == 4 else None


def start(
    gates: int, threads: int, panels_ih: Tensor, panels_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor,
    x: Tensor, h0: Tensor, c0: Tensor | None, keep: bool,
) -> RNN | LSTM | GRU:  # fmt: skip
    """Allocate the arrays of a sequence, project all inputs and set the initial state."""
    (T, B, _), H = x.shape, h0.shape[1]
    numba.set_num_threads(threads)
    projected = project(x.detach(), panels_ih.detach(), gates, threads)
    states, product = x.new_empty((T + 1, B, H)), x.new_empty((B, gates, projected.shape[3]))
    states[0] = h0
    bias = bias_ih + bias_hh
    if gates == 1:
        return RNN(projected, product, states, bias)
    if gates == 3:  # c_n acts inside r ⊙ (U_n h + c_n), so it stays apart
        bias = torch.cat((bias[: 2 * H], bias_ih[2 * H :], bias_hh[2 * H :]))
        return GRU(projected, product, states, bias, x.new_empty((T if keep else 1, B, H)))
    assert c0 is not None
    memory = x.new_empty((T + 1 if keep else 1, B, H))
    memory[0] = c0
    return LSTM(projected, product, states, bias, memory)


def finish(sequence: RNN | LSTM | GRU, threads: int, panels: Tensor) -> tuple[Tensor, ...]:
    """Run the prepared sequence; returns output (T, B, H) and copies of the last states (B, H)."""
    run_forward(arrays_of(sequence), panels.detach().numpy(), min(threads, panels.shape[0]))
    output, h = sequence.states[1:], sequence.states[-1].clone()
    return (output, h, sequence.memory[-1].clone()) if isinstance(sequence, LSTM) else (output, h)


def run_back(
    sequence: RNN | LSTM | GRU, d_output: Tensor, d_states: Sequence[Tensor], panels: Tensor, threads: int, gates: int
) -> Flow:
    """Run the sequence back; returns the gradients of its gates and of the initial state."""
    numba.set_num_threads(threads)
    (_, B, H), gates_shape = d_output.shape, (*d_output.shape[:2], gates, d_output.shape[2])
    backward_panels = pack_backward(panels, gates, H)
    carry = d_output.new_zeros((B, backward_panels.shape[0] * backward_panels.shape[2]))
    carry[:, :H] = d_states[0]
    recurrent = d_output.new_empty(gates_shape)
    flow = Flow(
        d_output.contiguous(),
        recurrent,
        d_output.new_empty(gates_shape) if gates == 3 else recurrent,
        carry,
        d_states[1].clone(memory_format=torch.contiguous_format) if gates == 4 else d_output.new_zeros((B, H)),
    )
    workers = min(threads, backward_panels.shape[0])
    run_backward(arrays_of(sequence), arrays_of(flow), backward_panels.numpy(), workers)
    return flow


def arrays_of(tensors: Any) -> Any:
    """Return the same named tuple with NumPy views of its tensors."""
    return type(tensors)(*(tensor.detach().numpy() for tensor in tensors))

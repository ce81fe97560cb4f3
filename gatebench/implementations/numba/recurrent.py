"""`numba` for recurrent gates: RNN, LSTM, GRU with their loops over time in one compiled call each way.

W x for all steps is one product before the loop; dW, dU and dx are one product each after the backward loop.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numba
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatebench.cases import Case
from gatebench.contract import Prepared, prepared_implementation
from gatebench.gates import Gate
from gatebench.gates.recurrent.layers import require_single
from gatebench.implementations.numba.cells import (
    GRU,
    LSTM,
    STEPS,
    Candidate,
    CoupledLSTM,
    Flow,
    PeepholeLSTM,
    Remembering,
    Reset,
    RNNLinear,
    RNNReLU,
    RNNTanh,
)
from gatebench.implementations.numba.panels import pack, pack_backward, project, project_back, unpack
from gatebench.implementations.numba.recurrence import run_backward, run_forward
from gatebench.implementations.numba.threads import claim_threads, count_threads, describe_threads

Kinds = tuple[type, ...]  # of the parts of a step
GATES: dict[str, Kinds] = {
    "rnn_linear": (RNNLinear,),
    "rnn_tanh": (RNNTanh,),
    "rnn_relu": (RNNReLU,),
    "lstm": (LSTM,),
    "lstm_peephole": (PeepholeLSTM,),
    "lstm_coupled": (CoupledLSTM,),
    "gru": (GRU,),
    "gru_reset_before": (Reset, Candidate),
    "gru_textbook": (Reset, Candidate),
}


class Operands(NamedTuple):
    """What a recurrence is computed from: W and U in panels, that of a step's second part by itself; None is absent."""

    weight_ih: Any
    weight_hh: Any
    bias_ih: Any
    bias_hh: Any
    x: Any
    h0: Any
    c0: Any = None
    weight_then: Any = None
    weight_ci: Any = None
    weight_cf: Any = None
    weight_co: Any = None


@prepared_implementation("numba", gates=list(GATES), devices=["cpu"], dtypes=["float32", "float64"], compiles=True)
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Pack W and U into panels; the panels are the leaves."""
    require_single(gate, "numba")
    claim_threads(case.threads)
    kinds, H = GATES[gate.name], case.shape.hidden_size
    if gate.name == "gru_textbook":
        params = _update_negated(params)
    blocks = STEPS[kinds[0]].blocks
    leaves = {name: value.detach().clone() for name, value in params.items()}
    leaves["weight_ih"] = pack(params["weight_ih"].t(), blocks)
    parts = dict(zip(("weight_hh", "weight_then"), [STEPS[kind].products for kind in kinds], strict=False))
    rows = params["weight_hh"].split([products * H for products in parts.values()])
    for (name, products), part in zip(parts.items(), rows, strict=True):
        leaves[name] = pack(part.t(), products)

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        operands = Operands(**leaves, **inputs)
        if torch.is_grad_enabled():
            results = Recurrence.apply(kinds, case.threads, *operands)
        else:
            results = finish(start(kinds, case.threads, operands, keep=False), case.threads, operands)
        return dict(zip(("output", "h", "c"), results, strict=False))

    def canonical(gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        recurrent = [unpack(gradients[name], products, H) for name, products in parts.items()]
        weights = {"weight_ih": unpack(gradients["weight_ih"], blocks, H), "weight_hh": torch.cat(recurrent)}
        named = {name: weights.get(name, gradients[name]) for name in params}
        return _update_negated(named) if gate.name == "gru_textbook" else named

    workers = min(case.threads, leaves["weight_hh"].shape[0])
    return Prepared(forward, leaves, canonical, lambda: describe_threads(workers), threads=count_threads)


def _update_negated(params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return GRU parameters, or gradients, with block z negated: z adds then where it kept, as σ(-a) = 1 - σ(a)."""
    blocks = {name: value.chunk(3) for name, value in params.items()}
    return {name: torch.cat((r, -z, n)) for name, (r, z, n) in blocks.items()}


class Recurrence(torch.autograd.Function):
    """A whole sequence as one node of autograd's graph."""

    @staticmethod
    def forward(ctx: Any, kinds: Kinds, threads: int, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        """Run the sequence and keep what the backward needs."""
        operands = Operands(*tensors)
        parts = start(kinds, threads, operands, keep=True)
        ctx.kinds, ctx.threads = kinds, threads
        panels = (operands.weight_ih, operands.weight_hh, operands.weight_then)
        ctx.save_for_backward(*panels, operands.x, *(tensor for part in parts for tensor in part))
        return finish(parts, threads, operands)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # once_differentiable hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Run the sequence back, then take all steps' weight and input gradients in one product each."""
        kinds, threads, (d_output, *d_states) = ctx.kinds, ctx.threads, grad_outputs
        weight_ih, weight_hh, weight_then, x, *arrays = ctx.saved_tensors
        fields = len(kinds[0]._fields)
        parts = [kind(*arrays[k * fields : (k + 1) * fields]) for k, kind in enumerate(kinds)]
        flow = run_back(parts, d_output, d_states, (weight_hh, weight_then), threads)
        blocks, H = STEPS[kinds[0]].blocks, d_output.shape[2]
        d_input, d_recurrent = flow.input.view(-1, blocks * H), flow.recurrent.view(-1, blocks * H)
        inputs, h = x.reshape(-1, x.shape[2]), parts[0].states[:-1]
        d_bias_hh = d_recurrent.sum(0)
        given: dict[str, Any] = dict.fromkeys(Operands._fields)
        given["weight_ih"] = pack(torch.mm(inputs.t(), d_input), blocks)
        given["bias_hh"] = d_bias_hh
        given["bias_ih"] = d_bias_hh.clone() if flow.input is flow.recurrent else d_input.sum(0)
        first = STEPS[kinds[0]].products
        given["weight_hh"] = pack(torch.mm(h.reshape(-1, H).t(), d_recurrent[:, : first * H]), first)
        if weight_then is not None:
            multiplied = (parts[0].gates[..., 0, :H] * h).view(-1, H)  # r ⊙ h
            given["weight_then"] = pack(torch.mm(multiplied.t(), d_recurrent[:, first * H :]), blocks - first)
        if kinds == (PeepholeLSTM,):
            (d_i, d_f, _, d_o), c = flow.input.unbind(2), parts[0].memory
            given["weight_ci"], given["weight_cf"] = (d_i * c[:-1]).sum((0, 1)), (d_f * c[:-1]).sum((0, 1))
            given["weight_co"] = (d_o * c[1:]).sum((0, 1))
        if ctx.needs_input_grad[2 + Operands._fields.index("x")]:
            given["x"] = project_back(d_input, pack_backward(weight_ih, blocks, H), x.shape[2], threads).view(x.shape)
        if len(d_states) == 2:
            given["h0"], given["c0"] = flow.carry[:, :H].contiguous(), flow.past
        else:
            given["h0"] = flow.carry[:, :H] + flow.past
        return None, None, *Operands(**given)


def start(kinds: Kinds, threads: int, operands: Operands, keep: bool) -> list[Any]:
    """Allocate the arrays of a sequence's parts, project all inputs and set the initial state."""
    x, (B, H), step, T = operands.x, operands.h0.shape, STEPS[kinds[0]], operands.x.shape[0]
    numba.set_num_threads(threads)
    gates = project(x.detach(), operands.weight_ih.detach(), step.blocks, threads)
    states = x.new_empty((T + 1, B, H))
    states[0] = operands.h0
    weights = operands.bias_ih + operands.bias_hh
    if kinds == (GRU,):  # c_n acts inside r ⊙ (U_n h + c_n), so it stays apart
        weights = torch.cat((weights[: 2 * H], operands.bias_ih[2 * H :], operands.bias_hh[2 * H :]))
    if kinds == (PeepholeLSTM,):
        weights = torch.cat((weights, operands.weight_ci, operands.weight_cf, operands.weight_co))
    arrays = [weights, states]
    if issubclass(kinds[0], Remembering):
        arrays.append(x.new_empty((T + 1 if keep and len(kinds) == 1 else 1, B, H)))
    if operands.c0 is not None:
        arrays[2][0] = operands.c0
    parts = []
    for kind, panels in zip(kinds, (operands.weight_hh, operands.weight_then), strict=False):
        products = STEPS[kind].products
        product = x.new_empty((B, products, panels.shape[0] * panels.shape[2] // products))
        parts.append(kind(gates, product, *arrays))
    return parts


def finish(parts: list[Any], threads: int, operands: Operands) -> tuple[Tensor, ...]:
    """Run the prepared sequence; returns output (T, B, H) and copies of the last states (B, H)."""
    panels = (operands.weight_hh, operands.weight_then)
    given = [arrays_of(value) for pair in zip(parts, panels, strict=False) for value in pair]
    run_forward(*given, *[None] * (4 - len(given)), min(threads, operands.weight_hh.shape[0]))
    output, h = parts[0].states[1:], parts[0].states[-1].clone()
    return (output, h) if operands.c0 is None else (output, h, parts[0].memory[-1].clone())


def run_back(
    parts: list[Any], d_output: Tensor, d_states: Sequence[Tensor], panels: Sequence[Tensor], threads: int
) -> Flow:
    """Run the sequence back; returns the gradients of its gates and of the initial state."""
    numba.set_num_threads(threads)
    (T, B, H), blocks = d_output.shape, STEPS[type(parts[0])].blocks
    packed = [
        pack_backward(part_panels, STEPS[type(part)].products, H)
        for part, part_panels in zip(parts, panels, strict=False)
    ]
    carry, past = d_output.new_zeros((B, packed[0].shape[0] * packed[0].shape[2])), d_output.new_zeros((B, H))
    for gradient, of_state in zip((carry[:, :H], past), d_states, strict=False):
        gradient.copy_(of_state)
    recurrent = d_output.new_empty((T, B, blocks, H))
    d_input = torch.empty_like(recurrent) if isinstance(parts[0], GRU) else recurrent
    flow = Flow(d_output.contiguous(), recurrent, d_input, carry, past)
    flows = (flow, flow._replace(carry=torch.empty_like(carry)))
    given = [arrays_of(value) for triple in zip(parts, flows, packed, strict=False) for value in triple]
    run_backward(*given, *[None] * (6 - len(given)), min(threads, packed[0].shape[0]))
    return flow


def arrays_of(tensors: Any) -> Any:
    """Return a NumPy view of a tensor, or the same named tuple with views of its tensors."""
    return tensors.detach().numpy() if isinstance(tensors, Tensor) else type(tensors)(*map(arrays_of, tensors))

"""`numba` for the GLU family: pointwise in one pass over memory, and the feed-forward blocks around it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numba
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatebench.cases import Case
from gatebench.contract import Prepared, prepared_implementation
from gatebench.gates import Gate
from gatebench.implementations.numba.pointwise import (
    GELU,
    Gating,
    GELUTanh,
    Identity,
    ReLU,
    Rows,
    Sigmoid,
    Swish,
    TanhSigmoid,
    gate_backward,
    gate_forward,
)
from gatebench.implementations.numba.threads import claim_threads, count_threads, describe_threads

CHUNK = 4096  # elements per row of two separate tensors: 16 KB of float32, so that all streams fit in L1

GATINGS: dict[str, type[Gating]] = {
    "glu": Sigmoid,
    "bilinear": Identity,
    "reglu": ReLU,
    "geglu": GELU,
    "geglu_tanh": GELUTanh,
    "swiglu": Swish,
    "gtu": TanhSigmoid,
}
BLOCKS = [f"{name}_ffn" for name in GATINGS]


@prepared_implementation("numba", gates=list(GATINGS), devices=["cpu"], dtypes=["float32", "float64"], compiles=True)
def prepare_glu(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Gate pointwise; there are no parameters."""
    claim_threads(case.threads)
    gating = _gating(gate)
    names = ("x",) if gate["packed"] else ("value", "gate")

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {"output": Gated.apply(gating, case.threads, *(inputs[name] for name in names))}

    elements = case.shape.batch * case.shape.seq_len * case.shape.hidden_size
    workers = _workers(case.threads, elements, case.shape.hidden_size if gate["packed"] else CHUNK)
    return Prepared(forward, params, kernel=lambda: describe_threads(workers), threads=count_threads)


@prepared_implementation("numba", gates=BLOCKS, devices=["cpu"], dtypes=["float32", "float64"], compiles=True)
def prepare_feed_forward(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Stack V on W, and c on b, so that both products with x are one."""
    claim_threads(case.threads)
    gating = _gating(gate)
    leaves = {"VW": torch.cat((params["V"], params["W"])).detach(), "W2": params["W2"].detach().clone()}
    if gate["bias"]:
        leaves["cb"] = torch.cat((params["c"], params["b"])).detach()

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        operands = (inputs["x"], leaves["VW"], leaves["W2"], leaves.get("cb"))
        return {"output": FeedForward.apply(gating, case.threads, *operands)}

    def canonical(gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        V, W = gradients["VW"].chunk(2)
        c, b = gradients["cb"].chunk(2) if gate["bias"] else (None, None)
        named = {"W": W, "V": V, "W2": gradients["W2"], "b": b, "c": c}
        return {name: named[name] for name in params}

    return Prepared(forward, leaves, canonical, lambda: describe_threads(case.threads), threads=count_threads)


def _gating(gate: Gate) -> Gating:
    return GATINGS[gate.name.removesuffix("_ffn")](gate["beta"] if "beta" in gate.options else 1.0)


class Gated(torch.autograd.Function):
    """val(value) ⊙ act(gate), from two tensors or one packed x."""

    @staticmethod
    def forward(ctx: Any, gating: Gating, threads: int, *inputs: Tensor) -> Tensor:
        """Gate and keep the inputs."""
        ctx.gating, ctx.threads = gating, threads
        ctx.save_for_backward(*inputs)
        return gated(gating, threads, *inputs)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # once_differentiable hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of value and gate, or of x."""
        (d_output,) = grad_outputs
        return None, None, *gated_gradients(ctx.gating, ctx.threads, d_output, *ctx.saved_tensors)


class FeedForward(torch.autograd.Function):
    """(val(x Vᵀ + c) ⊙ act(x Wᵀ + b)) W2ᵀ: torch's matrix products around the pointwise kernel."""

    @staticmethod
    def forward(ctx: Any, gating: Gating, threads: int, x: Tensor, VW: Tensor, W2: Tensor, cb: Tensor | None) -> Tensor:
        """Compute the block; keeps x Vᵀ + c, x Wᵀ + b and the hidden layer."""
        products = F.linear(x.reshape(-1, x.shape[-1]), VW, cb)
        hidden = gated(gating, threads, products)
        ctx.gating, ctx.threads, ctx.bias = gating, threads, cb is not None
        ctx.save_for_backward(x, VW, W2, products, hidden)
        return torch.mm(hidden, W2.t()).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # once_differentiable hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, VW, W2 and cb."""
        (d_output,) = grad_outputs
        x, VW, W2, products, hidden = ctx.saved_tensors
        d_tokens = d_output.reshape(-1, x.shape[-1])
        (d_products,) = gated_gradients(ctx.gating, ctx.threads, torch.mm(d_tokens, W2), products)
        d_x = torch.mm(d_products, VW).view(x.shape) if ctx.needs_input_grad[2] else None
        d_VW, d_W2 = torch.mm(d_products.t(), x.reshape(-1, x.shape[-1])), torch.mm(d_tokens.t(), hidden)
        return None, None, d_x, d_VW, d_W2, d_products.sum(0) if ctx.bias else None


def gated(gating: Gating, threads: int, *inputs: Tensor, carried: Tensor | None = None) -> Tensor:
    """Return val(value) ⊙ act(gate) (..., H) of value and gate (..., H), or of one x (..., 2H); see `pointwise`."""
    output = inputs[0].new_empty((*inputs[0].shape[:-1], inputs[0].shape[-1] // (3 - len(inputs))))
    rows = _rows(inputs, output)
    numba.set_num_threads(threads)
    arrays = (*_value_and_gate(inputs), None if carried is None else _flat(carried), _flat(output))
    gate_forward(gating, rows, *arrays, _workers(threads, rows.n, rows.width))
    return output


def gated_gradients(
    gating: Gating, threads: int, d_output: Tensor, *inputs: Tensor, carried: Tensor | None = None
) -> list[Tensor]:
    """Return the gradients of the inputs of `gated`, then of `carried`, from that of its output."""
    gradients = [tensor.new_empty(tensor.shape) for tensor in inputs]
    rows = _rows(inputs, d_output)
    numba.set_num_threads(threads)
    d_carried = [] if carried is None else [carried.new_empty(carried.shape)]
    passed = (None, None) if carried is None else (_flat(carried), _flat(d_carried[0]))
    arrays = (*_value_and_gate(inputs), passed[0], _flat(d_output), *_value_and_gate(gradients), passed[1])
    gate_backward(gating, rows, *arrays, _workers(threads, rows.n, rows.width))
    return [*gradients, *d_carried]


def _value_and_gate(tensors: Sequence[Tensor]) -> tuple[Any, Any]:
    flat = [_flat(tensor) for tensor in tensors]
    return flat[0], flat[-1]


def _flat(tensor: Tensor) -> Any:
    return tensor.detach().contiguous().view(-1).numpy()  # one dimension for all, so that kernels compile once


def _rows(inputs: tuple[Tensor, ...], output: Tensor) -> Rows:
    if len(inputs) == 1:
        H = output.shape[-1]
        return Rows(output.numel(), H, 2 * H, H)
    return Rows(output.numel(), CHUNK, CHUNK, 0)


def _workers(threads: int, elements: int, width: int) -> int:
    return min(threads, -(-elements // width))

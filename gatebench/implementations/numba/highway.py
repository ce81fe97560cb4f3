"""`numba` for highway layers: one product with both weights and one pointwise pass over its outcome and the input."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from gatebench.cases import Case
from gatebench.contract import Prepared, prepared_implementation
from gatebench.gates import Gate
from gatebench.implementations.numba.glu import gated, gated_gradients
from gatebench.implementations.numba.pointwise import Gating, ReLUSigmoid, TanhSigmoid
from gatebench.implementations.numba.threads import claim_threads, count_threads, describe_threads

GATINGS: dict[str, type[Gating]] = {"tanh": TanhSigmoid, "relu": ReLUSigmoid}


@prepared_implementation("numba", gates=["highway"], devices=["cpu"], dtypes=["float32", "float64"], compiles=True)
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Stack W_H on W_T and b_H on b_T, so that both products with x are one."""
    claim_threads(case.threads)
    gating = GATINGS[gate["activation"]](1.0)
    leaves = {name: torch.cat((params[f"{name}_H"], params[f"{name}_T"])).detach() for name in ("W", "b")}

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {"output": Highway.apply(gating, case.threads, inputs["x"], leaves["W"], leaves["b"])}

    def canonical(gradients: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        halves = {name: gradient.chunk(2) for name, gradient in gradients.items()}
        return {f"{name}_{path}": half for name, pair in halves.items() for path, half in zip("HT", pair, strict=True)}

    return Prepared(forward, leaves, canonical, lambda: describe_threads(case.threads), threads=count_threads)


class Highway(torch.autograd.Function):
    """φ(x W_Hᵀ + b_H) ⊙ T + x ⊙ (1 - T), T = σ(x W_Tᵀ + b_T): torch's matrix products around the pointwise kernel."""

    @staticmethod
    def forward(ctx: Any, gating: Gating, threads: int, x: Tensor, W: Tensor, b: Tensor) -> Tensor:
        """Compute the layer; keeps both products."""
        tokens = x.reshape(-1, x.shape[-1])
        products = F.linear(tokens, W, b)
        ctx.gating, ctx.threads = gating, threads
        ctx.save_for_backward(x, W, products)
        return gated(gating, threads, products, carried=tokens).view(x.shape)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]  # once_differentiable hides the names
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        """Return the gradients of x, W and b."""
        (d_output,) = grad_outputs
        x, W, products = ctx.saved_tensors
        tokens, d_tokens = x.reshape(-1, x.shape[-1]), d_output.reshape(-1, x.shape[-1])
        d_products, d_x = gated_gradients(ctx.gating, ctx.threads, d_tokens, products, carried=tokens)
        d_x = d_x.addmm_(d_products, W).view(x.shape) if ctx.needs_input_grad[2] else None
        return None, None, d_x, torch.mm(d_products.t(), tokens), d_products.sum(0)

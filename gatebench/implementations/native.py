"""`native`: torch's own fused operators, with cuDNN off (on CPU oneDNN where torch uses it)."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from gatebench.cases import Case
from gatebench.contract import Prepared, Unsupported, prepared_implementation
from gatebench.gates import Gate
from gatebench.gates.convolution import GatedConvolution
from gatebench.implementations.torch_modules import MODULES, prepare_module

_OWN_ATTENTION = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
# Gates whose activation is one operator of torch; GLU's is F.glu, and of the others torch has none.
ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "reglu": F.relu,
    "geglu": F.gelu,
    "geglu_tanh": functools.partial(F.gelu, approximate="tanh"),
    "swiglu": F.silu,
}


@prepared_implementation(
    "native",
    gates=list(MODULES),
    operators=["aten::mkldnn_rnn_layer", "aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"],
)
def prepare_recurrent(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use torch.nn.RNN, LSTM or GRU."""

    def guard() -> AbstractContextManager[object]:
        return torch.backends.cudnn.flags(enabled=False) if case.device == "cuda" else nullcontext()

    return prepare_module(gate, case, params, guard)


@prepared_implementation("native", gates=["glu"], operators=["aten::glu"])
def prepare_glu(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use F.glu, which wants one packed tensor: for two inputs the copy into one is inside the clock."""
    if gate["packed"]:
        return Prepared(lambda leaves, inputs: {"output": F.glu(inputs["x"], dim=-1)}, params)
    return Prepared(
        lambda leaves, inputs: {"output": F.glu(torch.cat((inputs["value"], inputs["gate"]), dim=-1), dim=-1)}, params
    )


@prepared_implementation("native", gates=["glu_ffn"], operators=["aten::glu"])
def prepare_glu_feed_forward(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use F.glu on one product with both weights, value first: they are packed once, and the packed one is the leaf."""
    leaves = {"VW": torch.cat((params["V"], params["W"])), "W2": params["W2"]}
    if gate["bias"]:
        leaves["cb"] = torch.cat((params["c"], params["b"]))

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hidden = F.glu(F.linear(inputs["x"], leaves["VW"], leaves.get("cb")), dim=-1)
        return {"output": F.linear(hidden, leaves["W2"])}

    def canonical(gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        V, W = gradients["VW"].chunk(2)
        found = {"W": W, "V": V, "W2": gradients["W2"]}
        if gate["bias"]:
            found["c"], found["b"] = gradients["cb"].chunk(2)
        return found

    return Prepared(forward, leaves, canonical)


@prepared_implementation("native", gates=["gated_conv"], devices=["cpu"], operators=["aten::glu"])
def prepare_gated_conv(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use F.glu on the channels of one convolution. On CUDA that would be cuDNN's, which `native` stands beside."""
    assert isinstance(gate, GatedConvolution)
    return Prepared(lambda leaves, inputs: {"output": F.glu(gate.convolve(leaves, inputs), dim=1)}, params)


@prepared_implementation(
    "native", gates=["gated_attention"],
    operators=[
        "aten::_scaled_dot_product_flash_attention_for_cpu", "aten::_scaled_dot_product_flash_attention",
        "aten::_scaled_dot_product_efficient_attention", "aten::_scaled_dot_product_attention_math",
    ],
)  # fmt: skip
def prepare_gated_attention(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use F.scaled_dot_product_attention, which picks a fused kernel where it has one; on CUDA any but cuDNN's."""
    heads = gate["heads"]

    def guard() -> AbstractContextManager[object]:
        return sdpa_kernel(_OWN_ATTENTION) if case.device == "cuda" else nullcontext()

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = inputs["x"]
        q, k, v = (
            product.unflatten(-1, (heads, -1)).transpose(1, 2)
            for product in F.linear(x, leaves["in_proj_weight"]).chunk(3, dim=-1)
        )
        with guard():
            y = F.scaled_dot_product_attention(q, k, v, is_causal=gate["causal"]).transpose(1, 2)
        gates = torch.sigmoid(F.linear(x, leaves["gate_weight"])).unflatten(-1, (heads, -1))
        return {"output": F.linear((y * gates).flatten(-2), leaves["out_proj_weight"])}

    return Prepared(forward, params)


@prepared_implementation("native", gates=list(ACTIVATIONS), operators=["aten::silu", "aten::gelu", "aten::relu"])
def prepare_gated(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use torch's activation and a product."""
    activate = _activation(gate)
    if gate["packed"]:

        def packed(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            value, gate_input = inputs["x"].chunk(2, dim=-1)
            return {"output": value * activate(gate_input)}

        return Prepared(packed, params)
    return Prepared(lambda leaves, inputs: {"output": inputs["value"] * activate(inputs["gate"])}, params)


@prepared_implementation(
    "native", gates=[f"{name}_ffn" for name in ACTIVATIONS], operators=["aten::silu", "aten::gelu", "aten::relu"]
)
def prepare_feed_forward(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use torch's activation between its matrix products."""
    activate = _activation(gate)

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x = inputs["x"]
        hidden = activate(F.linear(x, leaves["W"], leaves.get("b"))) * F.linear(x, leaves["V"], leaves.get("c"))
        return {"output": F.linear(hidden, leaves["W2"])}

    return Prepared(forward, params)


def _activation(gate: Gate) -> Callable[[Tensor], Tensor]:
    if "beta" in gate.options and gate["beta"] != 1.0:
        raise Unsupported(f"torch has no fused Swish with beta={gate['beta']}, only F.silu (beta=1)")
    return ACTIVATIONS[gate.name.removesuffix("_ffn")]

"""`native`: torch's own fused operators, with cuDNN off (on CPU oneDNN where torch uses it)."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, Unsupported, prepared_implementation
from gatebench.gates import Gate
from gatebench.implementations.torch_modules import MODULES, prepare_module

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

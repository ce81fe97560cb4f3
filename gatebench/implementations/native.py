"""`native`: torch's own fused operators, with cuDNN off (on CPU oneDNN where torch uses it)."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, Unsupported, prepared_implementation
from gatebench.gates import Gate
from gatebench.implementations.torch_modules import MODULES, prepare_module


@prepared_implementation(
    "native",
    gates=list(MODULES),
    operators=["aten::mkldnn_rnn_layer", "aten::lstm", "aten::gru", "aten::rnn_tanh"],
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


@prepared_implementation("native", gates=["swiglu"], operators=["aten::silu"])
def prepare_swiglu(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use F.silu and a product."""
    _only_silu(gate)
    if gate["packed"]:

        def packed(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
            value, gate_input = inputs["x"].chunk(2, dim=-1)
            return {"output": value * F.silu(gate_input)}

        return Prepared(packed, params)
    return Prepared(lambda leaves, inputs: {"output": inputs["value"] * F.silu(inputs["gate"])}, params)


@prepared_implementation("native", gates=["swiglu_ffn"], operators=["aten::silu"])
def prepare_swiglu_ffn(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use F.silu between torch's matrix products."""
    _only_silu(gate)

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hidden = F.silu(F.linear(inputs["x"], leaves["W"])) * F.linear(inputs["x"], leaves["V"])
        return {"output": F.linear(hidden, leaves["W2"])}

    return Prepared(forward, params)


def _only_silu(gate: Gate) -> None:
    if gate["beta"] != 1.0:
        raise Unsupported(f"torch has no fused Swish with beta={gate['beta']}, only F.silu (beta=1)")

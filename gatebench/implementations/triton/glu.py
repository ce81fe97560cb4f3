"""`triton` for the GLU family: the pointwise gates in one kernel each way, and their feed-forward blocks around it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, prepared_implementation
from gatebench.gates import Gate
from gatebench.implementations.triton.settings import SETTINGS, block_of, describe

if TYPE_CHECKING:
    from gatebench.implementations.triton.pointwise import Kinds

# Gate -> what is applied to its value and to its gate.
ACTIVATIONS = {
    "glu": ("identity", "sigmoid"),
    "bilinear": ("identity", "identity"),
    "reglu": ("identity", "relu"),
    "geglu": ("identity", "gelu"),
    "geglu_tanh": ("identity", "gelu_tanh"),
    "swiglu": ("identity", "swish"),
    "gtu": ("tanh", "sigmoid"),
}


@prepared_implementation("triton", gates=list(ACTIVATIONS), **SETTINGS)
def prepare_pointwise(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Gate pointwise; there are no parameters."""
    from gatebench.implementations.triton.pointwise import Gated

    kinds, names = kinds_of(gate), list(gate.input_shapes(case.shape))

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"output": Gated.apply(kinds, *(inputs[name] for name in names))}

    return Prepared(forward, params, detail=lambda: describe_launch(case, kinds, packed=gate["packed"]))


@prepared_implementation("triton", gates=[f"{name}_ffn" for name in ACTIVATIONS], **SETTINGS)
def prepare_feed_forward(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Stack V and W, and their biases, into one leaf each: both products with x are one of torch's."""
    from gatebench.implementations.triton.pointwise import Gated

    kinds = kinds_of(gate)
    leaves = {"VW": torch.cat((params["V"], params["W"])), "W2": params["W2"]}
    if gate["bias"]:
        leaves["cb"] = torch.cat((params["c"], params["b"]))

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        hidden = Gated.apply(kinds, F.linear(inputs["x"], leaves["VW"], leaves.get("cb")))
        return {"output": F.linear(hidden, leaves["W2"])}

    def canonical(gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        V, W = gradients["VW"].chunk(2)
        c, b = gradients["cb"].chunk(2) if gate["bias"] else (None, None)
        found = {"W": W, "V": V, "W2": gradients["W2"], "b": b, "c": c}
        return {name: value for name, value in found.items() if value is not None}

    return Prepared(forward, leaves, canonical, detail=lambda: describe_launch(case, kinds, packed=True))


def kinds_of(gate: Gate) -> "Kinds":
    """Return what the kernel applies for a gate."""
    from gatebench.implementations.triton.pointwise import Kinds

    beta = gate["beta"] if "beta" in gate.options else 1.0
    return Kinds(*ACTIVATIONS[gate.name.removesuffix("_ffn")], beta)


def describe_launch(case: Case, kinds: "Kinds", packed: bool) -> dict[str, object]:
    """Return what a row's detail says of a launch."""
    from gatebench.implementations.triton.pointwise import BLOCK

    H, tokens = case.shape.hidden_size, case.shape.batch * case.shape.seq_len
    return describe(
        case.mode, "gate", block_of(H if packed else tokens * H, BLOCK), activations=[kinds.value, kinds.gate]
    )

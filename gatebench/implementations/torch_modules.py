"""torch.nn's recurrent modules as implementations: shared by `native` (cuDNN off) and `cudnn` (cuDNN on)."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from gatebench.cases import Case
from gatebench.contract import Prepared, Unsupported
from gatebench.gates import Gate

MODULES: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn_tanh": nn.RNN,
    "rnn_relu": functools.partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "lstm_projected": nn.LSTM,
    "gru": nn.GRU,
}


def prepare_module(
    gate: Gate, case: Case, params: Mapping[str, Tensor], guard: Callable[[], AbstractContextManager[object]]
) -> Prepared:
    """Build the module of a recurrent gate around `params`; its own parameters are the leaves.

    guard() is entered around every call, e.g. to switch cuDNN off. Raises Unsupported for an LSTM projected to its own
    width, which torch does not take.
    """
    example, state = params["weight_ih"], gate.state(case.shape)
    sizes: dict[str, int] = {}
    if gate.name == "lstm_projected":
        if state["h"] == state["c"]:
            raise Unsupported(f"torch.nn.LSTM takes proj_size below hidden_size, and both are {state['c']}")
        sizes["proj_size"] = state["h"]
    # By way of the meta device, which draws nothing: the weights are given, and the caller's random state stays.
    module = MODULES[gate.name](
        case.shape.input_size, case.shape.hidden_size, dtype=example.dtype, device="meta", **sizes
    )
    module.to_empty(device=example.device)
    leaves = {name: getattr(module, f"{name}_l0") for name in params}
    with torch.no_grad():
        for name, leaf in leaves.items():
            leaf.copy_(params[name])
    module.train(case.mode != "forward")  # in training cuDNN also keeps what its backward needs

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        with guard():
            if "c" in state:
                output, (h, c) = module(inputs["x"], (inputs["h0"][None], inputs["c0"][None]))
                return {"output": output, "h": h[0], "c": c[0]}
            output, h = module(inputs["x"], inputs["h0"][None])
            return {"output": output, "h": h[0]}

    return Prepared(forward, leaves)

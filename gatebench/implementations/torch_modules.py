"""torch.nn's recurrent modules as implementations: shared by `native` (cuDNN off) and `cudnn` (cuDNN on)."""

import functools
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatebench.cases import Case
from gatebench.contract import Prepared, Unsupported
from gatebench.gates import Gate
from gatebench.gates.recurrent.layers import Layered

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
    if isinstance(gate, Layered):
        kind = {"num_layers": gate["num_layers"], "bidirectional": gate["bidirectional"]}
        passes, ragged = len(gate.passes), gate["lengths"]
    else:
        if state["h"] == state["c"]:
            raise Unsupported(f"torch.nn.LSTM takes proj_size below hidden_size, and both are {state['c']}")
        kind, passes, ragged = {"proj_size": state["h"]}, 1, False
    # By way of the meta device, which draws nothing: the weights are given, and the caller's random state stays.
    module = MODULES[gate.name](
        case.shape.input_size, case.shape.hidden_size, dtype=example.dtype, device="meta", **kind
    )
    module.to_empty(device=example.device)
    leaves = {name: getattr(module, _torchs_name(name)) for name in params}
    with torch.no_grad():
        for name, leaf in leaves.items():
            leaf.copy_(params[name])
    module.train(case.mode != "forward")  # in training cuDNN also keeps what its backward needs

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        start = [_by_pass(inputs[f"{part}0"], passes) for part in state]
        x = inputs["x"]
        if ragged:
            if not x.shape[1]:
                raise Unsupported("torch packs no empty batch")
            x = pack_padded_sequence(x, inputs["lengths"], enforce_sorted=False)
        with guard():
            output, final = module(x, tuple(start) if len(start) > 1 else start[0])
        if ragged:
            output, _ = pad_packed_sequence(output, total_length=len(inputs["x"]))
        finals = final if len(start) > 1 else (final,)
        return {"output": output, **{part: _by_row(value) for part, value in zip(state, finals, strict=True)}}

    return Prepared(forward, leaves)


def _torchs_name(name: str) -> str:
    """Return torch's name of a parameter, which numbers the first layer, too: weight_ih_reverse is weight_ih_l0_reverse."""
    base = name.removesuffix("_reverse")
    return base + ("" if re.search(r"_l\d+$", base) else "_l0") + name[len(base) :]


def _by_pass(state: Tensor, passes: int) -> Tensor:
    """Turn (B, P·H) into torch's (P, B, H): a copy only where there are several passes."""
    return state[None] if passes == 1 else state.unflatten(-1, (passes, -1)).transpose(0, 1).contiguous()


def _by_row(state: Tensor) -> Tensor:
    """Turn torch's (P, B, H) into (B, P·H)."""
    return state[0] if len(state) == 1 else state.transpose(0, 1).flatten(1)

"""torch.nn's recurrent modules as implementations: shared by `native` (cuDNN off) and `cudnn` (cuDNN on)."""

import functools
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gatebench.cases import Case
from gatebench.contract import Prepared
from gatebench.gates import Gate
from gatebench.gates.recurrent.layers import Layered

_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
MODULES: dict[str, Callable[..., nn.RNNBase]] = {
    "rnn_tanh": nn.RNN,
    "rnn_relu": functools.partial(nn.RNN, nonlinearity="relu"),
    "lstm": nn.LSTM,
    "gru": nn.GRU,
}


def prepare_module(
    gate: Gate, case: Case, params: Mapping[str, Tensor], guard: Callable[[], AbstractContextManager[object]]
) -> Prepared:
    """Build the module of a recurrent gate around `params`; its own parameters are the leaves.

    guard() is entered around every call, e.g. to switch cuDNN off.
    """
    assert isinstance(gate, Layered)
    example, names = (
        params["weight_ih"],
        {
            f"{name}{each.suffix}": f"{name}_l{each.layer}" + ("_reverse" if each.reverse else "")
            for each in gate.passes
            for name in _WEIGHTS
        },
    )
    # By way of the meta device, which draws nothing: the weights are given, and the caller's random state stays.
    module = MODULES[gate.name](
        case.shape.input_size, case.shape.hidden_size, num_layers=gate["num_layers"],
        bidirectional=gate["bidirectional"], dtype=example.dtype, device="meta",
    )  # fmt: skip
    module.to_empty(device=example.device)
    leaves = {name: getattr(module, theirs) for name, theirs in names.items()}
    with torch.no_grad():
        for name, leaf in leaves.items():
            leaf.copy_(params[name])
    module.train(case.mode != "forward")  # in training cuDNN also keeps what its backward needs
    passes = len(gate.passes)

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        start = [_by_pass(inputs[f"{part}0"], passes) for part in gate.parts]
        x = inputs["x"]
        if gate["lengths"]:
            x = pack_padded_sequence(x, inputs["lengths"], enforce_sorted=False)
        with guard():
            output, final = module(x, tuple(start) if len(start) > 1 else start[0])
        if gate["lengths"]:
            output, _ = pad_packed_sequence(output, total_length=len(inputs["x"]))
        final = final if len(start) > 1 else (final,)
        return {"output": output, **{part: _by_row(value) for part, value in zip(gate.parts, final, strict=True)}}

    return Prepared(forward, leaves)


def _by_pass(state: Tensor, passes: int) -> Tensor:
    """Turn (B, P·H) into torch's (P, B, H): a copy only where there are several passes."""
    return state[None] if passes == 1 else state.unflatten(-1, (passes, -1)).transpose(0, 1).contiguous()


def _by_row(state: Tensor) -> Tensor:
    """Turn torch's (P, B, H) into (B, P·H)."""
    return state[0] if len(state) == 1 else state.transpose(0, 1).flatten(1)

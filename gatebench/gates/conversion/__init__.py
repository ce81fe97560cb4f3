"""Foreign parameters in a gate's own layout: one file per library or text that lays them out otherwise."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gatebench.errors import UserError, unknown
from gatebench.gates.base import Gate
from gatebench.gates.conversion import keras, onnx, pytorch, tensorflow1, textbook
from gatebench.gates.conversion.given import Given
from gatebench.gates.conversion.layout import canonical_shapes, negated
from gatebench.gates.recurrent.layers import Layered

WORDS = {"direction": ("forward", "reverse"), "update_gate": ("keeps", "adds")}


@dataclass(frozen=True)
class Source:
    """A foreign layout: what reads it, the gates it has, and the keywords of `convert` that mean something to it."""

    read: Callable[[Gate, Given], dict[str, Tensor]]
    gates: Collection[str]
    keywords: tuple[str, ...] = ()


SOURCES = {
    "torch": Source(pytorch.read, pytorch.GATES, ("layer", "direction")),
    "keras": Source(keras.read, keras.LETTERS),
    "onnx": Source(onnx.read, onnx.LETTERS, ("direction",)),
    "textbook": Source(textbook.read, textbook.GATES, ("update_gate",)),
    "tensorflow1": Source(tensorflow1.read, tensorflow1.LETTERS, ("forget_bias",)),
}


def convert(
    gate: Gate | str,
    params: Mapping[str, Any],
    *,
    source: str,
    layer: int | None = None,
    direction: str | None = None,
    forget_bias: float = 1.0,
    update_gate: str | None = None,
) -> dict[str, Tensor]:
    """Return foreign parameters in the gate's own names, shapes and block order, as independent copies.

    params maps the source's names to tensors or numpy arrays of one float dtype, which is kept. By source they are:

    torch        the state dict of nn.RNN, nn.LSTM or nn.GRU, or of a model that holds one (weight_ih_l0, ...);
                 for feed-forward gates gate_proj, up_proj, down_proj (Llama, Gemma) or wi_0, wi_1, wo (T5)
    keras        Keras 3's kernel (I, G·H), recurrent_kernel (H, G·H) and bias; GRU(reset_after=True), bias (2, 3H), is
                 `gru`, and reset_after=False, bias (3H,), is `gru_reset_before`
    onnx         the operators' inputs W, R, B, P with their leading num_directions; GRU with linear_before_reset=1 is
                 `gru`, with 0 it is `gru_reset_before`
    textbook     a matrix per gate, W_f (H, I), U_f (H, H), b_f (H,), ...: σ(W x + U h + b); see `textbook.read`
    tensorflow1  kernel (I + H, G·H) and bias of BasicRNNCell, BasicLSTMCell, LSTMCell, GRUCell; see `tensorflow1.read`

    layer, direction  which of torch's; which of ONNX' two directions (a node with one has only that): to be said where
                      there are several, of torch's two at least one: the other is then 0 or forward; a gate that has
                      several layers or directions itself takes all of them from torch, both directions from ONNX
    forget_bias       what TensorFlow's LSTM cells add to f beyond the stored bias
    update_gate       what the text's z does: "keeps" the old state, h = z ⊙ h' + (1 - z) ⊙ n, or "adds" the new one,
                      h = (1 - z) ⊙ h' + z ⊙ n; None: what the gate's own z does

    A bias that is missing is zero. Where there is one bias it becomes bias_ih, and bias_hh is zero, but for TensorFlow's
    forget_bias. z of torch, Keras, ONNX and TensorFlow keeps: for `gru_textbook` the block z is negated.

    Raises UserError for an unknown source, a gate that it has no form of, a keyword that says nothing there, names that
    are missing, unknown or ambiguous, wrong shapes and dtypes. What parameters do not show, as activations and
    clipping, is not checked.
    """
    if isinstance(gate, str):
        from gatebench.registry import default_registry

        gate = default_registry().gate(gate)()
    if source not in SOURCES:
        raise unknown("convert", "source", source, SOURCES)
    chosen, where = SOURCES[source], f"convert {gate.name} from {source}"
    if gate.name not in chosen.gates:
        raise UserError(where, "it has no form of this gate", f"accepted: {', '.join(chosen.gates)}")
    if not isinstance(params, Mapping) or not all(isinstance(name, str) for name in params):
        raise UserError(
            where, f"params is a {type(params).__name__}", "accepted: a mapping of names to tensors or arrays"
        )
    given = Given(where, params, layer, direction, forget_bias, update_gate)
    if isinstance(gate, Layered) and len(gate.passes) > 1:
        found = _read_stack(gate, source, given)
    else:
        _check_keywords(gate, chosen, given)
        found = chosen.read(gate, given)
    if gate.memory_sign < 0 and gate.memory_block:
        found = {name: negated(value, gate.blocks(name), gate.memory_block) for name, value in found.items()}
    return {name: found[name].clone(memory_format=torch.contiguous_format) for name in canonical_shapes(gate, 1, 1)}


def _read_stack(gate: Layered, source: str, given: Given) -> dict[str, Tensor]:
    """Read all layers and directions of a gate that has several, pass by pass."""
    means = SOURCES[source].keywords
    missing = [
        option
        for option, keyword, default in (("num_layers", "layer", 1), ("bidirectional", "direction", False))
        if gate[option] != default and keyword not in means
    ]
    if missing:
        what = f"{missing[0]} = {gate[missing[0]]}"
        raise UserError(given.where, what, "accepted: one pass, in its own gate", "convert pass by pass")
    for name in ("layer", "direction"):
        if getattr(given, name) != getattr(Given, name):
            raise UserError(
                given.where, f"{name} = {getattr(given, name)!r} says nothing here", "", f"leave out {name}"
            )
    endings = {each: f"_l{each.layer}" + ("_reverse" if each.reverse else "") for each in gate.passes}
    one, found = type(gate)(), {}
    for each in gate.passes:
        direction = "reverse" if each.reverse else "forward"
        own = replace(given, layer=each.layer, direction=direction, passes=tuple(endings.values()))
        found |= {name + each.suffix: value for name, value in SOURCES[source].read(one, own).items()}
    for name, shape in canonical_shapes(gate, found["weight_ih"].shape[1], found["weight_hh"].shape[1]).items():
        if found[name].shape != shape:
            raise UserError(given.where, f"{name} has shape {tuple(found[name].shape)}", f"accepted: {shape}")
    return found


def _check_keywords(gate: Gate, source: Source, given: Given) -> None:
    """Raise UserError for a keyword that is not at its default and means nothing to the source or the gate."""
    letters = gate.blocks("weight_ih")
    means = {
        "layer": bool(letters),
        "direction": bool(letters),
        "forget_bias": "f" in letters,
        "update_gate": "z" in letters,
    }
    for name, applies in means.items():
        value = getattr(given, name)
        if value == getattr(Given, name):
            continue
        if not applies or name not in source.keywords:
            raise UserError(given.where, f"{name} = {value!r} says nothing here", next_step=f"leave out {name}")
        if name in WORDS and value not in WORDS[name]:
            raise unknown(given.where, name, value, WORDS[name])

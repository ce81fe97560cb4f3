"""Converted layers and directions: one of a torch module's, and whole stacks of gates that have several."""

import pytest
import torch
from convert_helpers import MODULES, SHAPE, TOLERANCE, random
from torch import nn

from gatebench import gates
from gatebench.errors import UserError


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("prefix", ["", "encoder.rnn."])
@pytest.mark.parametrize("name", MODULES)
def test_layers_and_directions_of_a_torch_module_in_sequence(name, prefix, bias):
    I, H = SHAPE.input_size, SHAPE.hidden_size
    module = MODULES[name](I, H, num_layers=2, bidirectional=True, bias=bias, dtype=torch.float64)
    params = {prefix + key: value for key, value in module.state_dict().items()}
    params |= {"head.weight": torch.ones(1)}
    gate = gates.get(name)
    x = torch.tensor(random(SHAPE.seq_len, SHAPE.batch, I))
    parts = [torch.tensor(random(4, SHAPE.batch, H, seed=seed)) for seed in range(len(gate.state(SHAPE)))]
    expected, _ = module(x, tuple(parts) if name == "lstm" else parts[0])
    for layer in (0, 1):
        outputs = []
        for way, direction in enumerate(("forward", "reverse")):
            found = gates.convert(gate, params, source="torch", layer=layer, direction=direction)
            initial = {f"{part}0": value[2 * layer + way] for part, value in zip(gate.state(SHAPE), parts, strict=True)}
            output = gate.forward(found, {"x": x.flip(0) if way else x, **initial})["output"]
            outputs.append(output.flip(0) if way else output)
        x = torch.cat(outputs, dim=-1)
    torch.testing.assert_close(x, expected.detach(), **TOLERANCE)


# --- gates that have several layers or directions themselves


@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 2, "bidirectional": True}]
)
@pytest.mark.parametrize("name", MODULES)
def test_a_whole_stack_of_a_torch_module(name, options):
    gate = gates.get(name, **options)
    module = MODULES[name](SHAPE.input_size, SHAPE.hidden_size, **options)
    found = gates.convert(gate, module.state_dict(), source="torch")
    assert list(found) == list(gate.parameters(SHAPE))
    for key, value in found.items():
        base, layer, reverse = key.removesuffix("_reverse"), 0, "_reverse" * key.endswith("_reverse")
        if base.endswith("_l1"):
            base, layer = base.removesuffix("_l1"), 1
        assert torch.equal(value, getattr(module, f"{base}_l{layer}{reverse}"))


def test_both_directions_of_an_onnx_node():
    gate = gates.get("rnn_tanh", bidirectional=True)
    params = {"W": random(2, 4, 5), "R": random(2, 4, 4)}
    found = gates.convert(gate, params, source="onnx")
    assert torch.equal(found["weight_ih_reverse"], torch.from_numpy(params["W"][1]))
    assert torch.equal(found["weight_hh"], torch.from_numpy(params["R"][0]))


@pytest.mark.parametrize(
    ("options", "source", "keywords", "message"),
    [
        ({"num_layers": 2}, "onnx", {}, "num_layers = 2; accepted: one pass, in its own gate; convert pass by pass"),
        ({"bidirectional": True}, "keras", {}, "bidirectional = True; accepted: one pass"),
        ({"num_layers": 2}, "torch", {"layer": 1}, "layer = 1 says nothing here"),
    ],
)
def test_what_a_stack_cannot_be_read_from_is_an_error(options, source, keywords, message):
    with pytest.raises(UserError, match=message):
        gates.convert(gates.get("lstm", **options), {}, source=source, **keywords)


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ({"num_layers": 2, "bidirectional": True}, {"num_layers": 2}, "unknown parameter 'weight_ih_l0_reverse'"),
        ({"num_layers": 3}, {"num_layers": 2}, "unknown parameter 'weight_ih_l2'"),
        ({"num_layers": 1}, {"num_layers": 2}, "no parameter weight_ih_l1"),
    ],
)
def test_another_stack_than_the_gates_is_an_error(theirs, ours, message):
    module = nn.LSTM(SHAPE.input_size, SHAPE.hidden_size, **theirs)
    with pytest.raises(UserError, match=message):
        gates.convert(gates.get("lstm", **ours), module.state_dict(), source="torch")


def test_layers_of_another_width_are_an_error():
    state = nn.LSTM(SHAPE.input_size, SHAPE.hidden_size, num_layers=2).state_dict()
    state["weight_ih_l1"] = torch.zeros(4 * SHAPE.hidden_size, 2 * SHAPE.hidden_size)
    with pytest.raises(UserError, match=r"weight_ih_l1 has shape \(16, 8\); accepted: \(16, 4\)"):
        gates.convert(gates.get("lstm", num_layers=2), state, source="torch")


def test_a_node_of_one_direction_is_no_bidirectional_gate():
    with pytest.raises(UserError, match="W has 1 direction; accepted: 2"):
        gates.convert(
            gates.get("rnn_tanh", bidirectional=True), {"W": random(1, 4, 5), "R": random(1, 4, 4)}, source="onnx"
        )


def test_the_candidate_of_a_text_is_found_behind_a_path():
    params = {f"cell.{matrix}_{letter}": random(4, width) for matrix, width in (("W", 5), ("U", 4)) for letter in "rzh"}
    found = gates.convert("gru", params, source="textbook")
    assert torch.equal(found["weight_ih"][8:], torch.from_numpy(params["cell.W_h"]))

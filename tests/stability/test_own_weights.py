"""A network of one's own: read from a file, it is measured as its converted weights are by hand."""

import numpy as np
import pytest
import torch
from own_helpers import H, I, double, inputs_file, norms, request, same, weights
from torch import nn

from gatebench import Shape, gates, stability
from gatebench.gates import conversion
from gatebench.own_files import row_name, selectors, short_name
from gatebench.stability import own_network
from gatebench.stability.measure import measure
from gatebench.stability.own_network import checkpoints
from gatebench.suites import own_files as suite_files

DIRECTIONS = ("forward", "reverse")
SUFFIX = {"forward": "", "reverse": "_reverse"}


# --- weights


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "model.pth", "pytorch_model.bin"])
@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_each_layer_and_direction_is_what_convert_gives(model, saved, name, layer, direction):
    own = weights(saved(model.state_dict(), name), prefix="encoder.rnn", layer=layer, direction=direction)
    gate = gates.get("lstm")
    found = own_network.own_parameters(gate, own)
    part = {key: value for key, value in model.state_dict().items() if key.startswith("encoder.rnn.")}
    assert same(found, double(gates.convert(gate, part, source="torch", layer=layer, direction=direction)))
    theirs = model["encoder"]["rnn"].state_dict()[f"weight_hh_l{layer}{SUFFIX[direction]}"]
    assert torch.equal(found["weight_hh"], theirs.double())
    assert own_network.own_sizes(gate, found) == (2 * H if layer else I, H)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
def test_checkpoints_of_every_float_dtype_are_read_exactly(model, saved, dtype, name):
    own = weights(saved(model["decoder"].to(dtype).state_dict(), name))
    found = own_network.own_parameters(gates.get("lstm"), own)
    assert {value.dtype for value in found.values()} == {torch.float64}
    assert torch.equal(found["weight_ih"], model["decoder"].weight_ih_l0.detach().double())


@pytest.mark.parametrize("key", ["state_dict", "model"])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict_under_a_key_of_its_own_is_found(model, tmp_path, key, zipped):
    path = tmp_path / "last.pt"
    optimizer = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": [{"lr": 0.1}]}
    checkpoint = {key: model.state_dict(), "optimizer": optimizer, "epoch": 3, "step": torch.tensor(7)}
    torch.save(checkpoint, path, _use_new_zipfile_serialization=zipped)
    found = own_network.own_parameters(gates.get("gru"), weights(path, prefix="gru"))
    assert torch.equal(found["weight_ih"], model["gru"].weight_ih_l0.detach().double())


def test_a_keras_cell_is_read_from_its_own_names(saved):
    kernel, recurrent = torch.randn(I, 4 * H), torch.randn(H, 4 * H)
    file = {"lstm/lstm_cell/kernel": kernel, "lstm/lstm_cell/recurrent_kernel": recurrent, "head/kernel": torch.ones(2)}
    own = weights(saved(file), prefix="lstm/lstm_cell", source="keras")
    found = own_network.own_parameters(gates.get("lstm"), own)
    expected = gates.convert("lstm", {"kernel": kernel, "recurrent_kernel": recurrent}, source="keras")
    assert same(found, double(expected))


def test_a_stack_is_read_whole_by_a_gate_with_layers(saved):
    stack = nn.LSTM(I, H, num_layers=2)
    gate = gates.get("lstm", num_layers=2)
    found = own_network.own_parameters(gate, weights(saved(stack.state_dict())))
    assert torch.equal(found["weight_ih_l1"], stack.weight_ih_l1.detach().double())
    assert own_network.own_sizes(gate, found) == (I, H)


def test_a_projected_lstm_has_the_sizes_of_its_module(saved):
    module, gate = nn.LSTM(I, H, proj_size=3), gates.get("lstm_projected", proj_size=3)
    found = own_network.own_parameters(gate, weights(saved(module.state_dict())))
    assert own_network.own_sizes(gate, found) == (I, H)


def test_of_a_safetensors_file_the_modules_tensors_alone_are_read(model, saved, monkeypatch):
    path, read = saved(model.state_dict()), []
    original = np.fromfile

    def noted(*arguments, **keywords):
        read.append(arguments[2])
        return original(*arguments, **keywords)

    monkeypatch.setattr(checkpoints.np, "fromfile", noted)
    own_network.own_parameters(gates.get("lstm"), weights(path, prefix="decoder"))
    assert sum(read) == sum(value.nbytes for value in model["decoder"].state_dict().values())


# --- measured


@pytest.mark.parametrize("layer", [0, 1])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_rows_are_those_of_the_converted_weights_unrolled_by_hand(model, saved, layer, direction):
    rnn = model["encoder"]["rnn"]
    width = 2 * H if layer else I
    own = weights(saved(model.state_dict()), prefix="encoder.rnn", layer=layer, direction=direction)
    rows = measure(request(own, input_size=width))
    gate, shape = gates.get("lstm"), Shape(batch=3, seq_len=12, input_size=width, hidden_size=H)
    params = double(gates.convert(gate, rnn.state_dict(), source="torch", layer=layer, direction=direction))
    inputs = gate.inputs(shape, seed=2)
    if direction == "reverse":
        inputs = {**inputs, "x": inputs["x"].flip(0)}
    profile = stability.gradient_profile(stability.unroll(gate, params, inputs))
    assert norms(rows) == pytest.approx(profile.log_norm.mean(1).tolist(), rel=1e-12)
    assert {row["status"] for row in rows} == {"ok"}


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_upper_layer_ends_in_the_states_of_torchs_own_module(model, saved, tmp_path, direction):
    rnn = model["encoder"]["rnn"].double()
    below = nn.LSTM(I, H, bidirectional=True, dtype=torch.float64)
    below.load_state_dict({name: value for name, value in rnn.state_dict().items() if "_l0" in name})
    x = torch.randn(7, 3, I, dtype=torch.float64)
    with torch.no_grad():
        seen, (_, (h, c)) = below(x)[0], rnn(x)
    own = {
        "weights": weights(saved(model.state_dict()), prefix="encoder.rnn", layer=1, direction=direction),
        "inputs_file": inputs_file(tmp_path / "x.npy", seen.numpy()),
    }
    gate, shape = gates.get("lstm"), Shape(batch=3, seq_len=7, input_size=2 * H, hidden_size=H)
    inputs = own_network.inputs_of(gate, shape, 0, "file", own)
    trajectory = stability.unroll(gate, own_network.own_parameters(gate, own["weights"], shape), inputs)
    expected = torch.cat((h, c), dim=-1)[3 if direction == "reverse" else 2]
    torch.testing.assert_close(trajectory.states[-1], expected, rtol=1e-12, atol=1e-13)


def test_weights_are_rounded_to_the_dtype_of_the_chain(model, saved):
    own = weights(saved(model.state_dict()), prefix="gru")
    rows = measure(request(own, gate="gru", dtype="bfloat16"))
    gate, shape = gates.get("gru"), Shape(batch=3, seq_len=12, input_size=I, hidden_size=H)
    params = gates.convert(gate, model["gru"].state_dict(), source="torch")
    trajectory = stability.unroll(gate, params, gate.inputs(shape, seed=2), torch.bfloat16)
    assert norms(rows) == pytest.approx(stability.gradient_profile(trajectory).log_norm.mean(1).tolist(), rel=1e-12)
    assert norms(rows) != norms(measure(request(own, gate="gru")))


# --- inputs


@pytest.mark.parametrize("dtype", [np.float64, np.float32, ">f4", np.float16])
def test_a_file_of_inputs_is_x_cut_to_its_first_steps_and_states_are_zero(tmp_path, dtype):
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((9, 2, I)).astype(dtype))
    own = {"inputs_file": inputs_file(tmp_path / "x.npy", x)}
    gate, shape = gates.get("lstm"), Shape(batch=2, seq_len=6, input_size=I, hidden_size=H)
    found = own_network.inputs_of(gate, shape, 0, "file", own)
    assert same(found, {"x": torch.from_numpy(x[:6].astype("f8")), "h0": torch.zeros(2, H).double(), "c0": torch.zeros(2, H).double()})  # fmt: skip
    reverse = own_network.inputs_of(gate, shape, 0, "file", own | {"weights": {"direction": "reverse"}})
    assert torch.equal(reverse["x"], found["x"].flip(0))
    assert own_network.sequence_sizes(tmp_path / "x.npy") == (9, 2, I)


def test_one_sequence_needs_no_axis_of_the_batch(tmp_path):
    x = np.random.default_rng(0).standard_normal((9, I))
    own = {"inputs_file": inputs_file(tmp_path / "x.npy", x)}
    shape = Shape(batch=1, seq_len=9, input_size=I, hidden_size=H)
    assert np.array_equal(own_network.inputs_of(gates.get("lstm"), shape, 0, "file", own)["x"][:, 0].numpy(), x)


# --- names


def test_suites_know_the_sources_and_directions_of_convert():
    assert set(suite_files.SOURCES) == set(conversion.SOURCES)
    assert conversion.WORDS["direction"] == suite_files.DIRECTIONS


@pytest.mark.parametrize(
    ("chosen", "ending"),
    [
        ({}, ""),
        ({"prefix": "encoder.rnn"}, "#encoder.rnn"),
        ({"layer": 0}, "#l0"),
        ({"direction": "reverse"}, "#reverse"),
        ({"prefix": "encoder/rnn", "layer": 12, "direction": "forward"}, "#encoder/rnn,l12,forward"),
        ({"prefix": "reverse"}, "#reverse"),
    ],
)
def test_a_rows_name_says_which_module_of_which_file(chosen, ending):
    name = row_name("1a2b3c4d" + 56 * "e", **chosen)
    assert name == f"file:1a2b3c4d{56 * 'e'}{ending}"
    assert short_name(name) == f"file:1a2b3c4d{ending}"
    if chosen != {"prefix": "reverse"}:  # a module that is called as a direction
        assert selectors(name) == selectors(short_name(name)) == {key: str(value) for key, value in chosen.items()}


@pytest.mark.parametrize("text", ["torch", "normal", "forget_bias=1", "file:1a2b3c4d"])
def test_other_names_stay(text):
    assert short_name(text) == text
    assert selectors(text) == {}

"""Files of one's own that cannot be measured: one line each, which says what the file has; nothing in it is executed."""

import math

import numpy as np
import pytest
import torch
from own_helpers import H, I, inputs_file, norms, request, weights
from safetensors.torch import save_file
from torch import nn

from gatebench import Shape, gates
from gatebench.errors import UserError
from gatebench.stability import own_network
from gatebench.stability.measure import measure


def test_a_file_that_changed_since_it_was_named_is_not_measured(model, saved, tmp_path):
    own = weights(saved(model.state_dict()), prefix="decoder")
    x = inputs_file(tmp_path / "x.npy", np.ones((12, 3, 3)))
    sizes = {"input_size": 3, "hidden_size": 4, "inputs_file": x}
    assert norms(measure(request(own, **sizes)))
    nn.init.zeros_(model["decoder"].bias_ih_l0)
    saved(model.state_dict())
    with pytest.raises(UserError, match=r"^model\.safetensors: its sha256 is \w{12}…; accepted: \w{12}…, the file"):
        measure(request(own, **sizes))
    np.save(tmp_path / "x.npy", np.zeros((12, 3, 3)))
    with pytest.raises(UserError, match=r"^x\.npy: its sha256 is"):
        measure(request(weights(tmp_path / "model.safetensors", prefix="decoder"), **sizes))


def test_weights_of_other_sizes_than_the_requests_are_refused(model, saved):
    with pytest.raises(UserError, match="its weights have I = 3, H = 4; accepted: I = 5, H = 8"):
        measure(request(weights(saved(model.state_dict()), prefix="decoder")))


def refused(gate, own):
    with pytest.raises(UserError) as caught:
        own_network.own_parameters(gates.get(gate), own)
    assert "\n" not in str(caught.value)
    return str(caught.value)


CHOICES = {
    "no prefix": ("lstm", {}, ["is there 3 times", "choose prefix: decoder, encoder.rnn"]),
    "no prefix, one that fits": ("gru", {}, ["choose prefix: gru"]),
    "a prefix of another module": ("lstm", {"prefix": "encoder.out"}, ["no parameter weight_ih_l0", "choose prefix: decoder, encoder.rnn"]),
    "a prefix of another gate": ("lstm", {"prefix": "gru"}, ["weight_hh_l0 has shape (24, 8); accepted: (24, 6)", "choose prefix: decoder"]),
    "a prefix with a typing error": ("lstm", {"prefix": "encodr.rnn"}, ["has no prefix 'encodr.rnn'; accepted: encoder.rnn, decoder; did you mean 'encoder.rnn'?"]),
    "a prefix near what does not fit": ("gru", {"prefix": "encoder.ou"}, ["accepted: gru; did you mean 'encoder.out'?"]),
    "half a name": ("lstm", {"prefix": "deco"}, ["has no prefix 'deco'", "did you mean 'decoder'?"]),
    "no layer": ("lstm", {"prefix": "encoder.rnn"}, ["l0, l0_reverse, l1, l1_reverse; accepted: layer and direction of one; choose layer and direction"]),
    "a layer too high": ("lstm", {"prefix": "encoder.rnn", "layer": 2}, ["no parameter weight_ih_l2", "there are l0, l0_reverse, l1, l1_reverse"]),
    "a direction that is not there": ("lstm", {"prefix": "decoder", "direction": "reverse"}, ["no parameter weight_ih_l0_reverse", "choose prefix: encoder.rnn"]),
    "another source": ("lstm", {"prefix": "decoder", "source": "keras"}, ["no parameter recurrent_kernel, kernel", "choose source: torch"]),
    "a gate without time": ("swiglu_ffn", {"prefix": "decoder"}, ["swiglu_ffn has no time; accepted: gates with a state"]),
}  # fmt: skip


@pytest.mark.parametrize("name", CHOICES)
def test_what_is_not_in_a_file_is_one_line_that_says_what_is(model, saved, name):
    gate, chosen, parts = CHOICES[name]
    message = refused(gate, weights(saved(model.state_dict()), **chosen))
    assert message.startswith("model.safetensors: ")
    for part in parts:
        assert part in message


def test_what_says_nothing_of_a_source_is_to_be_left_out(saved):
    file = {"kernel": torch.ones(2, 8), "recurrent_kernel": torch.ones(2, 8)}
    message = refused("lstm", weights(saved(file), source="keras", layer=0))
    assert message == "model.safetensors: layer = 0 says nothing here; leave out layer"


def test_a_prefix_that_holds_a_whole_module_comes_before_a_nearer_one_that_does_not(saved):
    lstm = {f"enc.rnn.{name}": value for name, value in nn.LSTM(2, 2).state_dict().items()}
    message = refused("lstm", weights(saved({**lstm, "enc.run.weight": torch.ones(2)}), prefix="enc.ruu"))
    assert "accepted: enc.rnn; did you mean 'enc.rnn'?" in message


LSTM = nn.LSTM(2, 2).state_dict()
BAD_TENSORS = {
    "integers": ({name: value.to(torch.int8) for name, value in LSTM.items()}, "parameters are int8; accepted: all alike, one of float64"),
    "eight bits": ({name: value.to(torch.float8_e4m3fn) for name, value in LSTM.items()}, "parameters are float8_e4m3fn"),
    "two dtypes": (LSTM | {"bias_ih_l0": LSTM["bias_ih_l0"].half()}, "parameters are float16 and float32"),
    "NaN": (LSTM | {"weight_hh_l0": torch.full((8, 2), math.nan)}, "weight_hh has 16 values that are NaN or infinite"),
    "infinite": (LSTM | {"bias_hh_l0": torch.full((8,), math.inf)}, "bias_hh has 8 values that are NaN or infinite"),
    "one bias": ({name: value for name, value in LSTM.items() if name != "bias_hh_l0"}, "only one of bias_ih_l0 and bias_hh_l0"),
}  # fmt: skip


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
@pytest.mark.parametrize("name", BAD_TENSORS)
def test_weights_that_cannot_be_measured_are_one_line(saved, name, ending):
    tensors, part = BAD_TENSORS[name]
    assert part in refused("lstm", weights(saved(tensors, f"m.{ending}")))


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
def test_quantised_and_sparse_tensors_are_one_line(saved):
    quantised = torch.quantize_per_tensor(LSTM["weight_hh_l0"], 0.1, 0, torch.qint8)
    assert "weight_hh_l0 is qint8" in refused("lstm", weights(saved(LSTM | {"weight_hh_l0": quantised}, "m.pt")))
    sparse = LSTM["weight_hh_l0"].to_sparse()
    assert "weight_hh_l0 is sparse_coo" in refused("lstm", weights(saved(LSTM | {"weight_hh_l0": sparse}, "m.pt")))


class Harmful:
    """Leaves a file behind where it is unpickled."""

    def __reduce__(self):
        return (open, ("harmed", "w"))


def bad_file(name, folder):
    """Write one broken checkpoint and return its path."""
    good = folder / f"good{folder.joinpath(name).suffix}"
    if good.suffix == ".safetensors":
        save_file(LSTM, good)
    else:
        torch.save(LSTM, good, _use_new_zipfile_serialization="old" not in name)
    path = folder / name
    if name.startswith("cut"):
        path.write_bytes(good.read_bytes()[:-20])
    elif name.startswith("text"):
        path.write_text("no checkpoint at all")
    elif name.startswith("two"):
        torch.save({"model": LSTM, "ema": LSTM, "epoch": 1}, path)
    elif name.startswith("harmful"):
        torch.save({"model": LSTM, "more": Harmful()}, path)
    elif name.startswith("module"):
        torch.save(nn.LSTM(2, 2), path)
    elif name.startswith("list"):
        torch.save([1, 2], path)
    elif name.startswith("numbers"):
        torch.save({"epoch": 1, "loss": torch.tensor(0.5)}, path)
    else:
        path.write_bytes(b"")
    return path


BAD_FILES = {
    "cut.safetensors": "is no whole safetensors file",
    "text.safetensors": "is no whole safetensors file",
    "cut.pt": "is no whole torch file",
    "cut_old.bin": "is no whole torch file",
    "text.pth": "is no whole torch file",
    "two.pt": "holds 2 state dicts: 'model', 'ema'; accepted: one",
    "harmful.pt": "holds Python objects, which are not loaded; accepted: tensors alone",
    "module.pt": "holds Python objects",
    "list.pt": "holds a list with no tensors; accepted: a state dict",
    "numbers.pt": "holds a dict with keys epoch, loss; accepted: a state dict",
    "nothing.pt": "is empty",
    "text.h5": "ends in .h5; accepted: .safetensors (safetensors), .pt, .pth, .bin",
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_checkpoint_is_one_line_and_runs_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = bad_file(name, tmp_path)
    message = refused("lstm", weights(path))
    assert message.startswith(f"{name}: ")
    assert BAD_FILES[name] in message
    assert not (tmp_path / "harmed").exists()


def test_a_file_that_is_not_there_or_a_folder_is_one_line(tmp_path):
    (tmp_path / "folder.pt").mkdir()
    for name, part in (("gone.pt", "no such file"), ("folder.pt", "is a folder")):
        own = {"file": str(tmp_path / name), "sha256": "", "source": "torch"}
        assert f"{name}: {part}" in refused("lstm", own)


BAD_ARRAYS = {
    "integers": (np.ones((4, 1, I), np.int64), "x is int64; accepted: .npy with floats"),
    "objects": (np.array([{}, {}], dtype=object), "is no whole array file"),
    "one axis": (np.ones(4), r"x has shape (4,); accepted"),
    "no steps": (np.ones((0, 1, I)), "x has shape (0, 1, 5)"),
}


@pytest.mark.parametrize("name", BAD_ARRAYS)
def test_an_array_that_is_no_sequence_is_one_line(tmp_path, name):
    array, part = BAD_ARRAYS[name]
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(UserError) as caught:
        own_network.sequence_sizes(tmp_path / "x.npy")
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_array_that_is_cut_or_of_another_format_is_one_line(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((4, 1, I)))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-8])
    np.savez(tmp_path / "x.npz", x=np.ones((4, 1, I)))
    for name in ("cut.npy", "x.npz"):
        with pytest.raises(UserError, match=rf"^{name}: is no whole array file"):
            own_network.sequence_sizes(tmp_path / name)


def test_inputs_that_do_not_fit_or_are_not_finite_are_refused(tmp_path):
    gate, shape = gates.get("lstm"), Shape(batch=1, seq_len=4, input_size=I, hidden_size=H)
    for x, part in ((np.ones((3, 1, I)), "T = 3"), (np.ones((4, 2, I)), "B = 2"), (np.full((4, I), np.nan), "x has 20 values")):  # fmt: skip
        with pytest.raises(UserError, match=part):
            own_network.inputs_of(gate, shape, 0, "file", {"inputs_file": inputs_file(tmp_path / "x.npy", x)})

"""`gatebench stability --weights`: one's own network from file to run folder, and bad input in one line each."""

import hashlib
import json
import os
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from cli_helpers import HEAD, one_line
from safetensors.torch import save_file
from torch import nn

from gatebench.stability.measure import measure
from gatebench.store.read import load
from gatebench.store.schema import arrow_schema

STORE = ("--store", "elsewhere")
OWN = ("stability", "lstm", "--weights", "nets/model.safetensors")


@pytest.fixture
def network(tmp_path):
    """A folder with a checkpoint of two modules, and inputs of 20 steps for the encoder."""
    torch.manual_seed(0)
    model = nn.ModuleDict({"encoder": nn.LSTM(5, 6, num_layers=2, bidirectional=True), "decoder": nn.LSTM(3, 4)})
    (tmp_path / "nets").mkdir()
    save_file(model.state_dict(), tmp_path / "nets" / "model.safetensors")
    torch.save({"state_dict": model.state_dict(), "epoch": 1}, tmp_path / "nets" / "model.pt")
    np.save(tmp_path / "nets" / "x.npy", np.random.default_rng(0).standard_normal((20, 2, 5)).astype("f4"))
    return model


def sha256(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_layer_of_a_file_is_measured_and_stored_by_its_hash(gb, network, tmp_path):
    chosen = ("--prefix", "encoder", "--layer", 1, "--direction", "reverse")
    answer = gb(*OWN, *chosen, "--seq-len", 8, "--seeds", 2, "--dtype", "float32", *STORE)
    assert answer.code == 0, answer
    digest = sha256("nets/model.safetensors")
    assert f"init file:{digest[:8]}#encoder,l1,reverse" in " ".join(answer.out.split())
    assert digest not in answer.out
    results = load(tmp_path / "elsewhere")
    rows = results.stability
    assert set(rows["init"]) == {f"file:{digest}#encoder,l1,reverse"}
    assert set(rows["inputs"]) == {"normal"}
    assert set(rows["seed"]) == {0, 1}
    assert set(zip(rows["input_size"], rows["hidden_size"], rows["batch"], strict=True)) == {(12, 6, 4)}
    own = {"file": str(tmp_path / "nets" / "model.pt"), "sha256": sha256("nets/model.pt"), "source": "torch",
           "prefix": "encoder", "layer": 1, "direction": "reverse"}  # fmt: skip
    expected = measure({
        "gate": "lstm", "init": "", "inputs": "normal", "dtype": "float32", "seq_len": 8, "input_size": 12,
        "hidden_size": 6, "batch": 4, "seed": 1, "weights": own,
    })  # fmt: skip
    norms = rows[(rows["metric"] == "log_gradient_norm") & (rows["part"] == "") & (rows["seed"] == 1)]
    assert norms["value"].tolist() == [
        row["value"] for row in expected if row["metric"] == "log_gradient_norm" and row["part"] == ""
    ]
    (folder,) = results.folders
    check_suite(folder, digest)
    no_path_is_stored(folder.path, tmp_path)


def check_suite(folder, digest):
    """Check that the stored suite names the file, what was chosen in it, and its hash."""
    for line in ('weights = "model.safetensors"', 'prefix = "encoder"', "layer = 1", 'direction = "reverse"', f'weights_sha256 = "{digest}"'):  # fmt: skip
        assert line in folder.manifest["suite"]["text"]
    (group,) = folder.manifest["request"]["stability"]
    assert (group["weights"], group["weights_sha256"]) == ("model.safetensors", digest)
    assert not {"init", "hidden_size"} & group.keys()


def no_path_is_stored(folder, tmp_path):
    """Check that no file of a run folder names the folder that the network lies in."""
    found = "".join(path.read_text() for path in folder.glob("*.json"))
    found += "".join(pd.read_parquet(path).to_csv() for path in folder.glob("*.parquet"))
    assert "model.safetensors" in found
    for secret in (str(tmp_path), tmp_path.name, "nets/", "/tmp/"):
        assert secret not in found, secret


def test_inputs_from_a_file_say_their_sizes_and_are_measured_once(gb, network, tmp_path):
    arguments = ("--prefix", "encoder", "--layer", 0, "--inputs", tmp_path / "nets" / "x.npy")
    answer = gb(*OWN, *arguments, "--seq-len", "6,20", *STORE, "--json")
    assert answer.code == 0, answer
    names = (f"file:{sha256('nets/model.safetensors')}#encoder,l0", f"file:{sha256('nets/x.npy')}")
    cases = json.loads(answer.out)["stability"]
    assert [(case["seq_len"], case["batch"], case["input_size"], case["seeds"]) for case in cases] == [(6, 2, 5, 1), (20, 2, 5, 1)]  # fmt: skip
    assert {(case["init"], case["inputs"]) for case in cases} == {names}
    no_path_is_stored(load(tmp_path / "elsewhere").folders[0].path, tmp_path)


@pytest.mark.parametrize("name", [b'\xf0\x9f\x98\x80 \x7f"\\n\n.safetensors', b"\xff.safetensors"])
def test_any_name_of_a_file_is_stored_as_toml(gb, network, tmp_path, name):
    os.rename(b"nets/model.safetensors", name)
    assert gb("stability", "lstm", "--weights", os.fsdecode(name), "--prefix", "decoder", "--seq-len", 2, "--seeds", 1, *STORE).code == 0  # fmt: skip
    suite = tomllib.loads(load(tmp_path / "elsewhere").folders[0].manifest["suite"]["text"])
    assert suite["stability"][0]["weights"] == name.decode("utf-8", "replace")


def test_what_no_seed_changes_is_measured_once(gb, network, tmp_path):
    arguments = (*OWN, "--prefix", "decoder", "--seq-len", 3, "--metric", "lyapunov", *STORE)
    for kinds, expected in (("zero", {("zero", 0)}), ("zero,normal", {("zero", 0), *(("normal", seed) for seed in range(4))})):  # fmt: skip
        answer = gb(*arguments, "--inputs", kinds)
        assert answer.code == 0, answer
        rows = load(tmp_path / "elsewhere").stability
        rows = rows[rows["run_id"] == rows["run_id"].max()]
        assert set(zip(rows["inputs"], rows["seed"], strict=True)) == expected


SUITE = (
    HEAD
    + """
[[stability]]
why = "our encoder"
gates = ["lstm"]
weights = "nets/model.pt"
prefix = "encoder."
layer = 0
seq_len = [4]
dtypes = ["float64", "bfloat16"]

[[stability]]
why = "drawn weights, our inputs"
gates = ["gru"]
inputs_file = "nets/x.npy"
hidden_size = [3]
seeds = 2
"""
)


def test_a_suite_names_files_beside_it_and_a_run_of_it_is_resumed_where_they_lie(gb, network, tmp_path, monkeypatch):
    Path("s.toml").write_text(SUITE)
    (tmp_path / "aside").mkdir()
    monkeypatch.chdir("aside")
    store = ("--store", tmp_path / "elsewhere")
    answer = gb("run", "../s.toml", *store)
    assert answer.code == 0, answer
    folder = load(tmp_path / "elsewhere").folders[0]
    whole = load(tmp_path / "elsewhere").stability
    names = {f"file:{sha256('../nets/model.pt')}#encoder,l0", "torch"}
    assert set(whole["init"]) == names
    assert set(zip(whole["init"], whole["seq_len"], whole["batch"], strict=True)) == {
        (min(names), 4, 4),
        ("torch", 20, 2),
    }
    # As if it had been interrupted after its first request: what is left needs the second file alone.
    first = whole[whole["init"] != "torch"].drop(columns="folder", errors="ignore")
    table = arrow_schema("stability")
    first[table.names].to_parquet(folder.path / "stability.parquet", schema=table, index=False)
    manifest = folder.path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "status": "partial"}))
    one_line(gb("run", "--resume", *store), "--resume: model.pt is not here", "the file that the run began with")
    monkeypatch.chdir("../nets")
    assert gb("run", "--resume", *store).code == 0
    resumed = load(tmp_path / "elsewhere").folders[-1]
    again = pd.read_parquet(resumed.path / "stability.parquet")
    pd.testing.assert_frame_equal(again.drop(columns="run_id"), whole[again.columns].drop(columns="run_id"))


def test_a_file_that_changes_before_it_is_measured_is_a_failed_row(gb, network, tmp_path, monkeypatch):
    from gatebench.run import execute

    start = execute.start

    def changed(request, store, plan, progress):
        save_file({"weight": torch.ones(1)}, "nets/model.safetensors")
        return start(request, store, plan, progress)

    monkeypatch.setattr(execute, "start", changed)
    answer = gb(*OWN, "--prefix", "decoder", "--seq-len", 4, "--seeds", 1, *STORE)
    assert answer.code == 3
    rows = load(tmp_path / "elsewhere").stability
    assert set(rows["status"]) == {"failed"}
    assert rows["reason"].str.match(r"^model\.safetensors: its sha256 is \w{12}…; accepted: ").all()


# --- bad input


DECODER = (*OWN, "--prefix", "decoder")
ENCODER = (*OWN, "--prefix", "encoder", "--layer", 0)
WITH_X = (*ENCODER, "--inputs", "nets/x.npy")
ERRORS = {
    "no such file": (("stability", "lstm", "--weights", "gone.pt"), ["--weights: gone.pt: no such file"]),
    "a folder": (("stability", "lstm", "--weights", "nets"), ["--weights: nets: is a folder"]),
    "an empty file": (("stability", "lstm", "--weights", "empty.pt"), ["--weights: empty.pt: is empty"]),
    "half a file": (("stability", "lstm", "--weights", "cut.safetensors"), ["--weights: cut.safetensors: is no whole safetensors file"]),
    "another format": (("stability", "lstm", "--weights", "nets/x.npy"), ["--weights: x.npy: ends in .npy; accepted: .safetensors"]),
    "a pickled module": (("stability", "lstm", "--weights", "module.pt"), ["--weights: module.pt: holds Python objects, which are not loaded"]),
    "two state dicts": (("stability", "lstm", "--weights", "two.pt"), ["--weights: two.pt: holds 2 state dicts: 'model', 'ema'"]),
    "NaN": (("stability", "lstm", "--weights", "nan.pt"), ["--weights: nan.pt: weight_ih has 16 values that are NaN"]),
    "integers": (("stability", "lstm", "--weights", "int.pt"), ["--weights: int.pt: parameters are int8"]),
    "a name too long": (("stability", "lstm", "--weights", "a" * 300), [f"--weights: {'a' * 300}: cannot be read: File name too long"]),
    "kinds too many for a name": (("stability", "lstm", "--inputs", ",".join(80 * ["wite"])), ["--inputs: unknown inputs 'wite'; accepted: correlated"]),
    "a pipe": (("stability", "lstm", "--weights", "pipe.pt"), ["--weights: pipe.pt: is no regular file; accepted: a file on a disk"]),
    "a device": (("stability", "lstm", "--inputs", "/dev/zero"), ["--inputs: zero: is no regular file"]),
    "several modules": (OWN, ["--weights: model.safetensors: weight_ih_l0 is there 2 times", "choose prefix: decoder, encoder"]),
    "no such prefix": ((*OWN, "--prefix", "decodr"), ["--weights: model.safetensors: has no prefix 'decodr'", "'decoder'?"]),
    "no layer": ((*OWN, "--prefix", "encoder"), ["layers and directions l0, l0_reverse", "choose layer and direction"]),
    "no such layer": ((*OWN, "--prefix", "encoder", "--layer", 7), ["no parameter weight_ih_l7", "there are l0, l0_reverse, l1, l1_reverse"]),
    "no layer below 0": ((*DECODER, "--layer", -1), ["stability: Invalid value for '--layer'"]),
    "an unknown direction": ((*DECODER, "--direction", "back"), ["--direction: unknown direction 'back'"]),
    "an unknown source": ((*DECODER, "--source", "kears"), ["--source: unknown source 'kears'", "'keras'?"]),
    "a source without the gate": (("stability", "lstm_coupled", *DECODER[2:]), ["stability: torch has no form of lstm_coupled", "accepted: rnn_tanh"]),
    "two gates": (("stability", "lstm,gru", *DECODER[2:]), ["stability: 2 gates: lstm, gru; accepted: one"]),
    "a gate without time": (("stability", "swiglu_ffn", *DECODER[2:]), ["stability: swiglu_ffn has no time"]),
    "an init": ((*DECODER, "--init", "torch"), ["--init: given together with weights"]),
    "another hidden size": ((*DECODER, "--hidden-size", 5), ["--hidden-size: 5, and the weights in model.safetensors have 4; accepted: 4"]),
    "another layout by options": ((*DECODER, "-o", "lstm.num_layers=2"), ["no parameter weight_ih_l1"]),
    "a prefix of nothing": (("stability", "lstm", "--prefix", "a"), ["--prefix: given without weights"]),
    "an empty prefix": ((*OWN, "--prefix", ""), ["--prefix: ''; accepted: a name"]),
    "inputs that are not there": ((*ENCODER, "--inputs", "gone.npy"), ["--inputs: gone.npy: no such file"]),
    "inputs of another format": ((*ENCODER, "--inputs", "nets/model.pt"), ["--inputs: model.pt: is no whole array file"]),
    "inputs of another width": ((*DECODER, "--inputs", "nets/x.npy"), ["--inputs: x.npy: x has width I = 5; accepted: I = 3"]),
    "inputs that are NaN": ((*DECODER, "--inputs", "nan.npy"), ["--inputs: nan.npy: x has 3 values that are NaN"]),
    "a batch": ((*WITH_X, "--batch", 2), ["--batch: given together with inputs"]),
    "more steps than there are": ((*WITH_X, "--seq-len", "4,21"), ["--seq-len: 21, and x.npy has 20 steps; accepted: 1 to 20"]),
    "seeds of nothing": ((*WITH_X, "--seeds", 2), ["--seeds: 2, and nothing is drawn; accepted: 1"]),
    "seeds of zero inputs": ((*ENCODER, "--inputs", "zero,zero", "--seeds", 2), ["--seeds: 2, and nothing is drawn; accepted: 1"]),
}  # fmt: skip


@pytest.fixture
def bad_files(network):
    """Files that are no checkpoint beside the good ones."""
    lstm = nn.LSTM(2, 2).state_dict()
    Path("empty.pt").touch()
    os.mkfifo("pipe.pt")
    np.save("nan.npy", np.array([3 * [1.0], 3 * [np.nan]]))
    Path("cut.safetensors").write_bytes(Path("nets/model.safetensors").read_bytes()[:-1])
    torch.save(nn.LSTM(2, 2), "module.pt")
    torch.save({"model": lstm, "ema": lstm}, "two.pt")
    torch.save({**lstm, "weight_ih_l0": torch.full((8, 2), torch.nan)}, "nan.pt")
    torch.save({name: value.to(torch.int8) for name, value in lstm.items()}, "int.pt")


@pytest.mark.parametrize("name", ERRORS)
def test_what_does_not_fit_is_one_line_before_anything_is_measured(gb, bad_files, name):
    arguments, parts = ERRORS[name]
    line = one_line(gb(*arguments), *parts)
    assert os.getcwd() not in line


SUITE_ERRORS = {
    'weights_sha256 = "1a2b"': ["s.toml: stability.weights: model.pt: its sha256 is", "accepted: 1a2b"],
    'inputs_file = "a\\u0000"': ["s.toml: stability.inputs_file: a", "cannot be read: embedded null byte"],
    "layer = true": ["s.toml: stability.layer: True"],
    "input_size = 4": ["s.toml: stability.input_size: 4, and the weights in model.pt have 5"],
    'inputs = ["zero"]\nseeds = 3': ["s.toml: stability.seeds: 3, and nothing is drawn"],
    'inputs_sha256 = "1a2b"': ["s.toml: stability.inputs_sha256: given without inputs_file"],
}


@pytest.mark.parametrize("line", SUITE_ERRORS)
def test_a_suite_that_says_what_cannot_be_is_one_line(gb, network, line):
    group = SUITE.partition('[[stability]]\nwhy = "drawn')[0]
    group = group.replace("layer = 0\n", "") if line.startswith("layer") else group
    Path("s.toml").write_text(f"{group}\n{line}\n")
    one_line(gb("run", "s.toml"), *SUITE_ERRORS[line])

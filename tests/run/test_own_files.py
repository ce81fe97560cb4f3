"""Files of one's own in a run: settled before it, kept by name and hash, found again by a resumed one."""

import hashlib

import numpy as np
import pytest

from gatebench.errors import UserError
from gatebench.run.own_files import found_again, places, recorded, settle


@pytest.fixture
def request_of_inputs(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((6, 2, 3)))
    return {
        "gate": "lstm", "gate_options": {}, "init": "torch", "inputs": "normal", "dtype": "float64", "batch": 0,
        "seq_len": 0, "hidden_size": 4, "input_size": 0, "seed": 0, "task": None, "metrics": ["profile"], "probes": 0,
        "inputs_file": {"file": str(tmp_path / "x.npy"), "sha256": None},
    }  # fmt: skip


def test_requests_without_files_stay_as_they_are():
    requests = [{"gate": "lstm", "input_size": 3, "hidden_size": 4}]
    assert settle("s.toml: stability", requests) == requests
    assert places(requests) == {}


def test_a_file_fills_in_what_it_says(request_of_inputs, tmp_path, monkeypatch):
    digest = hashlib.sha256((tmp_path / "x.npy").read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    request_of_inputs["inputs_file"]["file"] = "x.npy"
    (found,) = settle("s.toml: stability", [request_of_inputs])
    assert found == request_of_inputs | {
        "inputs": f"file:{digest}", "batch": 2, "seq_len": 6, "input_size": 3,
        "inputs_file": {"file": str(tmp_path / "x.npy"), "sha256": digest},
    }  # fmt: skip


def test_a_link_keeps_its_own_name(request_of_inputs, tmp_path):
    (tmp_path / "x.npy").rename(tmp_path / "blob")
    (tmp_path / "x.npy").symlink_to("blob")
    (found,) = settle("s.toml: stability", [request_of_inputs])
    assert found["inputs_file"]["file"] == str(tmp_path / "x.npy")


def test_what_one_part_says_and_another_leaves_to_the_file_is_measured_once_with_the_metrics_of_both(
    request_of_inputs, tmp_path
):
    (tmp_path / "copy.npy").write_bytes((tmp_path / "x.npy").read_bytes())
    asked = [
        request_of_inputs | {"metrics": ["profile"]},
        request_of_inputs | {"metrics": ["lyapunov"], "probes": 2, "seq_len": 6},
        request_of_inputs | {"metrics": ["theory"], "seq_len": 5},
    ]
    asked[1]["inputs_file"] = {"file": str(tmp_path / "copy.npy"), "sha256": None}
    whole, cut = settle("s.toml: stability", asked)
    assert (whole["seq_len"], whole["metrics"], whole["probes"]) == (6, ["profile", "lyapunov"], 2)
    assert (cut["seq_len"], cut["metrics"]) == (5, ["theory"])
    digest = whole["inputs_file"]["sha256"]
    kept = recorded([{"inputs_file": str(tmp_path / name)} for name in ("x.npy", "copy.npy")], [whole, cut])
    assert kept == [{"inputs_file": name, "inputs_sha256": digest} for name in ("x.npy", "copy.npy")]


def test_what_a_run_keeps_of_a_file_leads_back_to_it(request_of_inputs, tmp_path, monkeypatch):
    settled = settle("s.toml: stability", [request_of_inputs])
    digest = settled[0]["inputs_file"]["sha256"]
    group = {"why": "a test", "gates": ["lstm"], "inputs_file": str(tmp_path / "x.npy")}
    kept = recorded([group, {"gates": ["gru"]}], settled)
    assert kept == [group | {"inputs_file": "x.npy", "inputs_sha256": digest}, {"gates": ["gru"]}]
    where = places(settled)
    assert where == {digest: str(tmp_path / "x.npy")}
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert found_again(kept, where)[0]["inputs_file"] == str(tmp_path / "x.npy")
    with pytest.raises(UserError, match=r"^--resume: x\.npy is not here; accepted: "):
        found_again(kept, {})
    monkeypatch.chdir(tmp_path)
    assert found_again(kept, {})[0]["inputs_file"] == "x.npy"

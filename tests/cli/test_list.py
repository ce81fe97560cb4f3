"""`gatebench list`: every gate with family and source, and who computes it here."""

import json

import pytest
import torch
from cli_helpers import call, one_line

from gatebench import gates


@pytest.fixture
def listed(capsys, monkeypatch):
    """Call `gatebench list` in this process."""
    return lambda *arguments: call(capsys, monkeypatch, "list", *arguments)


def test_every_gate_is_listed_with_family_and_source(listed):
    found = json.loads(listed("gates", "--json").out)["gates"]
    assert list(found) == gates.names()
    assert all(gate["family"] and gate["source"] != "not given" for gate in found.values())
    assert set(found["lstm"]["inputs"]) == {"x", "h0", "c0"}


def test_one_gate_is_shown_whole(listed):
    found = json.loads(listed("gru", "--json").out)["gate"]
    assert (found["name"], list(found["inputs"])) == ("gru", ["x", "h0"])
    text = " ".join(listed("geglu_tanh").out.split())
    for part in ("input value (1, 2, 2)", r"u = \mathrm{gate}", "arXiv 1606.08415", "0.044715 * gate * gate * gate"):
        assert part in text
    one_line(listed("gates_"), "list: unknown kind or gate 'gates_'", "'gates'?")


def test_coverage_says_yes_or_why_not(listed):
    found = json.loads(listed("--coverage", "--json").out)["coverage"]
    assert set(found) == set(gates.names())
    assert {row["eager"] for row in found.values()} == {row["compile"] for row in found.values()} == {"yes"}
    assert found["gru"]["native"] == found["gru"]["numba"] == "yes"
    assert found["gru_textbook"]["native"] == "never"
    assert found["gtu_ffn"]["numba"] == "yes"
    assert found["lstm_gate_recurrence"]["numba"] == found["rnn_tanh"]["triton"] == "not written yet"
    assert found["glu"]["cudnn"] == "never"
    if not torch.cuda.is_available():
        assert found["lstm"]["cudnn"] == found["swiglu"]["triton"] == "no CUDA device"


def test_the_table_of_coverage_numbers_its_reasons(listed):
    text = listed("--coverage").out
    assert "not written yet" in text
    assert "–: never, by its nature" in text
    row = next(line.split() for line in text.splitlines() if line.startswith("gru_textbook"))
    assert row[:4] == ["gru_textbook", "yes", "yes", "–"]


def test_a_broken_plugin_is_in_the_coverage_with_its_reason(listed, tmp_path):
    path = tmp_path / "broken.py"
    path.write_text("import gatebench\nraise RuntimeError('no licence')\n")
    found = json.loads(listed("--coverage", "--plugin", path, "--json").out)["coverage"]
    assert "no licence" in found["glu"]["file:broken.py"]

"""Gradients on the page of a gate: lines, the reason why there are none, or the command that looks, and none that is in vain."""

import json

import pytest
from test_pages import well

from gatebench.store.write import write_run
from tests.stability_frames import long_rows
from tests.synthetic import Plan, write_store

POINTWISE = {"name": "glu", "state": {}, "stackable": False}
REASON = "glu has no time and is not stackable"
COMMAND = "gatebench stability "


@pytest.fixture
def told(tmp_path):
    """Return a function that writes a store of one timed run of a gate, and one that only looked at it, with these rows."""

    def write(described, *rows):
        store = tmp_path / "results"
        plan = Plan(gates=(described["name"],), seq_lens=(64,), hidden_sizes=(64, 128), stability=False)
        [run_id] = write_store(store, plan)
        folder = store / "runs" / run_id
        folder.joinpath("gates.json").write_text(json.dumps([described]))
        manifest = json.loads(folder.joinpath("manifest.json").read_text())
        for number, looked in enumerate(rows):
            newer = f"20270101T00000{number}Z-0000"
            stability = [row | {"run_id": newer} for row in looked]
            tables = {"measurements": [], "samples": [], "accuracy": [], "stability": stability}
            entries = manifest | {"run_id": newer, "created_utc": f"2027-01-01T00:00:0{number}Z"}
            write_run(store / "_staging" / newer, store / "runs" / newer, entries, [described], tables)
        return store

    return write


def refused(reason, **more):
    return [long_rows(metric="class", unit="", **{"status": "unsupported", "reason": reason, "value": None, **more})]


def test_a_gate_that_cannot_have_gradients_has_the_reason_once_and_no_command(opened, told):
    rows = [*refused(REASON, gate="glu"), *refused(REASON, gate="glu", seed=1)]
    saturation = [long_rows(gate="glu", metric="saturation_low", part="gate", value=0.1)]
    found = well(opened(told(POINTWISE, [*rows, *saturation], rows), "gate"), "gate")
    assert found.count(REASON) == 1
    assert COMMAND not in found


def test_before_any_look_the_run_tells_that_there_is_nothing_to_look_at(opened, told):
    found = well(opened(told(POINTWISE), "gate"), "gate")
    assert "There is nothing to look at: this gate has no state" in found
    assert COMMAND not in found


@pytest.mark.parametrize("described", [{}, {"state": {}}, {"stackable": False}, {"state": {}, "stackable": True}, {"state": {"h": 2}, "stackable": False}])  # fmt: skip
def test_where_there_may_be_gradients_the_command_is_told(opened, told, described):
    assert f"{COMMAND}glu" in well(opened(told({"name": "glu", **described}), "gate"), "gate")


def test_what_was_refused_without_a_choice_is_not_asked_for_again(opened, told):
    found = well(opened(told({"name": "lstm"}, refused("no answer within 300 s", status="timeout")), "gate"), "gate")
    assert "timeout: no answer within 300 s" in found
    assert COMMAND not in found


def test_what_one_init_refuses_another_one_may_have(opened, told):
    rows = refused("rnn_tanh has no gate that keeps its state", gate="rnn_tanh", init="forget_bias=1")
    found = well(opened(told({"name": "rnn_tanh"}, rows), "gate"), "gate")
    assert "has no gate that keeps its state" in found
    assert f"{COMMAND}rnn_tanh" in found


def test_of_many_reasons_the_first_few_are_shown_and_the_rest_counted(opened, told):
    rows = [
        row for number in range(9) for row in refused(f"reason <b>{number}</b>" + 900 * "x", gate="glu", seed=number)
    ]
    found = well(opened(told(POINTWISE, rows), "gate"), "gate")
    assert found.count("reason <b>") == 6
    assert "… and 3 more" in found
    assert 500 * "x" not in found


def test_a_stack_is_told_in_a_line_and_not_asked_for_again(opened, told):
    norms = [long_rows(gate="swiglu_ffn", metric="log_depth_gradient_norm", index=layer, value=-1.0) for layer in range(9)]  # fmt: skip
    label = long_rows(gate="swiglu_ffn", metric="class", label="vanished", unit="")
    store = told({"name": "swiglu_ffn", "state": {}, "stackable": True}, [*norms, label])
    found = well(opened(store, "gate"), "gate")
    assert "through 8 layers: vanished" in found
    assert COMMAND not in found

"""measure_inline: one function measured in this process, for scripts and notebooks."""

import gc

import pytest
import torch

import gatebench
from gatebench.errors import UserError

SHAPE = gatebench.Shape(batch=2, seq_len=3, input_size=4, hidden_size=4)


def measure(function, **more):
    """Measure a function for glu beside eager, as short as can be."""
    brief = {"gate": "glu", "shape": SHAPE, "baseline": "eager", "rounds": 2, "sample_ms": 0.1, "warmup_s": 0.001}
    return gatebench.measure_inline(function, **(brief | more))


def mine(params, inputs):
    return {"output": inputs["value"] * inputs["gate"].sigmoid()}


def row_of(results, name="inline:mine"):
    return results.measurements.set_index("implementation").loc[name]


@pytest.mark.parametrize("mode", ["forward", "forward_backward"])
def test_a_right_function_has_a_time_beside_the_baseline(mode):
    results = measure(mine, mode=mode)
    assert list(results.measurements["status"]) == ["ok", "ok"]
    row = row_of(results)
    assert (row["harness"], row["mode"]) == ("inline", mode)
    assert row["time_ns"] > 0
    assert row["error_ratio"] <= 10
    assert len(results.samples.query("quantity == 'time'")) >= 4  # disturbed rounds are taken again


def test_a_wrong_function_has_no_time():
    def mine(params, inputs):
        return {"output": inputs["value"] * inputs["gate"].tanh()}

    row = row_of(measure(mine))
    assert row["status"] == "wrong"
    assert row["reason"].startswith("output: error ratio")
    assert row.isna()["time_ns"]


def test_a_function_that_raises_is_a_row_with_its_reason():
    def mine(params, inputs):
        raise RuntimeError("no weights")

    results = measure(mine)
    assert row_of(results)["status"] == "failed"
    assert "no weights" in row_of(results)["reason"]
    assert row_of(results, "eager")["status"] == "ok"


def test_a_tensor_in_place_of_a_dict_is_said():
    def mine(params, inputs):
        return inputs["value"]

    row = row_of(measure(mine))
    assert (row["status"], row["reason"]) == ("wrong", "returns a Tensor; expected a dict with output")


def test_the_process_is_left_as_it_was():
    def settings():
        backends = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        return torch.get_num_threads(), gc.get_freeze_count(), gc.isenabled(), backends

    gc.unfreeze()  # what tests before this one froze in this process
    torch.backends.cuda.matmul.allow_tf32 = True
    gc.disable()
    before = settings()
    try:
        measure(mine)
        assert settings() == before
    finally:
        gc.enable()
        torch.backends.cuda.matmul.allow_tf32 = False


def test_a_run_is_kept_where_a_store_is_given(tmp_path):
    results = measure(mine, store=tmp_path)
    assert gatebench.load(tmp_path).runs["run_id"].tolist() == results.runs["run_id"].tolist()


def test_a_function_can_be_measured_again():
    assert row_of(measure(mine))["status"] == row_of(measure(mine))["status"] == "ok"


def test_unknown_names_are_errors():
    with pytest.raises(UserError, match="unknown gate 'gluu'"):
        measure(mine, gate="gluu")
    with pytest.raises(UserError, match="unknown implementation 'nativ'"):
        measure(mine, baseline="nativ")

"""What a resumed run keeps of the run before: every block counts, under the new run's id."""

import json

import pandas as pd
import pytest

from gatebench.analyze.compare import compare
from gatebench.errors import StoreError
from gatebench.run.publish import accuracy_rows, measurement_rows, sample_rows
from gatebench.run.republish import recall_into
from gatebench.run.resume import resumable
from gatebench.store.journal import Journal
from gatebench.store.read import load
from tests.synthetic import Plan, write_store

HEADER = {"environment": {"device_name": "a processor"}, "gates_by_name": {"lstm": {"family": "recurrent"}}}


@pytest.fixture
def old(tmp_path):
    plan = Plan(gates=("lstm",), seq_lens=(64,), hidden_sizes=(64,), modes=("forward",), failures=False, partial=True)
    write_store(tmp_path, plan)
    return load(tmp_path)


@pytest.fixture
def entries(tmp_path, old):
    """The old run's rows as journal entries of a new one."""
    journal = Journal(tmp_path, "new")
    try:
        recall_into(journal, old.folders[0])
        yield journal.entries("case")
    finally:
        journal.close()


def test_a_run_that_was_resumed_is_not_resumed_again(tmp_path, old):
    (run_id,) = (run.run_id for run in old.folders)
    assert resumable(tmp_path, run_id)[0] == run_id
    (whole,) = write_store(tmp_path, Plan(gates=("glu",), seq_lens=(64,), hidden_sizes=(64,), seed=1))
    path = tmp_path / "runs" / whole / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "resumes": run_id}))
    with pytest.raises(StoreError, match=f"run {run_id}: was resumed already, as {whole}; "):
        resumable(tmp_path, run_id)


def tables(entries):
    samples, accuracy = sample_rows("new", entries), accuracy_rows("new", entries)
    return pd.DataFrame(measurement_rows("new", entries, samples, accuracy, HEADER)), pd.DataFrame(samples)


def test_recalled_samples_belong_to_the_new_run_and_give_the_same_estimates(entries, old):
    measurements, samples = tables(entries)
    assert set(samples["run_id"]) == {"new"}
    before = old.measurements.set_index("case_id")
    for row in measurements.to_dict("records"):
        expected = before.loc[row["case_id"]]
        assert row["status"] == expected["status"]
        if row["status"] == "ok":
            assert row["blocks"] == expected["blocks"] == 3
            found = [row[name] for name in ("time_ns", "ci_low_ns", "ci_high_ns")]
            assert found == pytest.approx(expected[["time_ns", "ci_low_ns", "ci_high_ns"]].tolist())
    assert compare(measurements, samples)["speedup"].notna().sum() == (measurements["status"] == "ok").sum()


def test_a_block_that_is_measured_anew_stands_beside_the_recalled_ones(entries):
    for entry in entries:
        if entry["block"] == 2:
            foreign = ("run_id", "case_id", "side", "stage", "quantity", "block")
            entry["samples"] = [{k: v for k, v in row.items() if k not in foreign} for row in entry["samples"]]
    measurements, _ = tables(entries)
    assert set(measurements.loc[measurements["status"] == "ok", "blocks"]) == {3}

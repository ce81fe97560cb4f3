"""What the pages rest on: foreign and damaged parquet files become one line each."""

import shutil

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gatebench.store.read import load, read_table
from gatebench.store.schema import VERSION_KEY
from tests.synthetic import Plan, write_store


@pytest.fixture
def store(tmp_path):
    write_store(tmp_path / "results", Plan(seq_lens=(64,), hidden_sizes=(64,), gates=("gru",), failures=False))
    return tmp_path / "results"


def rewrite(store, change, version=b"1"):
    """Write the run's accuracy.parquet anew, changed, with this schema version."""
    path = next((store / "runs").iterdir()) / "accuracy.parquet"
    table = change(pq.ParquetFile(path).read())
    pq.write_table(table.replace_schema_metadata({VERSION_KEY: version}), path)


def test_a_column_of_another_type_is_a_problem_and_not_a_crash(store):
    rewrite(store, lambda table: table.set_column(0, "run_id", pa.array([[1, 2]] * table.num_rows)))
    results = load(store)
    assert results.accuracy.empty
    assert len(results.problems) == 1
    assert "column run_id holds list" in results.problems[0]
    assert len(results.measurements) > 0


def test_a_schema_version_that_is_no_number_is_a_foreign_file(store):
    rewrite(store, lambda table: table, version=b"one")
    results = load(store)
    assert results.accuracy.empty
    assert "was not written by GateBench" in results.problems[0]


def test_the_same_seed_writes_the_same_store(tmp_path):
    plan = Plan(runs=2, seq_lens=(64,), hidden_sizes=(64, 128), gates=("gru",))
    ids = [write_store(tmp_path / name, plan) for name in ("a", "b")]
    assert ids[0] == ids[1]
    first, second = (load(tmp_path / name) for name in ("a", "b"))
    pd.testing.assert_frame_equal(first.measurements, second.measurements)
    pd.testing.assert_frame_equal(first.samples, second.samples)
    pd.testing.assert_frame_equal(first.stability, second.stability)


def test_a_copied_run_folder_is_a_problem_and_not_a_crash(store):
    run = next((store / "runs").iterdir())
    shutil.copytree(run, run.with_name("copy-of-run"))
    results = load(store)
    assert list(results.runs["run_id"]) == [run.name]
    assert results.problems == [
        f"run copy-of-run: holds run {run.name}, so it is a copy; a folder named as its run; move it out of the store"
    ]


def test_some_columns_of_an_older_file_come_back_with_nothing_for_what_it_lacks(store):
    path = next((store / "runs").iterdir()) / "samples.parquet"
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["event_ns", "foreign_ratio"]), path)
    found = read_table(path, "samples", ["case_id", "event_ns"])
    assert found.column_names == ["case_id", "event_ns"]
    assert found["event_ns"].null_count == table.num_rows

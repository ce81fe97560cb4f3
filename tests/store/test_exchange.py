"""A run as pytest-benchmark's JSON: its statistics, its fields, and what stays out of it."""

import io
import json
import random
import sys
from pathlib import Path

import pandas as pd
import pytest
from pytest_benchmark.stats import Stats

import gatebench
from gatebench.analyze.statistics import kept_times
from gatebench.errors import StoreError
from gatebench.store.exchange import csv_text, pytest_benchmark_text, stats
from gatebench.store.read import load, read_table
from gatebench.store.schema import TABLES
from gatebench.store.write import write_run

ROOT = Path(gatebench.__file__).resolve().parents[1]


@pytest.fixture
def results(tmp_path):
    """A store with one synthetic run of two gates; some of its cases failed."""
    sys.path.insert(0, str(ROOT))
    from tests.synthetic import Plan, write_store

    write_store(tmp_path, Plan(seq_lens=(64, 128), hidden_sizes=(64,), modes=("forward",), stability=False))
    return load(tmp_path)


def exported(results):
    return json.loads(pytest_benchmark_text(results.folders[0], kept_times(results.samples)))


@pytest.mark.parametrize("rounds", range(1, 24))
def test_statistics_are_those_of_pytest_benchmark(rounds):
    generator = random.Random(rounds)
    for times in ([generator.expovariate(1e3) for _ in range(rounds)], [generator.choice([1.0, 2.0, 2.5]) for _ in range(rounds)]):  # fmt: skip
        theirs = Stats()
        for value in times:
            theirs.update(value)
        assert stats(times, 7) == {**theirs.as_dict(), "data": times, "iterations": 7}


def test_every_timed_case_is_a_benchmark_and_every_kept_sample_a_round(results):
    timed = results.measurements.dropna(subset="time_ns").set_index("case_id")
    found = {bench["name"]: bench for bench in exported(results)["benchmarks"]}
    assert 0 < len(found) < len(results.measurements)
    assert set(found) == set(timed.index)
    for name, bench in found.items():
        row = timed.loc[name]
        assert (bench["group"], bench["fullname"]) == (row["problem_id"], f"gatebench::{name}")
        assert (bench["stats"]["rounds"], bench["stats"]["iterations"]) == (row["samples"], row["loops"])
        assert 1e9 * bench["stats"]["min"] == pytest.approx(row["min_ns"], rel=1e-12)
        assert bench["params"]["shape"] == name.split("/")[2]


def test_it_holds_what_github_action_benchmark_reads(results):
    for bench in exported(results)["benchmarks"]:
        assert isinstance(bench["fullname"], str)
        for field in ("ops", "stddev", "mean", "rounds"):
            assert bench["stats"][field] > 0


def test_sides_of_a_run_are_told_apart(results):
    run = results.folders[0]
    tables = {table: read_table(run.path / f"{table}.parquet", table).to_pylist() for table in ("measurements", "samples")}  # fmt: skip
    sides = {table: [{**row, "side": side} for side in ("base", "head") for row in rows] for table, rows in tables.items()}  # fmt: skip
    folder = write_run(run.path / "s", run.path.with_name("ab"), {"run_id": "ab"}, [], sides)
    benchmarks = exported(load(folder))["benchmarks"]
    names = {bench["name"] for bench in exported(results)["benchmarks"]}
    assert {bench["name"]: bench["param"] for bench in benchmarks} == {
        f"{name}[{side}]": side for name in names for side in ("base", "head")
    }


def test_a_run_whose_samples_are_missing_is_said(results):
    with pytest.raises(StoreError, match="has a time and no samples; restore or remove the folder"):
        pytest_benchmark_text(results.folders[0], results.samples.iloc[:0])


def test_a_run_without_times_has_nothing_to_export(tmp_path):
    rows = [{"case_id": "a", "side": "run", "status": "wrong"}]
    folder = write_run(tmp_path / "s", tmp_path / "runs" / "x", {"run_id": "x"}, [], {"measurements": rows, "samples": []})  # fmt: skip
    with pytest.raises(StoreError, match="run x: nothing was timed; a run with times is accepted; --to csv"):
        exported(load(folder))


@pytest.mark.parametrize("table", ["measurements", "samples", "accuracy", "stability"])
def test_csv_has_every_column_and_row_of_a_table(results, table):
    found = pd.read_csv(io.StringIO(csv_text(results.folders[0], table)))
    assert list(found.columns) == [column.name for column in TABLES[table]]
    expected = getattr(results, table)
    assert len(found) == len(expected)
    numbers = [column.name for column in TABLES[table] if column.type == "float"]
    for name in numbers:
        assert found[name].astype(float).equals(expected[name].astype(float)), name


def test_a_table_that_the_run_lacks_is_said(results):
    with pytest.raises(StoreError, match="holds no verdicts; it holds accuracy, measurements, samples, stability"):
        csv_text(results.folders[0], "verdicts")

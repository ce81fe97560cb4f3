"""Runs that cannot be read: named in one line and left out, and the others are read."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_helpers import edit_manifest, frames, one_problem, run_id, write

from gatebench.errors import StoreError
from gatebench.store.read import find_run, load
from gatebench.store.schema import TABLES, VERSION_KEY, arrow_schema


def damaged(tmp_path):
    """Write two runs and return the folder of the first, to be damaged."""
    write(tmp_path, 2)
    return write(tmp_path, 1)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("size", [0, 3, 100, -10])
def test_a_truncated_parquet_is_named_and_the_rest_is_read(tmp_path, table, size):
    path = damaged(tmp_path) / f"{table}.parquet"
    path.write_bytes(path.read_bytes()[:size])
    one_problem(tmp_path, f"run {run_id(1)}: {table}.parquet cannot be read: ")


def test_a_missing_parquet_is_named(tmp_path):
    (damaged(tmp_path) / "samples.parquet").unlink()
    one_problem(tmp_path, f"run {run_id(1)}: samples.parquet cannot be read: ")


def test_a_parquet_of_another_program_is_named(tmp_path):
    pq.write_table(pa.table({"a": [1]}), damaged(tmp_path) / "accuracy.parquet")
    one_problem(tmp_path, "accuracy.parquet was not written by GateBench")


def test_a_file_that_is_no_parquet_is_named(tmp_path):
    (damaged(tmp_path) / "accuracy.parquet").write_text("case_id,error\n")
    one_problem(tmp_path, "accuracy.parquet cannot be read: ")


@pytest.mark.parametrize("version", [b"99", b"x", b""])
def test_a_parquet_of_a_newer_or_unknown_schema_is_named(tmp_path, version):
    schema = arrow_schema("accuracy").with_metadata({VERSION_KEY: version})
    pq.write_table(schema.empty_table(), damaged(tmp_path) / "accuracy.parquet")
    one_problem(tmp_path, "schema version 99" if version == b"99" else "was not written by GateBench")


def test_a_column_of_another_type_is_named(tmp_path):
    schema = pa.schema([("run_id", pa.string()), ("blocks", pa.string())], metadata={VERSION_KEY: b"1"})
    table = pa.Table.from_pydict({"run_id": ["x"], "blocks": ["three"]}, schema=schema)
    pq.write_table(table, damaged(tmp_path) / "measurements.parquet")
    one_problem(tmp_path, "measurements.parquet: column blocks holds string, not int64")


def test_a_column_that_comes_twice_is_named(tmp_path):
    arrays = [pa.array(["x"]), pa.array(["y"])]
    schema = pa.schema([("run_id", pa.string()), ("run_id", pa.string())], metadata={VERSION_KEY: b"1"})
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), damaged(tmp_path) / "accuracy.parquet")
    one_problem(tmp_path, "accuracy.parquet: column run_id comes twice")


def test_an_older_schema_reads_with_nulls_for_what_it_did_not_have(tmp_path):
    folder = damaged(tmp_path)
    schema = pa.schema([("case_id", pa.string()), ("run_id", pa.string()), ("blocks", pa.int32())], metadata={VERSION_KEY: b"0"})  # fmt: skip
    table = pa.Table.from_pydict({"case_id": ["old"], "run_id": [run_id(1)], "blocks": [3]}, schema=schema)
    pq.write_table(table, folder / "measurements.parquet")
    edit_manifest(folder, schema_version=0)
    results = load(tmp_path)
    old = results.measurements[results.measurements["case_id"] == "old"].iloc[0]
    assert results.problems == []
    assert old["blocks"] == 3
    assert set(old.drop(["case_id", "run_id", "blocks"]).isna()) == {True}


def test_columns_of_a_later_edition_of_the_same_schema_are_ignored(tmp_path):
    folder = damaged(tmp_path)
    table = pq.read_table(folder / "samples.parquet")
    pq.write_table(table.append_column("colour", pa.array(["red", "blue"])), folder / "samples.parquet")
    assert "colour" not in load(tmp_path).samples.columns


MANIFESTS = {
    "truncated": (lambda text: text[:50], "manifest.json is not JSON"),
    "empty": (lambda text: "", "manifest.json is not JSON"),
    "a list": (lambda text: "[1]", "manifest.json is not of a GateBench run"),
    "of another program": (lambda text: '{"name": "webapp"}', "manifest.json is not of a GateBench run"),
    "newer": (lambda text: text.replace('"schema_version": 1', '"schema_version": 99'), "schema version 99 is newer; up to 1 is accepted; update gatebench"),
    "without an id": (lambda text: text.replace('"run_id"', '"rnu_id"'), "manifest.json is not of a GateBench run"),
    "with an id that is none": (lambda text: text.replace(f'"{run_id(1)}"', "[]"), "manifest.json is not of a GateBench run"),
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_cannot_be_read_is_named(tmp_path, name):
    change, what = MANIFESTS[name]
    path = damaged(tmp_path) / "manifest.json"
    path.write_text(change(path.read_text()))
    one_problem(tmp_path, f"run {run_id(1)}: ", what)


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        ({"suite": "quick"}, "suite is not an object"), ({"git": ["abc"]}, "git is not an object"),
        ({"git": {"dirty": "no"}}, "git.dirty is not true or false"), ({"suite": {"name": 7}}, "suite.name is not text"),
        ({"created_utc": 7}, "created_utc is not text"), ({"status": {"a": 1}}, "status is not text"),
        ({"seed": "x"}, "seed is not a whole number"), ({"seed": 2**63}, "seed is not a whole number of 64 bits"),
        ({"environment": {"device_name": "\ud800"}}, "environment.device_name is not text"),
        ({"files": {"measurements.parquet": {"rows": "many"}}}, "files is not an object of objects with rows"),
        ({"files": {"measurements.parquet": 3}}, "files is not an object of objects with rows"),
    ],
)  # fmt: skip
def test_a_manifest_of_another_shape_is_named(tmp_path, entry, what):
    edit_manifest(damaged(tmp_path), **entry)
    one_problem(tmp_path, f"run {run_id(1)}: manifest.json: {what}")


def test_a_manifest_that_is_missing_or_not_text_is_named(tmp_path):
    path = damaged(tmp_path) / "manifest.json"
    path.write_bytes(b"\xff\xfe{}")
    one_problem(tmp_path, "manifest.json is not JSON")
    path.unlink()
    one_problem(tmp_path, f"run {run_id(1)}: manifest.json: No such file or directory")


def test_a_manifest_with_parts_that_are_missing_is_read(tmp_path):
    edit_manifest(damaged(tmp_path), suite=None, git=None, environment=None)
    assert list(load(tmp_path).runs["run_id"]) == [run_id(1), run_id(2)]


def test_staging_and_stray_files_are_not_runs(tmp_path):
    write(tmp_path)
    (tmp_path / "runs" / "notes.txt").write_text("mine")
    (tmp_path / "_staging" / "x" / "journal").mkdir(parents=True)
    results = load(tmp_path)
    assert (len(results.folders), results.problems) == (1, [])


def test_a_store_that_does_not_exist_is_an_error_with_a_next_step(tmp_path):
    for path in (tmp_path / "gone", tmp_path / "file"):
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match=r"no such folder; .*; run `gatebench run quick`"):
            load(path)


def test_an_empty_store_has_empty_tables_with_all_columns(tmp_path):
    results = load(tmp_path)
    assert {len(frame) for frame in frames(results).values()} == {0}
    assert list(results.samples.columns) == [column.name for column in TABLES["samples"]]
    assert len(results.runs) == 0


def test_a_part_of_a_store_is_no_store(tmp_path, monkeypatch):
    write(tmp_path, 1)
    monkeypatch.chdir(tmp_path / "runs")
    for part, whole in ((tmp_path / "runs", tmp_path), (Path(), "..")):
        for read in (load, lambda store: find_run(store, "latest")):
            with pytest.raises(StoreError, match=f"is the runs/ of a store; .*; give {whole}$"):
                read(part)
    assert len(load("..").folders) == 1

"""The store: what is written is read back, half a run is never seen, what is broken is named and left out."""

import json
import math
import os
import shutil
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from store_helpers import GATES, VALUES, edit_manifest, manifest, row, run_id, write

import gatebench
from gatebench.errors import StoreError
from gatebench.store import write as writing
from gatebench.store.read import Results, find_run, load, read_run
from gatebench.store.schema import SCHEMA_VERSION, TABLES, VERSION_KEY, arrow_schema
from gatebench.store.write import write_run


def frames(results):
    return {name: getattr(results, name) for name in TABLES}


def one_problem(store, *parts):
    """Check that a store of two runs has one that cannot be read, named in one line; the other is still there."""
    results = load(store)
    rows = frames(results)
    assert len(results.problems) == 1
    line = results.problems[0]
    assert "\n" not in line
    for part in parts:
        assert part in line
    assert all(run_id(2) in set(frame["run_id"]) for frame in rows.values())
    return line


# --- round trip


@pytest.mark.parametrize("table", TABLES)
def test_every_column_comes_back_with_its_value_and_null_stays_null(tmp_path, table):
    write(tmp_path)
    full, empty = pq.read_table(tmp_path / "runs" / run_id(1) / f"{table}.parquet").to_pylist()
    assert full == row(table, run_id=run_id(1))
    assert set(empty.values()) == {None}
    frame = frames(load(tmp_path))[table]
    assert list(frame.columns) == [column.name for column in TABLES[table]]
    for column in TABLES[table]:
        assert column.name == "run_id" or frame[column.name][0] == VALUES[column.type], column.name
        assert frame[column.name].isna()[1], column.name


def test_infinite_numbers_come_back(tmp_path):
    rows = [row("accuracy", error_ratio=value) for value in (math.inf, -math.inf)]
    write_run(tmp_path / "s", tmp_path / "runs" / run_id(1), manifest(1), GATES, {"accuracy": rows})
    assert list(load(tmp_path).accuracy["error_ratio"]) == [math.inf, -math.inf]


def test_the_manifest_says_what_the_folder_holds(tmp_path):
    folder = write(tmp_path)
    found = json.loads((folder / "manifest.json").read_text())
    assert found["schema_version"] == SCHEMA_VERSION
    assert {path.name for path in folder.iterdir()} == {*found["files"], "manifest.json"}
    assert {entry["rows"] for name, entry in found["files"].items() if name != "gates.json"} == {2}
    import hashlib

    for name, entry in found["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]
    assert read_run(folder).gates() == GATES


def test_a_column_that_the_table_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"table samples has no columns \['wall'\]"):
        write_run(tmp_path / "s", tmp_path / "runs" / "x", manifest(1), GATES, {"samples": [{"wall": 1}]})
    assert not (tmp_path / "runs").exists()


def test_a_run_folder_is_never_written_twice(tmp_path):
    folder = write(tmp_path)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError, match="the folder exists"):
        write(tmp_path, status="partial")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_one_run_folder_can_be_loaded_alone(tmp_path):
    folder = write(tmp_path)
    write(tmp_path, 2)
    assert list(gatebench.load(folder).runs["run_id"]) == [run_id(1)]


def test_a_run_that_another_resumes_is_hidden(tmp_path):
    write(tmp_path, 1, status="partial")
    write(tmp_path, 2, resumes=run_id(1))
    write(tmp_path, 3)
    assert list(load(tmp_path).runs["run_id"]) == [run_id(2), run_id(3)]


def test_reference_runs_are_read_and_shown_as_such(tmp_path):
    write(tmp_path, 2)
    write(tmp_path / "other", 1)
    shutil.move(tmp_path / "other" / "runs", tmp_path / "reference")
    assert list(load(tmp_path).runs[["run_id", "folder"]].itertuples(index=False, name=None)) == [
        (run_id(1), "reference"), (run_id(2), "runs"),
    ]  # fmt: skip


# --- a crash while writing


class Crash(Exception):
    """Stands for the end of the process at a system call."""


STEPS = ("mkdir", "rename", "replace", "open", "fsync", "write_table")


def crash_at(monkeypatch, number, error):
    """Let call number `number` to the file system raise; returns the list of calls so far."""
    calls = []

    def crashing(name, real):
        def call(*arguments, **named):
            calls.append(name)
            if len(calls) == number:
                raise error
            return real(*arguments, **named)

        return call

    for name in ("mkdir", "rename", "replace", "open"):
        monkeypatch.setattr(Path, name, crashing(name, getattr(Path, name)))
    monkeypatch.setattr(writing.os, "fsync", crashing("fsync", os.fsync))
    monkeypatch.setattr(writing.pq, "write_table", crashing("write_table", pq.write_table))
    return calls


def number_of_steps(folder):
    write(folder, 2)
    with pytest.MonkeyPatch.context() as patch:
        calls = crash_at(patch, 0, Crash())
        write(folder)
    assert set(calls) == set(STEPS)
    return len(calls)


@pytest.mark.parametrize("error", [Crash(), OSError(28, "No space left on device"), OSError(30, "Read-only file system")])  # fmt: skip
def test_a_crash_at_any_step_never_shows_half_a_run(tmp_path, error):
    steps = number_of_steps(tmp_path / "whole")
    assert steps > 15
    seen = []
    for number in range(1, steps + 1):
        store = tmp_path / str(number)
        write(store, 2)
        with pytest.MonkeyPatch.context() as patch:
            crash_at(patch, number, error)
            with pytest.raises(Crash if isinstance(error, Crash) else StoreError):
                write(store)
        results = load(store)
        rows = frames(results)
        assert results.problems == []
        seen.append(run_id(1) in set(results.runs["run_id"]))
        assert len(results.runs) == 1 + seen[-1]
        assert {len(frame) for frame in rows.values()} == {2 * (1 + seen[-1])}
        if not seen[-1]:
            write(store)  # and writing once more succeeds
            assert len(load(store).runs) == 2
    assert seen == sorted(seen)  # nothing up to the rename, then everything
    assert sum(seen) == 1  # only the last fsync comes after it


def test_a_crash_that_leaves_half_a_folder_would_be_seen(tmp_path):
    folder = write(tmp_path)
    write(tmp_path, 2)
    (folder / "samples.parquet").unlink()
    one_problem(tmp_path, "samples.parquet")


def test_a_refused_write_names_the_store_and_the_next_step(tmp_path, monkeypatch):
    crash_at(monkeypatch, 1, OSError(28, "No space left on device"))
    with pytest.raises(StoreError) as caught:
        write(tmp_path / "results")
    assert str(caught.value) == (
        "store results/: cannot write: No space left on device; a folder that can be written, on a disk with free space, "
        f"is accepted; what was measured is kept: make room, then `gatebench run --resume {run_id(1)}`"
    )


# --- what cannot be read


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


# --- finding one run


def test_a_run_is_found_by_part_of_its_id_as_latest_and_by_its_path(tmp_path):
    first, second = write(tmp_path, 1), write(tmp_path, 2)
    (tmp_path / "runs" / "zz_stray").mkdir()
    assert find_run(tmp_path, "latest").path == second
    assert find_run(tmp_path, "000001Z").path == first
    assert find_run(tmp_path / "elsewhere", str(first)).path == first


def test_an_unknown_or_ambiguous_run_is_an_error(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 2)
    with pytest.raises(StoreError, match=r"2 runs match '2026'; runs there, newest last: .*; give more of the id"):
        find_run(tmp_path, "2026")
    with pytest.raises(
        StoreError, match=r"no run '20260101T000003Z-abcd'; .*; did you mean '20260101T00000\dZ-abcd'\?"
    ):
        find_run(tmp_path, run_id(3))


# --- many runs


def test_a_thousand_runs_load_in_seconds(tmp_path):
    write(tmp_path, 0)
    template = tmp_path / "runs" / run_id(0)
    text = (template / "manifest.json").read_text()
    for number in range(1, 1000):
        folder = tmp_path / "runs" / run_id(number)
        folder.mkdir()
        for name in (*(f"{table}.parquet" for table in TABLES), "gates.json"):
            os.link(template / name, folder / name)
        (folder / "manifest.json").write_text(text.replace(run_id(0), run_id(number)))
    started = time.perf_counter()
    results: Results = load(tmp_path)
    rows = frames(results)
    seconds = time.perf_counter() - started
    print(f"1000 runs in {seconds:.2f} s")
    assert results.problems == []
    assert len(results.runs) == 1000
    assert {len(frame) for frame in rows.values()} == {2000}
    assert seconds < 30  # 3 s on an idle machine; this only catches what grows with the square

"""The store: what is written is read back, one run is found among many, and a thousand load in seconds."""

import json
import math
import os
import shutil
import time

import pyarrow.parquet as pq
import pytest
from store_helpers import GATES, VALUES, frames, manifest, row, run_id, write

import gatebench
from gatebench.errors import StoreError
from gatebench.store.read import Results, find_run, load, read_run
from gatebench.store.schema import SCHEMA_VERSION, TABLES
from gatebench.store.write import write_run

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

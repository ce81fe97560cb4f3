"""What the index holds of run folders: a row of `runs`, and rows of their tables; samples come as blocks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from gatebench.analyze.blocks import NEEDED, blocks_of
from gatebench.errors import StoreError
from gatebench.store.read import Run, read_run_of_store, read_table, run_row
from gatebench.store.schema import STATUSES, arrow_schema

KEY = "run_key"  # column of every indexed table: which folder a row comes from, and in which state of it
STORED = ("measurements", "accuracy", "stability", "verdicts")  # as they are in a run folder
RUNS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in (KEY, "run_id", "folder", "path", "purpose", "created_utc", "status", "resumes")),
        *((name, pa.string()) for name in ("suite", "gatebench_version", "git_sha", "environment_class", "device_name", "harness")),
        ("git_dirty", pa.bool_()), ("seed", pa.int64()), ("cases", pa.int64()), *((name, pa.int64()) for name in STATUSES),
        ("sized", pa.int64()), ("timed", pa.int64()), ("stability_rows", pa.int64()), ("verdict_rows", pa.int64()), ("unreadable", pa.bool_()), ("manifest", pa.string()),
    ]
)  # fmt: skip
# What analyze.blocks makes of samples, which themselves are read from a run's own file when asked for.
BLOCKS_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("run_id", "case_id", "side")), ("block", pa.int64()), ("log_ns", pa.float64()),
        *((name, pa.int64()) for name in ("samples", "disturbed", "measured")),
    ]
)  # fmt: skip
SCHEMAS = {name: arrow_schema(name) for name in STORED} | {"blocks": BLOCKS_SCHEMA}


@dataclass
class Found:
    """One run folder as read: its row of `runs` (None where its manifest cannot be read), its tables, problems. Mutable."""

    name: str
    stamp: str
    row: dict[str, Any] | None
    tables: dict[str, pa.Table]
    problems: list[str]

    @property
    def key(self) -> str:
        """Return the text that KEY holds in this run's rows."""
        return run_key(self.name, self.stamp)

    @property
    def size(self) -> int:
        """Return the bytes that it takes in memory."""
        return sum(table.nbytes for table in self.tables.values())


def run_key(name: str, stamp: str) -> str:
    """Return what KEY holds in rows of a folder (`runs/<id>`) as it was at this stamp."""
    return f"{name}@{stamp}"


def read_folder(store: Path, name: str, stamp: str) -> Found:
    """Read one run folder; what of it cannot be read is a problem, and the rest is kept. `samples` are still samples."""
    found = Found(name, stamp, None, {}, [])
    try:
        run = read_run_of_store(store / name)
    except StoreError as error:
        found.problems.append(str(error))
        return found
    for table, columns in (*((table, None) for table in STORED), ("samples", NEEDED)):
        if f"{table}.parquet" in run.manifest["files"]:
            try:
                found.tables[table] = read_table(run.path / f"{table}.parquet", table, columns)
            except StoreError as error:
                found.problems.append(str(error))
    found.row = _run_row(run, name, found.tables)
    return found


def samples_to_blocks(runs: Sequence[Found]) -> None:
    """Put blocks in the place of each run's samples; many runs at once, for a frame costs more than its rows."""
    parts = [
        run.tables.pop("samples").set_column(0, "run_id", pa.repeat(pa.scalar(run.key), rows))
        for run in runs
        if (rows := len(run.tables.get("samples", ())))
    ]
    if not parts:
        return
    texts = ("run_id", "case_id", "side", "quantity", "reason")
    samples = pa.concat_tables(parts)
    for name in texts:  # as categories: grouping by text takes ten times as long
        samples = samples.set_column(samples.column_names.index(name), name, samples[name].combine_chunks().dictionary_encode())  # fmt: skip
    blocks = blocks_of(samples.to_pandas())
    by_key = {run.key: run for run in runs}
    for key, rows in blocks.groupby("run_id", sort=False, observed=True):
        run = by_key[str(key)]
        named = rows.astype({"run_id": str, "case_id": str, "side": str}).assign(run_id=run.name.rpartition("/")[2])
        run.tables["blocks"] = pa.Table.from_pandas(named, schema=BLOCKS_SCHEMA, preserve_index=False)


def _run_row(run: Run, name: str, tables: Mapping[str, pa.Table]) -> dict[str, Any]:
    """Return a run's row of the table `runs`: what its manifest says, and its cases counted by status."""
    counts = dict.fromkeys(STATUSES, 0)
    if "measurements" in tables:
        for entry in tables["measurements"]["status"].value_counts().to_pylist():
            counts[entry["values"]] = entry["counts"]
    cases = sum(counts.values())
    measured = tables.get("measurements")
    has = {name: len(measured) - measured[name].null_count if measured else 0 for name in ("seq_len", "time_ns")}
    rows = {table: _rows(run.manifest["files"].get(f"{table}.parquet")) for table in STORED}
    return {
        **run_row(run), **counts, "path": name, "purpose": run.purpose, "cases": cases, "sized": has["seq_len"], "timed": has["time_ns"],
        "stability_rows": rows["stability"],
        "verdict_rows": rows["verdicts"], "unreadable": rows["measurements"] > 0 and "measurements" not in tables,
        "manifest": json.dumps(run.manifest),
    }  # fmt: skip


def _rows(entry: Any) -> int:
    return int(entry.get("rows") or 0) if isinstance(entry, dict) else 0

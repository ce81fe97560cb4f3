"""The files of an index: rows of many runs in parts, what lies in which (index.json), and the merging of small parts."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gatebench.query.content import KEY, RUNS_SCHEMA, SCHEMAS, Found, run_key
from gatebench.store.schema import SCHEMA_VERSION
from gatebench.store.write import write_json

VERSION = 1

STATE = "index.json"
_ROW_GROUP = 1 << 16  # rows; a question about one run reads a few groups of a large part


@dataclass
class Entry:
    """One run folder: its stamp when it was read, the part that holds its rows ("" where none could be read), problems."""

    stamp: str
    part: str
    problems: list[str]


@dataclass
class State:
    """index.json. parts: name -> {runs: how many it holds, sizes: table -> bytes}, in order of writing. Mutable."""

    entries: dict[str, Entry]
    parts: dict[str, dict[str, Any]]


def read_state(place: Path) -> State:
    """Return what index.json says of parts that are there and whole; nothing where it cannot be read or is of another version."""
    try:
        found = json.loads((place / STATE).read_text(encoding="utf-8"))
        if [found["version"], found["schema_version"]] != [VERSION, SCHEMA_VERSION]:
            return State({}, {})
        parts = {name: about for name, about in found["parts"].items() if _is_whole(place, name, about["sizes"])}
        entries = {key: Entry(*entry) for key, entry in found["entries"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return State({}, {})
    return State({key: entry for key, entry in entries.items() if not entry.part or entry.part in parts}, parts)


def _is_whole(place: Path, part: str, sizes: Mapping[str, int]) -> bool:
    return all(os.path.getsize(part_file(place, part, table)) == size for table, size in sizes.items())


def write_state(place: Path, state: State) -> None:
    """Write index.json, whole or not at all."""
    entries = {key: [entry.stamp, entry.part, entry.problems] for key, entry in state.entries.items()}
    found = {"version": VERSION, "schema_version": SCHEMA_VERSION, "entries": entries, "parts": state.parts}
    write_json(place / STATE, found)


def part_file(place: Path, part: str, table: str) -> Path:
    """Return where a part keeps its rows of a table."""
    return place / f"{part}-{table}.parquet"


def write_part(place: Path, runs: list[Found]) -> tuple[str, dict[str, Any]] | None:
    """Write the rows of these runs as one part; returns its name and what index.json says of it, None without runs."""
    if not runs:
        return None
    part = secrets.token_hex(6)
    rows = [{KEY: run.key, **(run.row or {})} for run in runs]
    tables = {"runs": pa.Table.from_pylist(rows, schema=RUNS_SCHEMA)}
    for table in SCHEMAS:
        found = [
            run.tables[table].append_column(KEY, pa.repeat(pa.scalar(run.key), len(run.tables[table])))
            for run in runs
            if table in run.tables
        ]
        if found:
            tables[table] = pa.concat_tables(found)
    for table, content in tables.items():
        pq.write_table(content, part_file(place, part, table), compression="zstd", row_group_size=_ROW_GROUP)
    return part, _about(place, part, len(runs))


def _about(place: Path, part: str, runs: int) -> dict[str, Any]:
    files = {table: part_file(place, part, table) for table in ("runs", *SCHEMAS)}
    return {"runs": runs, "sizes": {table: path.stat().st_size for table, path in files.items() if path.exists()}}


def merge(place: Path, state: State) -> None:
    """Write the parts at the end anew as one, while each is at most twice as large as all behind it, and those half empty.

    So a store that grows run by run is written anew a logarithm of times, and one that was read at once, once.
    """
    live: dict[str, set[str]] = {part: set() for part in state.parts}
    for name, entry in state.entries.items():
        if entry.part:
            live[entry.part].add(run_key(name, entry.stamp))
    state.parts = {part: about for part, about in state.parts.items() if live[part]}
    sizes = {part: sum(about["sizes"].values()) for part, about in state.parts.items()}
    tail: list[str] = []
    for part in reversed(state.parts):
        if tail and sizes[part] > 2 * sum(sizes[each] for each in tail):
            break
        tail.insert(0, part)
    for group in (*([part] for part in state.parts if part not in tail), tail):
        if len(group) > 1 or any(2 * len(live[part]) < state.parts[part]["runs"] for part in group):
            _write_anew(place, state, group, set().union(*(live[part] for part in group)))


def _write_anew(place: Path, state: State, parts: list[str], keys: set[str]) -> None:
    """Write these parts as one, in their order, without the rows of runs that are gone."""
    merged = secrets.token_hex(6)
    wanted = pa.array(sorted(keys))
    for table in ("runs", *SCHEMAS):
        files = [part_file(place, part, table) for part in parts if table in state.parts[part]["sizes"]]
        if not files:
            continue
        with pq.ParquetWriter(part_file(place, merged, table), pq.read_schema(files[0]), compression="zstd") as writer:
            for rows in _gathered(files, wanted):
                writer.write_table(rows, row_group_size=_ROW_GROUP)
    state.parts = {part: about for part, about in state.parts.items() if part not in parts}
    state.parts[merged] = _about(place, merged, len(keys))
    for entry in state.entries.values():
        entry.part = merged if entry.part in parts else entry.part


def _gathered(files: list[Path], wanted: pa.Array) -> Iterator[pa.Table]:
    """Yield the rows of runs that are there, at least a row group at a time: many small ones would make files slow."""
    waiting: list[pa.Table] = []
    for path in files:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROW_GROUP):
                waiting.append(pa.Table.from_batches([batch]).filter(pc.field(KEY).isin(wanted)))
                if sum(len(each) for each in waiting) >= _ROW_GROUP:
                    yield pa.concat_tables(waiting)
                    waiting = []
    if waiting:
        yield pa.concat_tables(waiting)


def sweep(place: Path, state: State) -> None:
    """Delete the files of parts that are none any more; who still asks them must read the state anew."""
    for path in place.glob("*.parquet"):
        if path.name.partition("-")[0] not in state.parts:
            path.unlink(missing_ok=True)

"""The index of a store: manifests and rows of all its runs in a few large parquet files, so that a question over thousands
of runs opens no thousands of files. Derived and disposable: what is damaged or of another version is built anew.

    <store>/.index/index.json                which run lies in which part, as it was then; what could not be read
    <store>/.index/<part>-<table>.parquet    rows of many runs; `runs` has one row per run, with its manifest

New runs become a new part; small parts at the end are merged, so that there are never more than a logarithm of the runs.
"""

import fcntl
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from gatebench.errors import StoreError
from gatebench.query.content import KEY, RUNS_SCHEMA, SCHEMAS, Found, read_folder, run_key, samples_to_blocks
from gatebench.store.read import check_store, run_folders
from gatebench.store.schema import SCHEMA_VERSION
from gatebench.store.write import write_json

VERSION = 1
Progress = Callable[[int, int], None]  # called with the runs read so far, and those to be read

_STATE = "index.json"
_PART_RUNS, _PART_BYTES = 500, 256 << 20  # what is held in memory at once, and what an interrupted build reads again
_READERS, _AHEAD = 4, 32
_ROW_GROUP = 1 << 16  # rows; a question about one run reads a few groups of a large part


@dataclass(frozen=True)
class Index:
    """An index as it is now. files: table -> its parquet files, which may also hold rows of runs that are gone: `keys` names
    those that are there. problems: what could not be read, one line each.
    """

    folder: Path
    files: Mapping[str, tuple[Path, ...]]
    keys: frozenset[str]
    problems: tuple[str, ...]
    whole: bool  # the files hold no other rows

    @cached_property
    def state(self) -> str:
        """Return a text that changes with what the index holds."""
        return hashlib.sha256("\n".join([*sorted(self.keys), *self.problems]).encode("utf-8", "replace")).hexdigest()


@dataclass
class _Entry:
    """One run folder: its stamp when it was read, the part that holds its rows ("" where none could be read), problems."""

    stamp: str
    part: str
    problems: list[str]


@dataclass
class _State:
    """index.json. parts: name -> {runs: how many it holds, sizes: table -> bytes}, in order of writing. Mutable."""

    entries: dict[str, _Entry]
    parts: dict[str, dict[str, Any]]


def update_index(store: Path, progress: Progress | None = None) -> Index:
    """Bring the index of a store up to date and return it; reads new and changed run folders only.

    Raises StoreError where there is no store, and where the index can be written nowhere.
    """
    check_store(store)
    stamps = {f"{folder.parent.name}/{folder.name}": stamp(folder) for folder in run_folders(store)}
    place = index_folder(store)
    state = _read_state(place)
    if not _is_current(state, stamps):
        try:
            with _alone(place):
                state = _read_state(place)  # another process may just have done it
                if not _is_current(state, stamps):
                    _bring_up_to_date(store, place, state, stamps, progress or (lambda done, total: None))
        except OSError as error:
            what = f"cannot be written: {error.strerror or error}"
            raise StoreError("index", what, "a disk with free space is accepted", "make room") from error
    return _index_of(place, state)


def index_folder(store: Path) -> Path:
    """Return where the index of a store lies: in it, or, where it cannot be written, in the user's cache folder."""
    inside = store / ".index"
    if _can_write(inside):
        return inside
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "gatebench" / hashlib.sha256(os.fsencode(store.resolve())).hexdigest()[:16]


def stamp(folder: Path) -> str:
    """Return a text that changes when a file of a run folder does; empty for a folder that is not there."""
    try:
        with os.scandir(folder) as entries:
            facts = sorted((entry.name, (about := entry.stat()).st_size, about.st_mtime_ns) for entry in entries)
    except OSError:
        return ""
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        probe = folder / f".{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let one process at a time write the index; others wait."""
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- the state


def _read_state(place: Path) -> _State:
    """Return what index.json says of parts that are there and whole; nothing where it cannot be read or is of another version."""
    try:
        found = json.loads((place / _STATE).read_text(encoding="utf-8"))
        if [found["version"], found["schema_version"]] != [VERSION, SCHEMA_VERSION]:
            return _State({}, {})
        parts = {name: about for name, about in found["parts"].items() if _is_whole(place, name, about["sizes"])}
        entries = {key: _Entry(*entry) for key, entry in found["entries"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return _State({}, {})
    return _State({key: entry for key, entry in entries.items() if not entry.part or entry.part in parts}, parts)


def _is_whole(place: Path, part: str, sizes: Mapping[str, int]) -> bool:
    return all(os.path.getsize(_file(place, part, table)) == size for table, size in sizes.items())


def _write_state(place: Path, state: _State) -> None:
    entries = {key: [entry.stamp, entry.part, entry.problems] for key, entry in state.entries.items()}
    found = {"version": VERSION, "schema_version": SCHEMA_VERSION, "entries": entries, "parts": state.parts}
    write_json(place / _STATE, found)


def _is_current(state: _State, stamps: Mapping[str, str]) -> bool:
    return stamps == {key: entry.stamp for key, entry in state.entries.items()}


def _file(place: Path, part: str, table: str) -> Path:
    return place / f"{part}-{table}.parquet"


def _index_of(place: Path, state: _State) -> Index:
    live = {run_key(name, entry.stamp) for name, entry in state.entries.items() if entry.part}
    files = {
        table: tuple(_file(place, part, table) for part, about in state.parts.items() if table in about["sizes"])
        for table in ("runs", *SCHEMAS)
    }
    problems = tuple(line for name in sorted(state.entries) for line in state.entries[name].problems)
    held = sum(about["runs"] for about in state.parts.values())
    return Index(place, files, frozenset(live), problems, whole=held == len(live))


# --- building


def _bring_up_to_date(store: Path, place: Path, state: _State, stamps: Mapping[str, str], progress: Progress) -> None:
    """Drop what is gone, read what is new or changed part by part, and merge; the state is stored after each part."""
    for name in [name for name, entry in state.entries.items() if stamps.get(name) != entry.stamp]:
        del state.entries[name]
    new = [name for name in stamps if name not in state.entries]
    done = 0
    progress(done, len(new))
    for runs in _in_parts(_read_all(store, new, stamps)):
        part = _write_part(place, [run for run in runs if run.row is not None])
        if part is not None:
            state.parts[part[0]] = part[1]
        for run in runs:
            state.entries[run.name] = _Entry(run.stamp, part[0] if part and run.row is not None else "", run.problems)
        _write_state(place, state)
        done += len(runs)
        progress(done, len(new))
    _merge(place, state)
    _write_state(place, state)
    _sweep(place, state)


def _read_all(store: Path, names: Sequence[str], stamps: Mapping[str, str]) -> Iterator[Found]:
    """Read run folders, a few ahead of what is asked for."""
    with ThreadPoolExecutor(_READERS) as readers:
        for first in range(0, len(names), _AHEAD):
            ahead = names[first : first + _AHEAD]
            found = list(readers.map(lambda name: read_folder(store, name, stamps[name]), ahead))
            samples_to_blocks(found)
            yield from found


def _in_parts(runs: Iterable[Found]) -> Iterator[list[Found]]:
    """Gather runs until they are as many, or as large, as one part may be."""
    part: list[Found] = []
    for run in runs:
        part.append(run)
        if len(part) == _PART_RUNS or sum(each.size for each in part) > _PART_BYTES:
            yield part
            part = []
    if part:
        yield part


def _write_part(place: Path, runs: list[Found]) -> tuple[str, dict[str, Any]] | None:
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
        pq.write_table(content, _file(place, part, table), compression="zstd", row_group_size=_ROW_GROUP)
    return part, _about(place, part, len(runs))


def _about(place: Path, part: str, runs: int) -> dict[str, Any]:
    files = {table: _file(place, part, table) for table in ("runs", *SCHEMAS)}
    return {"runs": runs, "sizes": {table: path.stat().st_size for table, path in files.items() if path.exists()}}


# --- merging


def _merge(place: Path, state: _State) -> None:
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


def _write_anew(place: Path, state: _State, parts: list[str], keys: set[str]) -> None:
    """Write these parts as one, in their order, without the rows of runs that are gone."""
    merged = secrets.token_hex(6)
    wanted = pa.array(sorted(keys))
    for table in ("runs", *SCHEMAS):
        files = [_file(place, part, table) for part in parts if table in state.parts[part]["sizes"]]
        if not files:
            continue
        with pq.ParquetWriter(_file(place, merged, table), pq.read_schema(files[0]), compression="zstd") as writer:
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


def _sweep(place: Path, state: _State) -> None:
    """Delete the files of parts that are none any more; who has one open reads on."""
    for path in place.glob("*.parquet"):
        if path.name.partition("-")[0] not in state.parts:
            path.unlink(missing_ok=True)

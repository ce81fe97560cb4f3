"""The index of a store: manifests and rows of all its runs in a few large parquet files, so that a question over thousands
of runs opens no thousands of files. Derived and disposable: what is damaged or of another version is built anew.

    <store>/.index/index.json                which run lies in which part, as it was then; what could not be read
    <store>/.index/<part>-<table>.parquet    rows of many runs; `runs` has one row per run, with its manifest

New runs become a new part; small parts at the end are merged, so that there are never more than a logarithm of the runs.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gatebench.errors import StoreError
from gatebench.query.content import SCHEMAS, Found, read_folder, run_key, samples_to_blocks
from gatebench.query.parts import STATE, Entry, State, merge, part_file, read_state, sweep, write_part, write_state
from gatebench.store.read import check_store, run_folders

Progress = Callable[[int, int], None]  # called with the runs read so far, and those to be read

_PART_RUNS, _PART_BYTES = 500, 256 << 20  # what is held in memory at once, and what an interrupted build reads again
_READERS, _AHEAD = 4, 32


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
        """Return a text that changes with what the index holds, and with the files that hold it: old ones are deleted."""
        files = sorted(path.name for paths in self.files.values() for path in paths)
        return hashlib.sha256(
            "\n".join([*sorted(self.keys), *files, *self.problems]).encode("utf-8", "replace")
        ).hexdigest()


def update_index(store: Path, progress: Progress | None = None) -> Index:
    """Bring the index of a store up to date and return it; reads new and changed run folders only.

    Raises StoreError where there is no store, and where the index can be written nowhere.
    """
    check_store(store)
    stamps = _stamps(store)
    place = index_folder(store)
    state = read_state(place)
    if not _is_current(state, stamps):
        try:
            with _alone(place):
                state = read_state(place)  # another process may just have done it
                if not _is_current(state, stamps):
                    _bring_up_to_date(store, place, state, stamps, progress or (lambda done, total: None))
        except OSError as error:
            what = f"cannot be written: {error.strerror or error}"
            raise StoreError("index", what, "a disk with free space is accepted", "make room") from error
    return _index_of(place, state)


def is_indexed(store: Path) -> bool:
    """Say whether the index of a store holds all its runs as they are, so that `update_index` has nothing to do."""
    return store.is_dir() and _is_current(read_state(index_folder(store)), _stamps(store))


def index_folder(store: Path) -> Path:
    """Return where the index of a store lies: in it, or, where it cannot be written, in the user's cache folder."""
    inside = store / ".index"
    if _can_write(inside):
        return inside
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return caches / "gatebench" / hashlib.sha256(os.fsencode(store.resolve())).hexdigest()[:16]


def discard_index(store: Path) -> None:
    """Let the next update build the index of a store anew: for where its files turn out to be damaged."""
    (index_folder(store) / STATE).unlink(missing_ok=True)


def stamp(folder: Path) -> str:
    """Return a text that changes when a file of a run folder does; empty for a folder that is not there."""
    try:
        with os.scandir(folder) as entries:
            facts = sorted((entry.name, (about := entry.stat()).st_size, about.st_mtime_ns) for entry in entries)
    except OSError:
        return ""
    return hashlib.sha256(repr(facts).encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _stamps(store: Path) -> dict[str, str]:
    """Return the stamp of each run folder, by its name below the store."""
    return {f"{folder.parent.name}/{folder.name}": stamp(folder) for folder in run_folders(store)}


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


def _is_current(state: State, stamps: Mapping[str, str]) -> bool:
    return stamps == {key: entry.stamp for key, entry in state.entries.items()}


def _index_of(place: Path, state: State) -> Index:
    live = {run_key(name, entry.stamp) for name, entry in state.entries.items() if entry.part}
    files = {
        table: tuple(part_file(place, part, table) for part, about in state.parts.items() if table in about["sizes"])
        for table in ("runs", *SCHEMAS)
    }
    problems = tuple(line for name in sorted(state.entries) for line in state.entries[name].problems)
    held = sum(about["runs"] for about in state.parts.values())
    return Index(place, files, frozenset(live), problems, whole=held == len(live))


def _bring_up_to_date(store: Path, place: Path, state: State, stamps: Mapping[str, str], progress: Progress) -> None:
    """Drop what is gone, read what is new or changed part by part, and merge; the state is stored after each part."""
    for name in [name for name, entry in state.entries.items() if stamps.get(name) != entry.stamp]:
        del state.entries[name]
    new = [name for name in stamps if name not in state.entries]
    done = 0
    progress(done, len(new))
    for runs in _in_parts(_read_all(store, new, stamps)):
        part = write_part(place, [run for run in runs if run.row is not None])
        if part is not None:
            state.parts[part[0]] = part[1]
        for run in runs:
            state.entries[run.name] = Entry(run.stamp, part[0] if part and run.row is not None else "", run.problems)
        write_state(place, state)
        done += len(runs)
        progress(done, len(new))
    merge(place, state)
    write_state(place, state)
    sweep(place, state)


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
    size = 0
    for run in runs:
        part.append(run)
        size += run.size  # in bytes; asked once, for it takes a quarter of a millisecond
        if len(part) == _PART_RUNS or size > _PART_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part

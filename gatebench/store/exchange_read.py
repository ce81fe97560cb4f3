"""pytest-benchmark's JSON, read and checked: nothing in it is trusted."""

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gatebench.errors import UserError
from gatebench.store.exchange import BLOCKS, KEY

MAX_BYTES = 256 << 20  # of a file: ten times that becomes Python's objects
_MAX_SECONDS = 1e9  # of a round: thirty years
_MAX_NAME = 1000  # letters of a benchmark's name
_ACCEPTED = "accepted: JSON that pytest-benchmark or `gatebench export` wrote"


@dataclass(frozen=True)
class Benchmark:
    """One benchmark: the times of one call in seconds, round by round, or only their median where `summary` is set."""

    fullname: str
    name: str
    group: str | None
    seconds: tuple[float, ...]
    iterations: int
    summary: str | None  # says what the one time is that stands for rounds that the file does not hold
    row: Mapping[str, Any]  # columns of `measurements` as gatebench wrote them; {} where something else did
    blocks: tuple[int, ...]  # of each round


@dataclass(frozen=True)
class Document:
    """A whole file: its benchmarks, when and where they were measured, and its hash."""

    file: str
    sha256: str
    benchmarks: tuple[Benchmark, ...]
    created: datetime | None
    machine: Mapping[str, Any]
    commit: Mapping[str, Any]


def read_document(path: Path) -> Document:
    """Read a file; raises UserError, where = its name, for one that is missing, huge, broken or of something else."""
    data = _bytes(path)
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        what = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UserError(path.name, f"is not JSON: {what}", _ACCEPTED, "write it again") from None
    benchmarks = found.get("benchmarks") if isinstance(found, dict) else None
    if not isinstance(benchmarks, list):
        raise UserError(path.name, "has no list `benchmarks`", _ACCEPTED, "check the file")
    if not benchmarks:
        raise UserError(path.name, "holds no benchmark", "at least one is needed", "check what was run")
    read: dict[str, Benchmark] = {}
    for number, entry in enumerate(benchmarks):
        benchmark = _benchmark(f"{path.name}: benchmarks[{number}]", entry)
        if benchmark.fullname in read:
            raise UserError(f"{path.name}: benchmarks[{number}]", f"{_short(benchmark.fullname)} comes twice", "each name is accepted once", "import the files one by one")  # fmt: skip
        read[benchmark.fullname] = benchmark
    sha256 = hashlib.sha256(data).hexdigest()
    machine, commit = _table(found.get("machine_info")), _table(found.get("commit_info"))
    file = path.name.encode("utf-8", "replace").decode()  # names of files may be bytes that are no text
    return Document(file, sha256, tuple(read.values()), _created(found.get("datetime")), machine, commit)


def _bytes(path: Path) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe without a writer is no file, and no wait
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise UserError(path.name, "is no regular file", _ACCEPTED, "name a file on a disk")
            if found.st_size > MAX_BYTES:
                accepted = f"up to {MAX_BYTES >> 20} MiB are accepted"
                raise UserError(path.name, f"has {found.st_size / 2**20:,.0f} MiB", accepted, "import it in parts")
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: no path has a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(path.name, f"cannot be read: {reason}", _ACCEPTED, "check the path") from None


def _benchmark(where: str, entry: Any) -> Benchmark:
    fullname, counts = _text(entry, "fullname"), _table(_table(entry).get("stats"))
    if not fullname or len(fullname) > _MAX_NAME:
        raise UserError(where, f"fullname = {_short(_table(entry).get('fullname'))}", f"a text of 1 to {_MAX_NAME} letters is accepted", "check the file")  # fmt: skip
    data: Any = counts.get("data")
    summary = None
    if data is None:
        rounds = counts.get("rounds")
        summary = f"the median of {rounds} rounds" if _is_count(rounds) else "the median of all rounds"
        data = [counts.get("median")]
    if not isinstance(data, list) or not data:
        raise UserError(f"{where}.stats.data", _short(data), "a list of at least one time is accepted", "check the file")  # fmt: skip
    for value in data:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < _MAX_SECONDS:
            key = "median" if summary else "data"
            raise UserError(f"{where}.stats.{key}", _short(value), "seconds from 0 are accepted", "check the file")
    iterations = counts.get("iterations", 1)
    if not _is_count(iterations):
        raise UserError(f"{where}.stats.iterations", _short(iterations), "an integer from 1 is accepted", "check the file")  # fmt: skip
    row = _table(_table(entry.get("extra_info")).get(KEY))
    return Benchmark(
        fullname, _text(entry, "name") or fullname, _text(entry, "group"), tuple(map(float, data)), iterations, summary,
        row, _blocks(row.get(BLOCKS), len(data)),
    )  # fmt: skip


def _blocks(value: Any, rounds: int) -> tuple[int, ...]:
    """Return the block of each round; one block where the file does not tell."""
    told = isinstance(value, list) and len(value) == rounds
    if told and all(isinstance(block, int) and _is_count(block + 1) for block in value):
        return tuple(int(block) for block in value)
    return (0,) * rounds


def _created(text: Any) -> datetime | None:
    """Return when a file says that it was written; None where it does not, or says what cannot be."""
    try:
        found = datetime.fromisoformat(text)
        found = (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None  # the time of the import stands in
    return found if datetime(1970, 1, 1, tzinfo=UTC) <= found <= datetime.now(UTC) else None


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(entry: Any, key: str) -> str | None:
    value = _table(entry).get(key)
    return value if isinstance(value, str) and value else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value < 2**53


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""A store in a few lines: runs with every column filled."""

import json
from pathlib import Path
from typing import Any

from gatebench.store.read import load
from gatebench.store.schema import TABLES
from gatebench.store.write import write_run

VALUES = {"text": "läuft, 日本", "int": 2**53 + 1, "float": 0.1, "bool": True}
GATES = [{"name": "lstm", "family": "recurrent", "equation": "h = o \\odot \\tanh(c)"}]


def run_id(number: int) -> str:
    """Return an id that sorts by number."""
    return f"20260101T{number:06d}Z-abcd"


def row(table: str, **changes: Any) -> dict[str, Any]:
    """Return a row with a value in every column."""
    return {**{column.name: VALUES[column.type] for column in TABLES[table]}, **changes}


def manifest(number: int, **changes: Any) -> dict[str, Any]:
    """Return a manifest as `write_run` takes it."""
    return {"run_id": run_id(number), "created_utc": "2026-01-01T00:00:00Z", "status": "complete", "resumes": None, "suite": {"name": "quick"}, **changes}  # fmt: skip


def write(store: Path, number: int = 1, **changes: Any) -> Path:
    """Write one run with one row per table, and a second one of nulls."""
    tables = {name: [row(name, run_id=run_id(number)), {}] for name in TABLES}
    return write_run(
        store / "_staging" / run_id(number), store / "runs" / run_id(number), manifest(number, **changes), GATES, tables
    )


def edit_manifest(folder: Path, **changes: Any) -> None:
    """Change a manifest in place, as no program of ours would."""
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def frames(results):
    """Return every table of the results by name."""
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

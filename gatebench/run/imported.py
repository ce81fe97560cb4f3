"""From pytest-benchmark's JSON to a run folder: what others measured, beside what gatebench did, and marked so."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from gatebench.analyze.statistics import estimate
from gatebench.cases import Case, options_text
from gatebench.errors import UserError
from gatebench.run.execute import new_run_id
from gatebench.run.publish import manifest
from gatebench.run.scrub import scrub, scrub_all
from gatebench.store.exchange_read import Benchmark, Document
from gatebench.store.journal import Journal
from gatebench.store.schema import TABLES
from gatebench.store.write import write_run

HARNESS = "imported"
_TIMES = ("time_ns", "ci_low_ns", "ci_high_ns", "min_ns", "blocks", "samples")
_NO_TIME = "every round took 0 s by its clock"
_SIDES = ("run", "base", "head")


def import_run(document: Document, store: Path) -> Path:
    """Write a file's benchmarks as a run and return its folder; raises StoreError where the store refuses.

    A benchmark that gatebench wrote is the case that it was. Any other keeps its full name as case_id; its group is the
    gate and the problem, its name the implementation; without a group it is a gate and a problem of its own. Nothing
    else is known of it, so mode, dtype, sizes and the rest are null. Every round is a sample.
    """
    created = document.created or datetime.now(UTC)
    journal = Journal(store, new_run_id(created))
    try:
        common = {"run_id": journal.run_id, "harness": HARNESS}
        rows, samples = [], []
        for row, benchmark in _rows(document):
            rows.append({**row, **common, "loops": benchmark.iterations})
            samples += _samples(benchmark, rows[-1])
        families = {row["gate"]: {"name": row["gate"], "family": row["family"]} for row in rows}
        tables = {"measurements": _with_times(rows, samples), "samples": samples, "accuracy": [], "stability": []}
        destination = store / "runs" / journal.run_id
        header = _header(document, created)
        return write_run(
            journal.folder, destination, manifest(journal.run_id, "complete", header), list(families.values()), tables
        )
    finally:
        journal.remove()


# --- one benchmark


def _rows(document: Document) -> Iterable[tuple[dict[str, Any], Benchmark]]:
    """Return the row of each benchmark, still without times; raises UserError where two are of one case."""
    seen: set[tuple[str, str]] = set()
    for benchmark in document.benchmarks:
        row = _known_row(benchmark) or _foreign_row(benchmark)
        key = (row["case_id"], row["side"])
        if key in seen:
            raise UserError(document.file, f"{row['case_id']} comes twice", "each case is accepted once", "measure suites that share cases one by one")  # fmt: skip
        seen.add(key)
        yield row, benchmark


def _known_row(benchmark: Benchmark) -> dict[str, Any] | None:
    """Return the row of a benchmark that gatebench wrote; None where its columns are not those of the case it names."""
    columns = {column.name: column.type for column in TABLES["measurements"]}
    row = {name: value for name, value in benchmark.row.items() if _fits(value, columns.get(name))}
    try:
        options = {name: json.loads(row[name]) for name in ("gate_options", "implementation_options")}
        sizes = {name: row[name] for name in ("batch", "seq_len", "input_size", "hidden_size")}
        case = Case.from_json({**row, **options, "shape": sizes})
        names = {case.case_id, f"{case.case_id}[{row['side']}]"}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    if row["case_id"] != case.case_id or benchmark.name not in names or row["side"] not in _SIDES or "family" not in row:  # fmt: skip
        return None
    return scrub_all({**row, "problem_id": case.problem_id, "status": "ok", "reason": None})


def _fits(value: Any, kind: str | None) -> bool:
    """Say whether a value may stand in a column of this type."""
    if isinstance(value, bool):
        return kind == "bool"
    if isinstance(value, int):
        return kind in ("int", "float") and abs(value) < 2**63
    return isinstance(value, float if kind == "float" else str) and kind in ("float", "text")


def _foreign_row(benchmark: Benchmark) -> dict[str, Any]:
    """Return the row of a benchmark that gatebench knows nothing of but its name and group."""
    fullname, name, group = (scrub(text) if text else text for text in (benchmark.fullname, benchmark.name, benchmark.group))  # fmt: skip
    return {
        "case_id": fullname, "problem_id": group or fullname, "side": "run", "gate": group or name, "family": HARNESS,
        "gate_options": options_text(()), "implementation": name if group else HARNESS,
        "implementation_options": options_text(()), "status": "ok", "reason": None,
    }  # fmt: skip


def _samples(benchmark: Benchmark, row: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    rounds = dict.fromkeys(benchmark.blocks, 0)
    for block, seconds in zip(benchmark.blocks, benchmark.seconds, strict=True):
        yield {
            "run_id": row["run_id"], "case_id": row["case_id"], "side": row["side"], "stage": "run", "quantity": "time",
            "block": block, "round": rounds[block], "loops": benchmark.iterations, "wall_ns": seconds * 1e9,
            "dropped": seconds == 0, "reason": "0 s by its clock" if seconds == 0 else benchmark.summary,
        }  # fmt: skip
        rounds[block] += 1


def _with_times(rows: list[dict[str, Any]], samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with times estimated from their samples, as those of every other run are."""
    found = {(row["case_id"], row["side"]): row for row in estimate(pd.DataFrame(samples)).to_dict("records")}
    timed = []
    for row in rows:
        times = found.get((row["case_id"], row["side"]))
        if times is None:
            timed.append({**row, **dict.fromkeys(_TIMES), "status": "failed", "reason": _NO_TIME})
        else:
            timed.append({**row, **{name: None if math.isnan(times[name]) else times[name] for name in _TIMES}})
    return timed


# --- the run


def _header(document: Document, created: datetime) -> dict[str, Any]:
    """Return what a run's manifest says of a file: no more of its machine than what makes times comparable."""
    cpu = document.machine.get("cpu")
    cpu = cpu if isinstance(cpu, dict) else {}
    environment = {
        "device_name": _text(cpu.get("brand_raw")), "machine": _text(document.machine.get("machine")),
        "system": _text(document.machine.get("system")),
        "cores": cpu.get("count") if isinstance(cpu.get("count"), int) else None,
        "versions": {"python": _text(document.machine.get("python_version"))},
    }  # fmt: skip
    sha = _text(document.commit.get("id"))
    return {
        "created_utc": created.isoformat(timespec="seconds"),
        "suite": {"name": Path(document.file).stem, "file": document.file, "sha256": document.sha256, "text": ""},
        "request": {"narrowing": {}, "named": [], "why": "imported", "cases": [], "stability": []},
        "git": {"sha": sha, "dirty": bool(document.commit.get("dirty"))} if sha != "unversioned" else None,
        "plugins": [],
        "environment": environment,
        "environment_class": hashlib.sha256(json.dumps([HARNESS, environment], sort_keys=True).encode()).hexdigest()[:12],
        "seed": None,
        "measure": None,
        "harness": HARNESS,
    }  # fmt: skip


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None

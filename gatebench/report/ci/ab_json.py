"""An A/B run as one JSON value, gatebench-ab/1 (docs/json.md): Markdown, JUnit, annotations and the terminal are made from it."""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gatebench.report.ci.escapes import shorten
from gatebench.report.ci.findings import sentences
from gatebench.report.quantities import is_missing
from gatebench.store.schema import TABLES

SCHEMA = "gatebench-ab/1"
_TEXT_BYTES = 16_384  # of one name or reason; the schema takes sentences made of three of them
_PLAN_KEYS = (
    "seed", "rate", "alpha_screen", "alpha_confirm", "hypotheses", "power", "margins", "decided", "fail_on", "time_limit_s",
)  # fmt: skip
_NAMES = ("gate", "implementation", "mode", "dtype", "device")
_SIDE_COLUMNS = (
    "status", "reason", "blocks", "time_ns", "ci_low_ns", "ci_high_ns", "unsteady", "compile_cold_ns", "compile_warm_ns",
    "peak_bytes", "saved_bytes", "error_ratio", "kernel",
)  # fmt: skip
_VERDICT_COLUMNS = tuple(
    column.name for column in TABLES["verdicts"] if column.name not in ("run_id", "case_id", "quantity")
)
_TYPES = {table: {column.name: column.type for column in TABLES[table]} for table in TABLES}


@dataclass(frozen=True)
class AbReport:
    """What an A/B run gives to every output: its frames as stored, its plan and manifest, and what analyze makes of them.

    verdicts, measurements, accuracy: columns as in store.schema.TABLES. counts: how many time verdicts of each word,
    controls apart. decided: share of the cases that got a verdict, null without cases. control_failures: a line each.
    """

    manifest: Mapping[str, Any]
    plan: Mapping[str, Any]
    verdicts: pd.DataFrame
    measurements: pd.DataFrame
    accuracy: pd.DataFrame
    counts: Mapping[str, int]
    decided: float | None
    control_failures: Sequence[str]
    exit_code: int


def ab_json(report: AbReport) -> dict[str, Any]:
    """Return the value that `gatebench ab --json` prints: plain JSON, non-finite numbers as "inf" and "-inf"."""
    manifest, plan = report.manifest, report.plan
    cases = _cases(report)
    controls = plan.get("controls", {})
    judged = [case for case in cases if case["case_id"] not in controls]
    elapsed = manifest.get("elapsed") or {}
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "run_id": manifest["run_id"],
        "created_utc": manifest.get("created_utc"),
        "gatebench_version": manifest.get("gatebench_version"),
        "status": manifest["status"],
        "suite": (manifest.get("suite") or {}).get("name"),
        "command": _whole(plan["command"]),
        "elapsed_s": elapsed.get("total_s"),
        "environment_class": manifest.get("environment_class"),
        "device_name": (manifest.get("environment") or {}).get("device_name"),
        "plan": {"sha256": plan_digest(plan), **{key: plan.get(key) for key in _PLAN_KEYS}},
        "sides": {name: _version(plan["sides"][name]) for name in ("base", "head")},
        "exit_code": report.exit_code,
        "decided": report.decided,
        "counts": {**_counts(judged), "time": dict(report.counts)},
        "control_failures": list(report.control_failures),
        "controls": [case for case in cases if case["case_id"] in controls],
        "largest_error": {name: _largest_error(report, controls, name) for name in ("base", "head")},
        "cases": judged,
        "not_measured": [
            {"case_id": case_id, "reason": reason} for case_id, reason in plan.get("not_measured", {}).items()
        ],
    }
    document = _bounded(document)
    return document | {"sentences": sentences(document)}


def plan_digest(plan: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the plan as JSON with sorted keys and no spaces: it says which plan was kept to."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _cases(report: AbReport) -> list[dict[str, Any]]:
    """Return one entry per case and control, in the plan's order, with both sides and the verdicts of all quantities."""
    sides = {(row["case_id"], row["side"]): row for row in _records(report.measurements)}
    judged: dict[str, dict[str, Any]] = {}
    for row in _records(report.verdicts):
        verdict = {name: _plain(row[name], _TYPES["verdicts"][name]) for name in _VERDICT_COLUMNS}
        judged.setdefault(row["case_id"], {})[row["quantity"]] = verdict
    tensors = _worst_tensors(report.accuracy)
    planned, controls = report.plan["cases"], report.plan.get("controls", {})
    order = dict.fromkeys((*report.plan.get("order", ()), *planned, *judged, *(case_id for case_id, _ in sides)))
    cases = []
    for case_id in order:
        found = {name: sides.get((case_id, name)) for name in ("base", "head")}
        row = found["head"] or found["base"] or {}
        cases.append({
            "case_id": case_id,
            **{name: _plain(row.get(name), "text") for name in _NAMES},
            "present": planned.get(case_id, "both"),
            "added": controls.get(case_id),
            **{name: _side(entry, tensors.get((case_id, name))) for name, entry in found.items()},
            "verdicts": judged.get(case_id, {}),
        })  # fmt: skip
    return cases


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return frame.astype(object).to_dict("records")


def _side(row: Mapping[str, Any] | None, tensor: str | None) -> dict[str, Any] | None:
    """Return what one side measured of a case; null where it has no such case."""
    if row is None:
        return None
    types = _TYPES["measurements"]
    return {name: _plain(row[name], types[name]) for name in _SIDE_COLUMNS} | {"error_tensor": tensor}


def _worst_tensors(accuracy: pd.DataFrame) -> dict[tuple[str, str], str]:
    """Return the tensor with the largest error ratio of each case and side."""
    rows = accuracy[accuracy["error_ratio"].notna()].sort_values("error_ratio", ascending=False, kind="stable")
    rows = rows.drop_duplicates(["case_id", "side"])
    return {(row.case_id, row.side): row.tensor for row in rows.itertuples()}


def _largest_error(report: AbReport, controls: Iterable[str], side: str) -> dict[str, Any] | None:
    """Return the largest error ratio of one side with its case and tensor; null where nothing was verified."""
    rows = report.accuracy
    rows = rows[(rows["side"] == side) & rows["error_ratio"].notna() & ~rows["case_id"].isin(list(controls))]
    if rows.empty:
        return None
    worst = rows.iloc[int(rows["error_ratio"].to_numpy().argmax())]
    return {"case_id": worst["case_id"], "tensor": worst["tensor"], "error_ratio": _plain(worst["error_ratio"], "float")}  # fmt: skip


def _counts(cases: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Return by quantity how many cases got each verdict."""
    found: dict[str, Counter[str]] = {}
    for case in cases:
        for quantity, verdict in case["verdicts"].items():
            found.setdefault(quantity, Counter())[verdict["verdict"]] += 1
    return {quantity: dict(counts) for quantity, counts in found.items()}


def _version(side: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was compared: as it was given, the commit, whether files were changed, the commit's subject."""
    return {"given": side["given"], "sha": side.get("sha"), "dirty": bool(side.get("dirty")), "subject": side.get("subject")}  # fmt: skip


def _whole(command: str) -> str:
    """Return a command, empty where it is too long: cut, it would be another command."""
    return command if shorten(command, _TEXT_BYTES) == command else ""


def _plain(value: Any, kind: str) -> Any:
    """Return a cell as JSON: null where nothing was measured (in a frame an int column with gaps holds floats)."""
    if is_missing(value):
        return None
    return {"text": str, "int": int, "float": float, "bool": bool}[kind](value)


def _bounded(value: Any) -> Any:
    """Return a JSON value with its infinite numbers as strings, and endless texts (a plugin's own reasons) shortened."""
    if isinstance(value, Mapping):
        return {key: _bounded(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_bounded(entry) for entry in value]
    if isinstance(value, str):
        return shorten(value, _TEXT_BYTES)
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value

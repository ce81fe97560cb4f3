"""From the journal to a run folder: rows of every table, estimates, manifest."""

import hashlib
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gatebench import __version__
from gatebench.analyze.statistics import estimate
from gatebench.cases import Case, options_text
from gatebench.run.plan import BREAKDOWNS, STRIKES
from gatebench.run.protocol import finite, number
from gatebench.run.scrub import scrub, scrub_all
from gatebench.store.journal import Journal
from gatebench.store.schema import TABLES
from gatebench.store.write import write_run

# What beats the ceiling of its cache level by more than this did not do the work, or the clock is wrong.
CEILING_TOLERANCE = 1.05
# Reasons that follow from a case's samples, so that more samples may still take them back.
DROPPED = "every sample was dropped: other processes used the machine"
TOO_FAST = "faster than the machine's ceiling"
_SMALL_PLUGIN_BYTES = 64 * 1024  # plugins up to this size are kept with the run
_ONCE_PER_BLOCK = {
    "import_ns": "import", "prepare_ns": "prepare", "first_call_ns": "first_call",
    "compile_cold_ns": "compile_cold", "compile_warm_ns": "compile_warm",
}  # fmt: skip
# Counted in two blocks of an A/B, and by how much the blocks of one side may differ: bytes not at all; an error ratio
# moves with the order in which threads add.
_COUNTED = {"peak_bytes": 1.0, "saved_bytes": 1.0, "error_ratio": 1.5}
_FROM_FIRST = (
    "loops", "graphs", "graph_breaks", "recompiles", "busy_ns", "flops", "bytes_min", "peak_bytes", "saved_bytes",
    "kernel", "observed_threads",
)  # fmt: skip
Unit = tuple[str, str]  # case_id and side
_SAMPLE_COLUMNS = {column.name for column in TABLES["samples"]}


def publish(store: Path, journal: Journal, status: str, header: Mapping[str, Any]) -> Path:
    """Write the run folder of what the journal holds and remove the staging folder; returns the folder."""
    destination = store / "runs" / journal.run_id
    about, tables = manifest(journal.run_id, status, header), tables_of(journal, header)
    write_run(journal.folder, destination, about, scrub_all(header["gates"]), tables)
    journal.remove()
    return destination


def tables_of(journal: Journal, header: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table of a run, from what its journal holds."""
    run_id, entries = journal.run_id, journal.entries("case")
    samples, accuracy = sample_rows(run_id, entries), accuracy_rows(run_id, entries)
    return {
        "measurements": measurement_rows(run_id, entries, samples, accuracy, header),
        "samples": samples,
        "accuracy": accuracy,
        "stability": stability_rows(run_id, journal.entries("stability")),
    }


def manifest(run_id: str, status: str, header: Mapping[str, Any]) -> dict[str, Any]:
    """Return what identifies a run; nothing in it names a path, a user or a host."""
    plugins = [{key: value for key, value in plugin.items() if key != "path"} for plugin in header["plugins"]]
    about = scrub_all({
        "run_id": run_id,
        "created_utc": header["created_utc"],
        "status": status,
        "resumes": header.get("resumes"),
        "suite": header["suite"],
        "request": header["request"],
        "gatebench_version": __version__,
        "git": header["git"],
        "plugins": plugins,
        "environment": finite(header["environment"]),
        "environment_class": header["environment_class"],
        "seed": header["seed"],
        "measure": header["measure"],
        "harness": header.get("harness", "worker"),
        "elapsed": header.get("elapsed"),
        "purpose": header.get("purpose", "run"),
        "sides": header.get("sides"),
    })  # fmt: skip
    return about | {"calibration": header.get("calibration")}  # holds case ids, which are those of the tables


def describe_plugin(name: str, path: Path) -> dict[str, Any]:
    """Return what a manifest keeps of a plugin file: its hash, and its text where it is small."""
    data = path.read_bytes()
    small = len(data) <= _SMALL_PLUGIN_BYTES
    return {
        "name": name,
        "file": path.name,
        "path": str(path),
        "sha256": hashlib.sha256(data).hexdigest(),
        "package": None,
        "version": None,
        "text": data.decode("utf-8", "replace") if small else None,
    }


def describe_package(name: str, package: Mapping[str, str | None]) -> dict[str, Any]:
    """Return what a manifest keeps of a name that an installed package gives: the package and its version."""
    return {"name": name, "file": None, "sha256": None, "text": None, **package}


def sample_rows(run_id: str, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the samples: timings, and one row per block for import, prepare, first call and compile."""
    rows = []
    for entry in entries:
        common = {"run_id": run_id, "case_id": entry["case_id"], **_side_and_stage(entry), "block": entry["block"]}
        facts = entry["facts"]
        for column, quantity in _ONCE_PER_BLOCK.items():
            if facts.get(column) is not None:
                rows.append({
                    **common, "quantity": quantity, "process": facts.get("process"), "loops": 1,
                    "wall_ns": float(facts[column]), "dropped": False,
                })  # fmt: skip
        for sample in entry["samples"]:
            known = {key: value for key, value in sample.items() if key in _SAMPLE_COLUMNS}
            rows.append({**known, **common, "quantity": "time"})  # a resumed run's own id, not that of the run before
    return rows


def _side_and_stage(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return side and stage of an entry; those of runs that were staged before there were sides say neither."""
    return {"side": entry.get("side", "run"), "stage": entry.get("stage", "run")}


def accuracy_rows(run_id: str, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the accuracy rows of each case's verify."""
    rows = []
    for entry in entries:
        for row in entry["accuracy"]:
            numbers = {
                key: number(row[key]) for key in ("max_abs_error", "relative_error", "error_ratio", "limit_ratio")
            }
            side = _side_and_stage(entry)["side"]
            rows.append({"run_id": run_id, "case_id": entry["case_id"], "side": side, **row, **numbers})
    return rows


def measurement_rows(
    run_id: str,
    entries: Iterable[Mapping[str, Any]],
    samples: list[dict[str, Any]],
    accuracy: list[dict[str, Any]],
    header: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return one row per case and side; a case that failed for good has its reason and no time."""
    by_case: dict[Unit, list[Mapping[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_case[entry["case_id"], _side_and_stage(entry)["side"]].append(entry)
    estimates = _estimates(samples)
    ratios: dict[Unit, float] = {}
    for row in accuracy:
        unit = row["case_id"], row["side"]
        ratios[unit] = max(ratios.get(unit, 0.0), row["error_ratio"])
    ordered = sorted(by_case.items(), key=lambda item: (min(entry["order"] for entry in item[1]), item[0][1]))
    return [
        _measurement(
            run_id, sorted(blocks, key=lambda entry: entry["block"]), estimates.get(unit, {}), ratios.get(unit), header
        )
        for unit, blocks in ordered
    ]


def _estimates(samples: list[dict[str, Any]]) -> dict[Unit, dict[str, Any]]:
    if not any(row["quantity"] == "time" for row in samples):
        return {}
    frame = estimate(pd.DataFrame(samples))
    return {
        (row["case_id"], row["side"]): {key: _plain(value) for key, value in row.items()}
        for row in frame.to_dict("records")
    }


def _measurement(
    run_id: str,
    blocks: list[Mapping[str, Any]],
    estimated: Mapping[str, Any],
    error_ratio: float | None,
    header: Mapping[str, Any],
) -> dict[str, Any]:
    case, side = Case.from_json(blocks[0]["case"]), _side_and_stage(blocks[0])["side"]
    facts = _facts(blocks)
    bad = _failure(blocks)
    status, reason = ("ok", None) if bad is None else (bad["status"], bad["reason"])
    times = {key: estimated.get(key) for key in ("time_ns", "ci_low_ns", "ci_high_ns", "min_ns", "blocks", "samples")}
    if status == "ok" and times["time_ns"] is not None:
        too_fast = _faster_than_ceiling(times["time_ns"], facts.get("bytes_min"), case, header["environment"])
        if too_fast:
            status, reason = "failed", too_fast
    if status == "ok" and times["time_ns"] is None and any(entry["samples"] for entry in blocks):
        status, reason = "failed", DROPPED  # without any sample it was one side of an A/B, and the other side failed
    if status != "ok":
        times |= dict.fromkeys(("time_ns", "ci_low_ns", "ci_high_ns", "min_ns"))
    return {
        "run_id": run_id,
        "case_id": case.case_id,
        "problem_id": case.problem_id,
        "side": side,
        "gate": case.gate,
        "family": header["gates_by_name"][case.gate]["family"],
        "gate_options": options_text(case.gate_options),
        "implementation": case.implementation,
        "implementation_options": options_text(case.implementation_options),
        **{name: getattr(case, name) for name in ("mode", "dtype", "device", "threads", "cache", "launch", "seed")},
        "device_name": _device_name(case, header["environment"]),
        **{name: getattr(case.shape, name) for name in ("batch", "seq_len", "input_size", "hidden_size")},
        "harness": header.get("harness", "worker"),
        "status": status,
        "reason": reason,
        **times,
        **facts,
        "error_ratio": error_ratio,
    }


def _failure(blocks: list[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the entry whose status and reason are the case's, None where it is ok.

    A side of an A/B that broke down once and went on in a later block is ok: that block is missing.
    """
    bad = [entry for entry in blocks if entry["status"] != "ok"]
    once = len(bad) < STRIKES and all(entry["status"] in BREAKDOWNS for entry in bad) and len(bad) < len(blocks)
    if not bad or (once and _side_and_stage(bad[0])["side"] != "run"):
        return None
    return bad[0]


def _facts(blocks: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge what the blocks found: medians of what each block measured, else the first block's word."""
    merged: dict[str, Any] = {}
    all_facts = [entry["facts"] for entry in blocks]
    for column in _ONCE_PER_BLOCK:
        values = [facts[column] for facts in all_facts if facts.get(column) is not None]
        merged[column] = float(statistics.median(values)) if values else None
    for column in _FROM_FIRST:
        merged[column] = next((facts[column] for facts in all_facts if facts.get(column) is not None), None)
    sizes = [facts["rss_peak_bytes"] for facts in all_facts if facts.get("rss_peak_bytes") is not None]
    merged["rss_peak_bytes"] = max(sizes) if sizes else None
    steady = [facts["unsteady"] for facts in all_facts if facts.get("unsteady") is not None]
    merged["unsteady"] = any(steady) if steady else None
    detail = next((facts["detail"] for facts in all_facts if facts.get("detail")), None)
    differ = [name for name, factor in _COUNTED.items() if _differs([facts.get(name) for facts in all_facts], factor)]
    if differ:  # counts are exact: those of an A/B are taken in two blocks
        detail = {**(detail or {}), "counts_differ": differ}
    merged["detail"] = json.dumps(scrub_all(detail), sort_keys=True) if detail else None
    merged["kernel"] = scrub(merged["kernel"]) if merged["kernel"] else merged["kernel"]
    return merged


def _differs(values: list[Any], factor: float) -> bool:
    """Say whether blocks counted differently: the largest is more than `factor` times the smallest."""
    found = [value for value in map(number, values) if value is not None]
    return len(found) > 1 and max(found) > factor * min(found)


def _faster_than_ceiling(
    time_ns: float, bytes_min: int | None, case: Case, environment: Mapping[str, Any]
) -> str | None:
    """Return why a time cannot be true: more bytes per second than the level that holds them can move."""
    if not bytes_min or case.device != "cpu" or not environment.get("ceilings"):
        return None
    levels = [(number(level["bytes"]), number(level["bytes_per_s"])) for level in environment["ceilings"]]
    ceiling = next(speed for size, speed in levels if size is not None and bytes_min <= size)
    speed = bytes_min / time_ns * 1e9
    if ceiling is None or speed <= CEILING_TOLERANCE * ceiling:
        return None
    return f"{TOO_FAST}: {speed / 1e9:.0f} GB/s, and {ceiling / 1e9:.0f} GB/s is possible"


def _device_name(case: Case, environment: Mapping[str, Any]) -> str | None:
    """Return the processor's name; null for a CUDA case where there is no such device."""
    if case.device == "cuda":
        return (environment.get("cuda") or {}).get("device_name")
    return environment["device_name"]


def stability_rows(run_id: str, entries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the stability rows, in the order of the suite."""
    rows = []
    for entry in sorted(entries, key=lambda entry: entry["order"]):
        for row in entry["rows"]:
            numbers = {key: number(row.get(key)) for key in ("value", "standard_error")}
            reason = scrub(row["reason"]) if row.get("reason") else None
            rows.append({**row, **numbers, "reason": reason, "run_id": run_id})
    return rows


def _plain(value: Any) -> Any:
    """Return a numpy scalar as Python's own, NaN as None."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and value != value else value

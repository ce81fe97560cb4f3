"""A run for other tools: as pytest-benchmark's JSON, or one table as CSV."""

import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow.csv as pa_csv

from gatebench.errors import StoreError
from gatebench.shape import Shape
from gatebench.store.read import Run, read_table

KEY = "gatebench"  # in a benchmark's extra_info: its row of `measurements`
BLOCKS = "block_of_round"  # and beside the row's columns, the block of each round
_FORMAT = "5.0.0"  # the pytest-benchmark whose JSON this is
_OF_THE_RUN = ("run_id", "harness")  # columns that another run has values of its own for


def csv_text(run: Run, table: str) -> str:
    """Return a table of a run as CSV, all columns; null is an empty cell. Raises StoreError where the run lacks it."""
    buffer = io.BytesIO()
    pa_csv.write_csv(_read(run, table), buffer)
    return buffer.getvalue().decode()


def pytest_benchmark_text(run: Run, times: pd.DataFrame) -> str:
    """Return what was timed in a run as pytest-benchmark's JSON; raises StoreError where nothing was.

    times: the run's kept timing samples (columns case_id, side, block, wall_ns), in their order. A benchmark is a case,
    a round is a sample, group is the problem. Rows without a time have no place in that format.
    """
    rows = [row for row in _read(run, "measurements").to_pylist() if row["time_ns"] is not None]
    if not rows:
        raise StoreError(f"run {run.run_id}", "nothing was timed", "a run with times is accepted", "--to csv holds every row")  # fmt: skip
    file = run.manifest.get("suite", {}).get("file") or KEY
    of_case = dict(iter(times.groupby(["case_id", "side"], sort=False)))
    benchmarks = []
    for row in rows:
        if (row["case_id"], row["side"]) not in of_case:
            raise StoreError(f"run {run.run_id}", f"{row['case_id']} has a time and no samples", "", "restore or remove the folder")  # fmt: skip
        benchmarks.append(_benchmark(file, row, of_case[row["case_id"], row["side"]]))
    document = {
        "machine_info": _machine_info(run.manifest.get("environment") or {}),
        "commit_info": _commit_info(run.manifest.get("git") or {}),
        "benchmarks": benchmarks,
        "datetime": run.manifest.get("created_utc"),
        "version": _FORMAT,
    }
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)


def _read(run: Run, table: str) -> Any:
    file = f"{table}.parquet"
    if file not in run.manifest["files"]:
        there = ", ".join(sorted(name.partition(".")[0] for name in run.manifest["files"] if name.endswith(".parquet")))
        raise StoreError(f"run {run.run_id}", f"holds no {table}", f"it holds {there}", "choose one of them with --table")  # fmt: skip
    return read_table(run.path / file, table)


# --- one benchmark


def extra_info(row: Mapping[str, Any], blocks: Sequence[int]) -> dict[str, Any]:
    """Return what a benchmark's extra_info holds of a row of `measurements`, and the block of each of its rounds."""
    kept = {key: value for key, value in row.items() if key not in _OF_THE_RUN and _is_plain(value)}
    return {KEY: {**kept, BLOCKS: list(blocks)}}


def params(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `--group-by=param:<name>` can group by. case: columns of `measurements`."""
    shape = Shape(**{name: case[name] for name in ("batch", "seq_len", "input_size", "hidden_size")})
    names = ("gate", "implementation", "dtype", "device", "threads", "mode")
    return {**{name: case[name] for name in names}, "shape": str(shape)}


def _is_plain(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and not math.isfinite(value))


def _benchmark(file: str, row: Mapping[str, Any], times: pd.DataFrame) -> dict[str, Any]:
    side = None if row["side"] == "run" else row["side"]
    # What was imported has the full name of a test for its case id, and without a group is a problem of its own.
    place, _, name = row["case_id"].rpartition("::")
    name += f"[{side}]" if side else ""
    return {
        "group": row["problem_id"] if row["problem_id"] != row["case_id"] else None,
        "name": name,
        "fullname": f"{place or file}::{name}",
        "params": params(row) if row["seq_len"] is not None else None,
        "param": side,
        "extra_info": extra_info(row, times["block"].astype(int).tolist()),
        "options": {"disable_gc": True, "timer": KEY},
        "stats": stats((times["wall_ns"] / 1e9).tolist(), row["loops"] or 1),
    }


def stats(seconds: Sequence[float], iterations: int) -> dict[str, Any]:
    """Return pytest-benchmark's statistics of the times of one call, round by round.

    The quartiles are medians of the halves, or interpolated between two values where the number of rounds is odd.
    Outliers are counted beyond one standard deviation of the mean, and beyond 1.5 interquartile ranges of the quartiles.
    """
    ordered, rounds = sorted(seconds), len(seconds)
    mean, deviation = statistics.mean(ordered), statistics.stdev(ordered) if rounds > 1 else 0
    q1, q3 = _quartile(ordered), _quartile(ordered[::-1])
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    inside = [value for value in ordered if low <= value <= high]
    far = sum(value < mean - deviation or value > mean + deviation for value in ordered)
    return {
        "min": ordered[0], "max": ordered[-1], "mean": mean, "stddev": deviation, "rounds": rounds,
        "median": statistics.median(ordered), "iqr": q3 - q1, "q1": q1, "q3": q3, "iqr_outliers": rounds - len(inside),
        "stddev_outliers": far, "outliers": f"{far};{rounds - len(inside)}", "ld15iqr": inside[0], "hd15iqr": inside[-1],
        "ops": rounds / sum(seconds), "total": sum(seconds), "data": list(seconds), "iterations": iterations,
    }  # fmt: skip


def _quartile(ordered: Sequence[float]) -> float:
    """Return the quartile at the front of ordered values, as pytest-benchmark's methods 2 and 3 have it."""
    rounds, quarter = len(ordered), len(ordered) // 4
    if rounds == 1:
        return ordered[0]
    if rounds % 2 == 0:
        return statistics.median(ordered[: rounds // 2])
    if rounds % 4 == 1:
        return 0.25 * ordered[quarter - 1] + 0.75 * ordered[quarter]
    return 0.75 * ordered[quarter] + 0.25 * ordered[quarter + 1]


# --- the machine and the commit


def _machine_info(environment: Mapping[str, Any]) -> dict[str, Any]:
    system = str(environment.get("system") or "")
    return {
        "node": "",  # no host is named
        "machine": environment.get("machine"),
        "system": system.partition(" ")[0],
        "release": system.partition(" ")[2],
        "python_version": (environment.get("versions") or {}).get("python"),
        "cpu": {"brand_raw": environment.get("device_name"), "count": environment.get("cores")},
    }


def _commit_info(git: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": git.get("sha") or "unversioned", "time": None, "author_time": None, "dirty": bool(git.get("dirty")),
        "project": KEY, "branch": "(unknown)",
    }  # fmt: skip

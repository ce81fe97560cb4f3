"""Hand-made rows of measurements and samples, and looks into a figure."""

import pandas as pd

from tests.stability_frames import long_rows as long_rows
from tests.stability_frames import profile as profile


def row(implementation="native", seq_len=64, hidden_size=64, time_ns: float | None = 1e6, **more):
    """Return one row of measurements; without a time its status says why."""
    low, high = (None, None) if time_ns is None else (time_ns * 0.9, time_ns * 1.1)
    status = "ok" if time_ns is not None else "failed"
    return {
        "run_id": "r", "case_id": f"lstm/{implementation}/T{seq_len}-H{hidden_size}",
        "problem_id": f"lstm/T{seq_len}-H{hidden_size}", "side": "run", "gate": "lstm", "family": "recurrent", "mode": "forward",
        "gate_options": "{}", "device": "cpu", "threads": 2, "cache": "hot", "launch": "eager", "harness": "worker",
        "dtype": "float32", "implementation": implementation, "implementation_options": "{}", "batch": 4,
        "seq_len": seq_len, "hidden_size": hidden_size, "time_ns": time_ns, "ci_low_ns": low, "ci_high_ns": high,
        "blocks": 3, "samples": 12, "status": status, "reason": None if time_ns else "it broke", **more,
    }  # fmt: skip


def samples_of(rows, blocks=3, noise=0.001):
    """Return the samples of rows: one per block around the row's time."""
    found = [
        {"run_id": "r", "case_id": r["case_id"], "side": "run", "quantity": "time", "block": block, "dropped": False, "reason": None,
         "wall_ns": r["time_ns"] * (1 + noise * (block - 1) * (1 if r["implementation"] == "native" else -1))}
        for r in rows for block in range(blocks) if r["time_ns"] is not None
    ]  # fmt: skip
    return pd.DataFrame(
        found, columns=["run_id", "case_id", "side", "quantity", "block", "dropped", "reason", "wall_ns"]
    )


def trace(figure, name):
    return next(trace for trace in figure.data if trace.name == name)


def marks(figure) -> int:
    return sum(len(trace.x) for trace in figure.data if trace.x is not None)

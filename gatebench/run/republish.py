"""From a published partial run back to journal entries, so that another run can go on where it ended."""

import json
import math
from collections import defaultdict
from typing import Any

import pandas as pd

from gatebench.cases import Case
from gatebench.run.protocol import finite
from gatebench.run.publish import DROPPED, TOO_FAST
from gatebench.run.stability_rows import request_key
from gatebench.shape import Shape
from gatebench.store.journal import Journal
from gatebench.store.read import Results, Run

_ONCE_PER_BLOCK = {"import", "prepare", "first_call", "compile_cold", "compile_warm"}
_FACTS = (
    "loops", "graphs", "graph_breaks", "recompiles", "busy_ns", "flops", "bytes_min", "peak_bytes", "saved_bytes",
    "kernel", "observed_threads", "rss_peak_bytes", "unsteady",
)  # fmt: skip


def recall_into(journal: Journal, run: Run) -> None:
    """Write the old rows of a run as journal entries, one per case and block."""
    results = Results((run,))
    samples = _records(results.samples)
    accuracy = _records(results.accuracy)
    by_unit: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for row in samples:
        by_unit[row["case_id"], int(row["block"])].append(row)
    for order, row in enumerate(_records(results.measurements)):
        case = _case(row)
        if row["status"] == "failed" and (row["reason"] or "").startswith((DROPPED, TOO_FAST)):
            row |= {"status": "ok", "reason": None}  # said of all samples at the end; there will be more of them
        blocks = sorted(block for case_id, block in by_unit if case_id == row["case_id"]) or [0]
        for block in blocks:
            rows = by_unit[row["case_id"], block]
            facts = {name: row[name] for name in _FACTS}
            facts |= {f"{r['quantity']}_ns": r["wall_ns"] for r in rows if r["quantity"] in _ONCE_PER_BLOCK}
            facts["process"] = next((r["process"] for r in rows if r["process"] is not None), None)
            facts["detail"] = json.loads(row["detail"]) if row["detail"] else None
            entry = {
                "case": case.to_json(), "case_id": row["case_id"], "block": block, "order": order,
                "status": row["status"], "reason": row["reason"], "facts": facts,
                "samples": [{**r, "process": r["process"]} for r in rows if r["quantity"] == "time"],
                "accuracy": [
                    {key: value for key, value in a.items() if key not in ("run_id", "case_id", "side")}
                    for a in accuracy if a["case_id"] == row["case_id"] and block == blocks[0]
                ],
            }  # fmt: skip
            journal.write("case", f"{row['case_id']} block {block}", finite(entry))
    _recall_stability(journal, _records(results.stability))


def _recall_stability(journal: Journal, rows: list[dict[str, Any]]) -> None:
    by_request: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        key = request_key({**row, "gate_options": json.loads(row["options"])})
        by_request[key].append({name: value for name, value in row.items() if name != "run_id"})
    for order, (key, group) in enumerate(by_request.items()):
        journal.write("stability", key, finite({"order": order, "rows": group}))


def _case(row: dict[str, Any]) -> Case:
    return Case.from_json({
        **{name: row[name] for name in ("gate", "implementation", "dtype", "device", "threads", "mode", "cache", "launch", "seed")},
        "shape": Shape(
            batch=row["batch"], seq_len=row["seq_len"], input_size=row["input_size"], hidden_size=row["hidden_size"]
        ).__dict__,
        "gate_options": json.loads(row["gate_options"]),
        "implementation_options": json.loads(row["implementation_options"]),
    })  # fmt: skip


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as plain values, null as None, whole numbers as int."""
    return [
        {key: _plain(value) for key, value in row.items()}
        for row in frame.astype(object).where(frame.notna(), None).to_dict("records")
    ]


def _plain(value: Any) -> Any:
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and math.isfinite(value) and value == int(value) and abs(value) < 2**53:
        return int(value)
    return value

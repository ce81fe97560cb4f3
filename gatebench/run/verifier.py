"""Verify a plan's cases without timing them: one worker per implementation, one after the other."""

import json
from typing import Any

import pandas as pd

from gatebench.contract import Failure
from gatebench.run.fleet import Fleet, competitor
from gatebench.run.process import STARTING_S, WorkerSettings
from gatebench.run.progress import Progress
from gatebench.run.protocol import number
from gatebench.run.runner import Entry, Plan

COLUMNS = (
    "case_id", "gate", "gate_options", "implementation", "mode", "dtype", "shape", "status", "reason", "error_ratio",
    "tensor",
)  # fmt: skip


def verify_plan(plan: Plan, progress: Progress) -> tuple[pd.DataFrame, bool]:
    """Return one row per case and whether Ctrl-C came before the last; columns COLUMNS.

    gate_options is JSON; tensor names the one with the largest error ratio.
    """

    def settings(case: Any) -> WorkerSettings:
        files = tuple(str(file) for file in plan.catalogue.plugin_files(case))
        return WorkerSettings(case.implementation, files, case.threads, plan.memory_bytes, case.device)

    rows, interrupted = [], False
    progress.start(len(plan.cases))
    groups: dict[Any, list[Any]] = {}
    for case in plan.cases:
        groups.setdefault((competitor(case), plan.catalogue.plugin_files(case)), []).append(case)
    try:
        for cases in groups.values():
            fleet = Fleet(settings, STARTING_S)
            try:
                for case in cases:
                    progress.say(f"verifying {case.case_id}")
                    rows.append(_verify(plan, fleet, Entry(case, 0, 0)))
                    progress.advance(1)
            finally:
                fleet.close()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        progress.stop()
    order = {case.case_id: place for place, case in enumerate(plan.cases)}
    rows.sort(key=lambda row: order[row["case_id"]])
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS)), interrupted


def _verify(plan: Plan, fleet: Fleet, entry: Entry) -> dict[str, Any]:
    case = entry.case
    refused = plan.catalogue.refusal(case)
    try:
        if refused is not None:
            raise Failure(*refused)
        with fleet.turn(case, prepared=False) as worker:
            worker.request("prepare", plan.measure.timeout_s, case=case.to_json())
            found = worker.request("verify", plan.measure.timeout_s, error_limit=plan.measure.error_limit)
            entry.accuracy = found["accuracy"]
            if found["wrong"]:
                raise Failure("wrong", found["wrong"])
    except Failure as failure:
        entry.fail(failure)
    worst = max(entry.accuracy, key=lambda row: number(row["error_ratio"]) or 0.0, default=None)
    return {
        "case_id": case.case_id, "gate": case.gate, "gate_options": json.dumps(dict(case.gate_options)),
        "implementation": case.implementation, "mode": case.mode,
        "dtype": case.dtype, "shape": str(case.shape), "status": entry.status, "reason": entry.reason,
        "error_ratio": number(worst["error_ratio"]) if worst else None, "tensor": worst["tensor"] if worst else None,
    }  # fmt: skip

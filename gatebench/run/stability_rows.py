"""Stability requests: asked of one worker, one after the other; those that come to nothing are rows with a reason."""

import json
from collections.abc import Mapping
from typing import Any

from gatebench.contract import Failure
from gatebench.own_files import short_name
from gatebench.run.fleet import Start, start_worker
from gatebench.run.plan import Plan, stability_seconds
from gatebench.run.process import STARTING_S, WorkerProcess, WorkerSettings
from gatebench.run.progress import Progress
from gatebench.run.protocol import finite
from gatebench.run.scrub import scrub
from gatebench.store.journal import Journal

NAMES = ("gate", "init", "inputs", "dtype", "seq_len", "input_size", "hidden_size", "batch", "seed")


def request_key(request: Mapping[str, Any]) -> str:
    """Name a stability request, for the journal."""
    options = json.dumps(dict(request.get("gate_options", {})), sort_keys=True)
    task = [f"task={request['task']}"] if request.get("task") else []
    return ", ".join([*(f"{name}={request[name]}" for name in NAMES), f"options={options}", *task])


def failed_row(request: Mapping[str, Any], status: str, reason: str) -> dict[str, Any]:
    """Return one row of stability.parquet with status and reason, and no value."""
    return {
        **{name: request[name] for name in NAMES},
        "options": json.dumps(dict(request.get("gate_options", {})), sort_keys=True),
        "task": request.get("task"),
        "part": "",
        "metric": "class",
        "status": status,
        "reason": reason,
    }


def _words(request: Mapping[str, Any]) -> str:
    task = [f"{request['task']}, {request['after_steps']} steps"] if request.get("task") else []
    return ", ".join([request["gate"], short_name(request["init"]), f"T={request['seq_len']}", request["dtype"], *task])


class StabilityRunner:
    """The [stability] part of one run; its worker stays alive from request to request, as long as it lives."""

    def __init__(self, plan: Plan, journal: Journal, progress: Progress, start: Start = WorkerProcess) -> None:
        self.plan = plan
        self.journal = journal
        self.progress = progress
        self._start = start
        self._worker: WorkerProcess | None = None
        self._files: tuple[str, ...] = ()

    def run(self) -> None:
        """Measure the requests that the journal does not hold yet."""
        done = {entry["key"] for entry in self.journal.entries("stability")}
        try:
            for order, request in enumerate(self.plan.stability):
                key = request_key(request)
                if key not in done:
                    self.progress.say(f"stability of {_words(request)}")
                    self.journal.write("stability", key, finite({"order": order, "rows": self._rows(request)}))
                self.progress.advance(stability_seconds(request))
        finally:
            if self._worker is not None:
                self._worker.close()

    def _rows(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        try:
            worker = self._worker_with(tuple(str(file) for file in self.plan.catalogue.files.get(request["gate"], ())))
            return worker.request("stability", self.plan.measure.timeout_s, request=dict(request))["rows"]
        except Failure as failure:
            return [failed_row(request, failure.status, scrub(failure.reason))]

    def _worker_with(self, files: tuple[str, ...]) -> WorkerProcess:
        """Return a live worker that knows these plugin files."""
        if self._worker is None or not self._worker.alive or files != self._files:
            if self._worker is not None:
                self._worker.close()
                self._worker = None
            limit = self.plan.measure.memory_mb << 20 or self.plan.memory_bytes
            settings = WorkerSettings("eager", files, self.plan.catalogue.cores, limit)
            self._worker, self._files = start_worker(settings, STARTING_S, self._start), files
        return self._worker

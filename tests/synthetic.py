"""Write synthetic stores in the real run-folder format: the same seed gives the same store.

Times follow a made-up cost model with block and sample noise; estimates come from the samples as in a real run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gatebench.analyze.statistics import estimate
from gatebench.cases import Case, options_text
from gatebench.shape import Shape
from gatebench.store.write import write_run
from tests.synthetic_stability import SEQ_LENS, series_rows, stability_rows

FAMILIES = {"rnn_tanh": "recurrent", "lstm": "recurrent", "gru": "recurrent"}
START = datetime(2026, 10, 1, 8, 30)
# (overhead of one step in ns, cost of one multiply in ns): they cross over between small and large sizes.
SPEEDS = {"eager": (40_000, 0.012), "compile": (9_000, 0.011), "native": (6_000, 0.0105), "numba": (1_500, 0.0125)}
BLOCKS_BY_GATE = {"lstm": 4, "gru": 3, "rnn_tanh": 1}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a synthetic store holds; every list is an axis, axes multiply."""

    runs: int = 1
    gates: Sequence[str] = ("lstm", "gru")
    implementations: Sequence[str] = ("eager", "compile", "native", "numba", "cudnn")
    seq_lens: Sequence[int] = (64, 128, 256, 512)
    hidden_sizes: Sequence[int] = (64, 128, 256, 512)
    modes: Sequence[str] = ("forward", "forward_backward")
    dtypes: Sequence[str] = ("float32",)
    batch: int = 16
    blocks: int = 3
    rounds: int = 4
    machines: Sequence[str] = ("Threadripper 2990WX",)
    suites: Sequence[str] = ("quick", "recurrent")  # of the runs in turn
    steps: Mapping[str, tuple[int, float]] = field(
        default_factory=dict
    )  # implementation -> (first run, factor of time)
    partial: bool = False  # the newest run was interrupted
    failures: bool = True
    stability: bool = True
    stability_seq_lens: Sequence[int] = SEQ_LENS
    series: bool = False  # stability also holds a sweep, spectra and training
    seed: int = 0


def write_store(store: Path, plan: Plan | None = None, folder: str = "runs") -> list[str]:
    """Write the plan's runs below `store` and return their ids, oldest first."""
    plan = plan or Plan()
    return [_write(store, plan, number, folder) for number in range(plan.runs)]


def _write(store: Path, plan: Plan, number: int, folder: str) -> str:
    random = np.random.default_rng([plan.seed, number])
    created = START + timedelta(days=3 * number, seconds=int(random.integers(0, 40_000)))
    run_id = f"{created:%Y%m%dT%H%M%SZ}-{int(random.integers(0, 65536)):04x}"
    machine = number % len(plan.machines)
    manifest = {
        "run_id": run_id,
        "created_utc": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "status": "partial" if plan.partial and number == plan.runs - 1 else "complete",
        "resumes": None,
        "suite": {"name": plan.suites[number % len(plan.suites)], "sha256": "0" * 64, "text": ""},
        "gatebench_version": "0.1.0",
        "git": {"sha": f"{number:040x}", "dirty": False},
        "plugins": [],
        "environment": {"device_name": plan.machines[machine]},
        "environment_class": f"{machine:08x}",
        "seed": plan.seed,
    }
    tables = _tables(run_id, plan, random, number)
    gates = [{"name": gate, "family": FAMILIES.get(gate, "glu")} for gate in plan.gates]
    write_run(store / "_staging" / run_id, store / folder / run_id, manifest, gates, tables)
    return run_id


def _tables(run_id: str, plan: Plan, random: np.random.Generator, number: int) -> dict[str, list[dict[str, Any]]]:
    rows, samples, accuracy = [], [], []
    newest = number == plan.runs - 1
    for case in _cases(plan):
        status, reason = _outcome(case, plan, newest)
        row = _row(run_id, case, status, reason)
        rows.append(row)
        if status == "ok":
            samples += _samples(run_id, case, plan, random, number)
        if status in ("ok", "wrong"):
            accuracy += _accuracy(run_id, row, status, random)
    _add_times(rows, samples)
    stability = stability_rows(run_id, plan.gates, random, plan.stability_seq_lens) if plan.stability else []
    stability += series_rows(run_id, plan.gates, random) if plan.series else []
    return {"measurements": rows, "samples": samples, "accuracy": accuracy, "stability": stability}


def _cases(plan: Plan) -> list[Case]:
    axes = product(plan.gates, plan.modes, plan.dtypes, plan.seq_lens, plan.hidden_sizes, plan.implementations)
    cases = [
        Case(
            gate=gate, implementation=name, mode=mode, dtype=dtype, threads=2, seed=plan.seed,
            shape=Shape(batch=plan.batch, seq_len=seq_len, input_size=hidden, hidden_size=hidden),
        )
        for gate, mode, dtype, seq_len, hidden, name in axes
    ]  # fmt: skip
    return cases if not plan.failures else [case for case in cases if not _left_out(case, plan)]


def _left_out(case: Case, plan: Plan) -> bool:
    """Return whether nobody asked for this case: compile at a small size only, a corner measured by nobody."""
    corner = case.shape.seq_len == max(plan.seq_lens) and case.shape.hidden_size == max(plan.hidden_sizes)
    large = case.shape.hidden_size > min(plan.hidden_sizes) or case.shape.seq_len > 2 * min(plan.seq_lens)
    return corner or (case.implementation == "compile" and large)


def _outcome(case: Case, plan: Plan, newest: bool) -> tuple[str, str | None]:
    if case.implementation == "cudnn":
        return "unavailable", "cudnn: no CUDA device; a machine with an NVIDIA GPU is needed"
    if not plan.failures:
        return "ok", None
    at_top = case.shape.hidden_size == max(plan.hidden_sizes)
    if case.implementation == "numba" and case.mode != "forward" and at_top:
        return "timeout", "numba: no answer within 300 s"
    if newest and case.implementation == "numba" and case.gate == plan.gates[-1] and at_top:
        return "wrong", "grad:weight_hh/n has error_ratio 31.2; at most 10 is accepted"
    if case.shape.seq_len == max(plan.seq_lens) and case.shape.hidden_size == min(plan.hidden_sizes):
        return "out_of_memory", f"{case.implementation}: the worker's limit of 8000 MB was reached"
    return "ok", None


def _row(run_id: str, case: Case, status: str, reason: str | None) -> dict[str, Any]:
    return {
        "run_id": run_id, "case_id": case.case_id, "problem_id": case.problem_id, "side": "run",
        "gate": case.gate, "family": FAMILIES.get(case.gate, "glu"), "gate_options": options_text(case.gate_options),
        "implementation": case.implementation, "implementation_options": options_text(case.implementation_options),
        "mode": case.mode, "dtype": case.dtype, "device": case.device, "device_name": "Threadripper 2990WX",
        "threads": case.threads, "observed_threads": case.threads, "batch": case.shape.batch,
        "seq_len": case.shape.seq_len, "input_size": case.shape.input_size, "hidden_size": case.shape.hidden_size,
        "cache": case.cache, "launch": case.launch, "seed": case.seed, "harness": "worker", "status": status,
        "reason": reason, "loops": 4 if status == "ok" else None,
        "compile_warm_ns": 3e8 if status == "ok" and case.implementation == "compile" else None,
    }  # fmt: skip


def true_time_ns(case: Case) -> float:
    """Return the noiseless time of one call: T steps of overhead and B x H x H multiplies per gate block."""
    overhead, multiply = SPEEDS.get(case.implementation, (8_000, 0.012))
    shape, blocks = case.shape, BLOCKS_BY_GATE.get(case.gate, 2)
    factor = {"forward": 1.0, "backward": 1.8, "forward_backward": 2.9}[case.mode]
    return factor * shape.seq_len * (overhead + blocks * multiply * shape.batch * shape.hidden_size**2)


def _samples(run_id: str, case: Case, plan: Plan, random: np.random.Generator, run: int) -> list[dict[str, Any]]:
    rows = []
    first, factor = plan.steps.get(case.implementation, (plan.runs, 1.0))
    truth = true_time_ns(case) * (factor if run >= first else 1.0)
    for block in range(plan.blocks):
        drift = random.normal(0, 0.02)
        for number in range(plan.rounds):
            wall = truth * float(np.exp(drift + random.normal(0, 0.03)))
            dropped = number == plan.rounds - 1 and block == 0 and random.random() < 0.05
            rows.append({
                "run_id": run_id, "case_id": case.case_id, "side": "run", "stage": "run", "quantity": "time",
                "block": block, "round": number, "position": number, "process": block, "loops": 4, "wall_ns": wall,
                "cpu_ns": 2 * wall, "context_switches": 0, "page_faults": 0, "steal_ratio": 0.0, "dropped": dropped,
                "reason": "steal above 5 %" if dropped else None,
            })  # fmt: skip
    return rows


def _accuracy(run_id: str, row: dict[str, Any], status: str, random: np.random.Generator) -> list[dict[str, Any]]:
    found = []
    for tensor in ("output", "output@last", "grad:x"):
        error = 31.2 if status == "wrong" and tensor == "grad:x" else float(random.uniform(0.5, 3))
        found.append({
            "run_id": run_id, "case_id": row["case_id"], "side": "run", "tensor": tensor, "dtype": row["dtype"],
            "max_abs_error": error * 6e-8, "relative_error": error * 6e-8, "error_ratio": error, "limit_ratio": 10.0,
            "passed": error < 10,
        })  # fmt: skip
    row["error_ratio"] = max(entry["error_ratio"] for entry in found)
    return found


def _add_times(rows: list[dict[str, Any]], samples: list[dict[str, Any]]) -> None:
    """Fill the estimates of each row from its samples, as the runner does."""
    if not samples:
        return
    estimates = estimate(pd.DataFrame(samples)).set_index("case_id")
    found = estimates.astype(object).where(estimates.notna(), None).to_dict("index")
    for row in rows:
        values = found.get(row["case_id"], {})
        names = ("time_ns", "ci_low_ns", "ci_high_ns", "min_ns", "blocks", "samples")
        row |= {name: values[name] for name in names if name in values}

"""Cases, plans and catalogues of a few lines, and a look at what processes a test left behind."""

import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from gatebench.cases import Case
from gatebench.catalogue import Catalogue
from gatebench.run.plan import Plan
from gatebench.run.runner import Runner
from gatebench.shape import Shape
from gatebench.store.journal import Journal
from gatebench.suites import Measure

SHAPE = Shape(batch=1, seq_len=2, input_size=4, hidden_size=4)
QUICK = Measure(blocks=1, rounds=2, sample_ms=0.1, warmup_s=0.001, timeout_s=100.0)
MARK = "GATEBENCH_TEST_MARK"


def case(implementation: str = "eager", **changes: Any) -> Case:
    """Return a tiny case on one thread; `T` is short for another sequence length."""
    if "T" in changes:
        changes["shape"] = replace(SHAPE, seq_len=changes.pop("T"))
    return Case(**{"gate": "glu", "implementation": implementation, "shape": SHAPE, "threads": 1, **changes})


def described(gates: Iterable[str] = ("glu",), **changes: Any) -> dict[str, Any]:
    """Return how a worker describes a plugin's implementation."""
    entry = {"gates": list(gates), "devices": ["cpu"], "dtypes": ["float32"], "modes": ["forward", "forward_backward"]}
    return {"builtin": False, "compiles": False, "options": {}, "unavailable": {}, "entries": [entry], **changes}


def with_names(catalogue: Catalogue, path: Path, names: Iterable[str]) -> Catalogue:
    """Add a plugin file's implementations to a catalogue without asking a worker."""
    return catalogue.with_plugin(path, {"implementations": {name: described() for name in names}, "gates": {}})


def plan(catalogue: Catalogue, cases: Iterable[Case], **measure: Any) -> Plan:
    """Return a plan over `cases` with short measuring."""
    return Plan(tuple(cases), (), replace(QUICK, **measure), catalogue, 8 << 30)


def run(folder: Path, wanted: Plan, **arguments: Any) -> list[dict[str, Any]]:
    """Run a plan into a journal in `folder` and return its case entries."""
    journal = Journal(folder, "20260101T000000Z-0000")
    try:
        Runner(wanted, journal, **arguments).run()
    finally:
        journal.close()
    return journal.entries("case")


def by_implementation(entries: Iterable[Mapping[str, Any]]) -> dict[str, tuple[str, str]]:
    """Return (status, reason) by implementation."""
    return {entry["case"]["implementation"]: (entry["status"], entry["reason"] or "") for entry in entries}


def new_mark() -> str:
    """Return a text that marks this test's processes through their environment."""
    return uuid.uuid4().hex


def marked(mark: str) -> dict[int, str]:
    """Return pid -> command line of the living processes with this mark; zombies are dead."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if f"{MARK}={mark}".encode() in Path(f"/proc/{name}/environ").read_bytes() and state(int(name)) != "Z":
                found[int(name)] = Path(f"/proc/{name}/cmdline").read_bytes().replace(b"\0", b" ").decode()[:120]
        except OSError:
            continue  # it ended meanwhile
    return found


def left_behind(mark: str, wait_s: float = 10.0) -> dict[int, str]:
    """Return the marked processes that are still there after at most `wait_s`; empty is good."""
    deadline = time.monotonic() + wait_s
    while (found := marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def wait_for(condition: Callable[[], bool], wait_s: float = 20.0) -> None:
    """Wait until a condition holds; fails after `wait_s`."""
    deadline = time.monotonic() + wait_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def state(pid: int) -> str:
    """Return the state letter of a process: T is stopped, Z a zombie."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that processes have used so far, in seconds."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")

"""What a worker does with one case in one block: ready, rounds of samples, wrap-up. Runs and A/B share these."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gatebench.contract import Failure
from gatebench.run.plan import Entry
from gatebench.run.process import WorkerProcess
from gatebench.run.protocol import number
from gatebench.suites import Measure

# Share of the machine's CPU time that may go elsewhere before a whole round is dropped.
STEAL_LIMIT = 0.10  # to the hypervisor, in one sample
FOREIGN_LIMIT = 0.10  # to other processes, over the round
DROPPED_LIMIT = 0.2  # share of dropped rounds above which a case is unsteady
# Where fewer than this share of the rounds asked for was quiet, there is nothing quiet to prefer: all stay, marked unsteady.
_QUIET_ENOUGH = 0.5
_REPEATS = 0.5  # dropped rounds are taken again, at most this share of the rounds: a busier machine will not do
_KEPT_AT_CLOSE = ("observed_threads", "rss_peak_bytes", "flops", "bytes_min")


class Worker(Protocol):
    """What answers requests about cases: a worker process, or this process in its place."""

    def request(self, verb: str, timeout_s: float, **args: Any) -> dict[str, Any]:
        """Ask and return the answer; raises Failure."""
        ...


Action = Callable[[WorkerProcess, Entry], None]
Attempt = Callable[[Entry, Action], None]  # lets the entry's worker act, unless the entry failed


@dataclass
class Settled:
    """What a case's first block found and its later blocks go by, on both sides: calls per sample, seconds of warm-up."""

    loops: dict[str, int] = field(default_factory=dict)
    warm_s: dict[str, float] = field(default_factory=dict)


def prepare(worker: Worker, entry: Entry, measure: Measure) -> None:
    """Draw the case's numbers and make its first call; notes what that took."""
    entry.facts |= worker.request("prepare", measure.timeout_s, case=entry.case.to_json())


def verify(worker: Worker, entry: Entry, measure: Measure) -> None:
    """Check outputs and gradients; raises Failure("wrong") with the rows noted."""
    verified = worker.request("verify", measure.timeout_s, error_limit=measure.error_limit)
    entry.accuracy = verified["accuracy"]
    entry.facts["error_ratio"] = max((number(row["error_ratio"]) or 0.0 for row in entry.accuracy), default=None)
    if verified["wrong"]:
        raise Failure("wrong", verified["wrong"])


def warm(worker: Worker, entry: Entry, measure: Measure, settled: Settled, first: bool) -> None:
    """Warm up, in its first block until the case settles; whoever is first fixes the calls per sample."""
    case_id = entry.case.case_id
    warmed = worker.request(
        "warm",
        measure.timeout_s,
        warmup_s=measure.warmup_s,
        sample_ms=measure.sample_ms,
        loops=None if first else settled.loops.get(case_id),
        limit_s=None if first else settled.warm_s.get(case_id),
    )
    loops = settled.loops.setdefault(case_id, warmed["loops"])
    settled.warm_s.setdefault(case_id, warmed["seconds"])
    if first:
        entry.facts["recompiles"] = warmed.get("recompiles")
    entry.facts |= {"loops": loops, "unsteady": warmed["unsteady"] if first else None}


def wrap_up(worker: Worker, entry: Entry, measure: Measure, profiled: bool) -> None:
    """Profile one call where asked, check a timed call's output, free the case."""
    if profiled:
        entry.facts |= worker.request("profile", measure.timeout_s)
    closed = worker.request("close", measure.timeout_s, error_limit=measure.error_limit)
    if closed["wrong"]:
        raise Failure("wrong", f"a timed call differs from the verified result: {closed['wrong']}")
    entry.facts |= {key: closed[key] for key in _KEPT_AT_CLOSE}


def most_rounds(wanted: int) -> int:
    """Return how many rounds may be taken until `wanted` are kept."""
    return wanted + max(1, int(_REPEATS * wanted))


def take_rounds(orders: Iterable[list[Entry]], wanted: int, attempt: Attempt, timeout_s: float) -> None:
    """Take rounds in these orders until enough are kept; those that something foreign disturbed are taken again."""
    kept = taken = 0
    entries: dict[int, Entry] = {}
    for place, order in enumerate(orders):
        entries |= {id(entry): entry for entry in order}
        if kept < wanted:
            taken += 1
            kept += _take_round(place, order, attempt, timeout_s)
    if kept < _QUIET_ENOUGH * wanted:
        _keep_disturbed(entries.values())
    elif taken - kept > DROPPED_LIMIT * taken:
        for entry in entries.values():
            entry.facts["unsteady"] = True


def _take_round(number: int, order: list[Entry], attempt: Attempt, timeout_s: float) -> bool:
    """Take one sample of each entry in this order; returns whether the round was kept."""
    taken: list[dict[str, Any]] = []
    for position, entry in enumerate(order):
        place = {"round": number, "position": position, "dropped": False, "reason": None}

        def take(worker: WorkerProcess, entry: Entry, place: Mapping[str, Any] = place) -> None:
            row = worker.request("sample", timeout_s, loops=entry.facts["loops"])
            row |= {**place, "process": entry.facts["process"]}
            entry.samples.append(row)
            taken.append(row)

        attempt(entry, take)
    reason = disturbed(taken)
    if reason:
        for row in taken:  # the whole round goes, for all competitors: dropping one would favour the others
            row["dropped"], row["reason"] = True, reason
    return reason is None


def _keep_disturbed(entries: Iterable[Entry]) -> None:
    """Take back the drops of a block on a busy machine; the samples keep their reason, the cases are unsteady."""
    for entry in entries:
        entry.facts["unsteady"] = True
        for row in entry.samples:
            row["dropped"] = False


def disturbed(taken: list[dict[str, Any]]) -> str | None:
    """Say what foreign cause disturbed a round: steal in a sample, or other processes over the round; never times."""
    steal = max((row.get("steal_ratio") or 0.0 for row in taken), default=0.0)
    if steal > STEAL_LIMIT:
        return f"steal: {100 * steal:.0f} % of the machine's CPU time"
    capacity = sum(row.get("capacity_ns") or 0.0 for row in taken)
    foreign = sum(row.get("foreign_ns") or 0.0 for row in taken)
    # What the kernel's ticks leave unknown is taken off once: the errors of single samples cancel.
    sure = foreign - max((row.get("tick_ns") or 0.0 for row in taken), default=0.0)
    if capacity and sure > FOREIGN_LIMIT * capacity:
        return f"other processes: {100 * foreign / capacity:.0f} % of the machine's CPU time"
    return None

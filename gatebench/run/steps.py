"""What a worker does with one case in one block: ready, rounds of samples, wrap-up. Runs and A/B share these."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gatebench.contract import Failure
from gatebench.run.plan import Entry
from gatebench.run.process import WorkerProcess
from gatebench.run.protocol import number
from gatebench.suites import Measure

# Share of the machine's CPU time that may go elsewhere before rounds are dropped.
STEAL_LIMIT = 0.10  # to the hypervisor
FOREIGN_LIMIT = 0.10  # to other processes
# The kernel's ticks on each core over which load is judged: rounds that last less are judged, and dropped, together.
_TICKS = 4
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


Sample = dict[str, Any]
Action = Callable[[WorkerProcess, Entry], None]
Attempt = Callable[[Entry, Action], None]  # lets the entry's worker act, unless the entry failed


@dataclass
class Settled:
    """What a case's first block found and its later blocks go by, on both sides, by case_id.

    loops: calls per sample. warm_s: seconds of warm-up. sample_s: seconds of a sample, where the worker told.
    """

    loops: dict[str, int] = field(default_factory=dict)
    warm_s: dict[str, float] = field(default_factory=dict)
    sample_s: dict[str, float] = field(default_factory=dict)


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
    if warmed.get("sample_s"):
        settled.sample_s.setdefault(case_id, warmed["sample_s"])
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
    pending: list[list[Sample]] = []  # rounds that are not judged yet
    for place, order in enumerate(orders):
        entries |= {id(entry): entry for entry in order}
        if kept + len(pending) < wanted:
            taken += 1
            pending.append(_take_round(place, order, attempt, timeout_s))
            if _can_be_judged(pending) or kept + len(pending) == wanted:
                kept += _judge(pending)
                pending = []
    kept += _judge(pending)
    # Over all rounds the ticks tell more: a load that hides in each few of them may be sure in all.
    quiet = [row for entry in entries.values() for row in entry.samples if not row["dropped"]]
    if kept < _QUIET_ENOUGH * wanted or not _judge([quiet]):
        _keep_disturbed(entries.values())
    elif taken - kept > DROPPED_LIMIT * taken:
        for entry in entries.values():
            entry.facts["unsteady"] = True


def _take_round(number: int, order: list[Entry], attempt: Attempt, timeout_s: float) -> list[Sample]:
    """Take one sample of each entry in this order, and return them."""
    taken: list[Sample] = []
    for position, entry in enumerate(order):
        place = {"round": number, "position": position, "dropped": False, "reason": None}

        def take(worker: WorkerProcess, entry: Entry, place: Mapping[str, Any] = place) -> None:
            row = worker.request("sample", timeout_s, loops=entry.facts["loops"])
            row |= {**place, "process": entry.facts["process"]}
            entry.samples.append(row)
            taken.append(row)

        attempt(entry, take)
    return taken


def _can_be_judged(rounds: list[list[Sample]]) -> bool:
    """Say whether rounds last long enough for the kernel's ticks to tell who had the machine."""
    rows = [row for taken in rounds for row in taken]
    ticks_ns = max((row.get("tick_ns") or 0.0 for row in rows), default=0.0)
    return sum(row.get("capacity_ns") or 0.0 for row in rows) >= _TICKS * ticks_ns


def _judge(rounds: list[list[Sample]]) -> int:
    """Drop these rounds if something foreign disturbed them; returns how many are kept."""
    rows = [row for taken in rounds for row in taken]
    reason = disturbed(rows)
    if reason is None:
        return len(rounds)
    for row in rows:  # for all competitors: dropping one's would favour the others
        row["dropped"], row["reason"] = True, reason
    return 0


def _keep_disturbed(entries: Iterable[Entry]) -> None:
    """Take back the drops of a block on a busy machine; the samples keep their reason, the cases are unsteady."""
    for entry in entries:
        entry.facts["unsteady"] = True
        for row in entry.samples:
            row["dropped"] = False


def disturbed(taken: list[Sample]) -> str | None:
    """Say what foreign cause disturbed samples that belong together: steal, or other processes; never times."""
    capacity = sum(row.get("capacity_ns") or 0.0 for row in taken)
    # What the kernel's ticks leave unknown is taken off once: the errors of single samples cancel.
    tick = max((row.get("tick_ns") or 0.0 for row in taken), default=0.0)
    steal = max((row.get("steal_ratio") or 0.0 for row in taken), default=0.0)
    stolen = sum(row.get("steal_ns") or 0.0 for row in taken)
    if capacity:
        steal = max(steal, (stolen - tick) / capacity)
    if steal > STEAL_LIMIT:
        return f"steal: {100 * steal:.0f} % of the machine's CPU time"
    foreign = sum(row.get("foreign_ns") or 0.0 for row in taken)
    if capacity and foreign - tick > FOREIGN_LIMIT * capacity:
        return f"other processes: {100 * foreign / capacity:.0f} % of the machine's CPU time"
    return None

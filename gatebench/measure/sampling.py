"""The one sample loop: wall time of `loops` calls, and beside it everything that could have disturbed them."""

import gc
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatebench.contract import Failure
from gatebench.measure import subject as subjects
from gatebench.measure.clocks import CpuCounters, clock_read_ns, cuda_timer
from gatebench.measure.nvml import device_conditions
from gatebench.measure.subject import BUFFERS, Subject

CLOCK_READS_PER_SAMPLE = 10_000  # a sample lasts at least this many clock reads, so that reading is below 0.01 %
MIN_WARM_CALLS = 3
LATER_WARMUP_S = 0.05  # later blocks: caches of code and data are warm after this
SETTLE_FACTOR = 10  # a case gets at most this many times warmup_s to settle
WINDOWS_THAT_AGREE = 3
_CLOCKS_AGREE = 0.25  # share of a sample by which the host's clock may exceed the events
_SYNCHRONISE_NS = 2e5  # and this per synchronised part: launching its first event, waking up after its last
AGREEMENT = 0.05  # windows agree when their medians lie within this share of each other


@dataclass(frozen=True)
class Warm:
    """What warm-up found: calls per sample, seconds used, whether the case never settled, and how long a sample lasts.

    sample_s: None in later blocks, which find no loops.
    """

    loops: int
    seconds: float
    unsteady: bool
    sample_s: float | None = None


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collect what the case left so far, and keep the collector out of the timed part."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def warm(subject: Subject, warmup_s: float, sample_ms: float, loops: int | None, limit_s: float | None) -> Warm:
    """Call until the case settles, then find how many calls make a sample.

    First block (loops None): at least 3 calls and warmup_s, then until three windows agree, at most 10 warmup_s.
    Later blocks: at least 3 calls and 50 ms, at most limit_s (what the first block took); loops stays.
    """
    started = time.perf_counter()
    with no_garbage_collection():
        if loops is not None:
            times: list[float] = []
            while len(times) < MIN_WARM_CALLS or time.perf_counter() - started < LATER_WARMUP_S:
                times.append(_timed(subject, 1))
                if limit_s is not None and len(times) >= MIN_WARM_CALLS and time.perf_counter() - started > limit_s:
                    break
            return Warm(loops, time.perf_counter() - started, False)
        unsteady, call_ns = _settle(subject, warmup_s, started)
        loops, sample_ns = _find_loops(subject, sample_ms, call_ns)
        return Warm(loops, time.perf_counter() - started, unsteady, sample_ns / 1e9)


def _settle(subject: Subject, warmup_s: float, started: float) -> tuple[bool, float]:
    """Warm up; returns whether windows never agreed, and the median time of a call in the last one, in ns."""
    for _ in range(MIN_WARM_CALLS):
        _timed(subject, 1)
    while time.perf_counter() - started < warmup_s:
        _timed(subject, 1)
    windows: list[float] = []
    while time.perf_counter() - started < SETTLE_FACTOR * warmup_s or len(windows) < WINDOWS_THAT_AGREE:
        windows.append(_window(subject, warmup_s / 10))
        latest = windows[-WINDOWS_THAT_AGREE:]
        if len(latest) == WINDOWS_THAT_AGREE and max(latest) <= (1 + AGREEMENT) * min(latest):
            return False, latest[-1]
    return True, windows[-1]


def _window(subject: Subject, seconds: float) -> float:
    """Return the median time of a call over a window of at least one call and `seconds`."""
    times: list[float] = []
    started = time.perf_counter()
    while not times or time.perf_counter() - started < seconds:
        times.append(_timed(subject, 1))
    return sorted(times)[len(times) // 2]


def _find_loops(subject: Subject, sample_ms: float, call_ns: float) -> tuple[int, float]:
    """Double the calls per sample until it lasts max(sample_ms, 10^4 clock reads); returns them and its time in ns.

    call_ns: time of one call; doubling starts where it says that a sample would last less than half of that.
    """
    wanted_ns = max(sample_ms * 1e6, CLOCK_READS_PER_SAMPLE * clock_read_ns())
    loops = 1
    while 4 * loops * call_ns < wanted_ns:
        loops *= 2
    while (sample_ns := _timed(subject, loops)) < wanted_ns:
        loops *= 2
    return loops, min(sample_ns, loops * call_ns)  # the second knows nothing of what disturbed this one sample


def sample(subject: Subject, loops: int, flush: Tensor | None = None) -> dict[str, Any]:
    """Take one sample: `loops` calls, and the counters around them; times are per call, in ns.

    flush: a buffer of twice the last-level cache, written between calls (a cold series).
    """
    generator = random.Random(subject.calls_made)
    # Reservoir sampling: each timed call of the block is kept with the same chance, to be checked afterwards.
    subject.kept_of += loops
    # The batch's last one, because an implementation may reuse its output's memory from call to call.
    keep = loops - 1 if generator.randrange(subject.kept_of) < loops else -1
    with no_garbage_collection():
        if loops > 1:
            _timed(subject, 1)  # a neighbour ran just now: code and weights come back into the cache
        before = CpuCounters.read()
        timer = cuda_timer(subject.case.device)
        wall_ns = _timed(subject, loops, keep, flush, timer)
        after = CpuCounters.read()
    row: dict[str, Any] = {"loops": loops, "wall_ns": wall_ns / loops, "event_ns": None, **before.until(after, loops)}
    if subject.case.mode == "backward" or flush is not None:
        row["cpu_ns"] = None  # the counter also spans the untimed work between the timed calls
    if timer:
        event_ns = timer.elapsed_ns()
        subject.beside_ns.append(beside_the_stream_ns(wall_ns, event_ns, timer.pairs))
        subject.conditions.append(device_conditions())
        row["event_ns"] = event_ns / loops
    return row


def beside_the_stream_ns(wall_ns: float, event_ns: float, parts: int) -> float:
    """Return by how much the host waited longer than the events and their measuring explain; at most 0: they agree.

    parts: how many synchronised parts the times are sums of.
    """
    return wall_ns - event_ns - _CLOCKS_AGREE * wall_ns - parts * _SYNCHRONISE_NS


def check_streams(subject: Subject) -> None:
    """Raise Failure where in every sample the host waited for work beside the stream that was timed.

    Every one: a host that is held up once is a noisy machine, and no fault of the implementation.
    """
    if subject.beside_ns and min(subject.beside_ns) > 0:
        what = f"at least {min(subject.beside_ns) / 1e6:.2f} ms of every sample"
        raise Failure("failed", f"work ran beside the stream that was timed: {what}")


def _timed(subject: Subject, loops: int, keep: int = -1, flush: Tensor | None = None, timer: Any = None) -> float:
    """Return the wall time of `loops` calls in ns; the sum of separately timed ones where work goes between them."""
    first = subject.calls_made
    subject.calls_made += loops
    if subject.case.mode == "backward" or flush is not None:
        return _timed_apart(subject, first, loops, keep, flush, timer)
    kept: Mapping[str, Tensor] | None = None
    device = subject.case.device
    subjects.synchronize(device)
    started = time.perf_counter_ns()
    if timer:
        timer.start()
    for number in range(loops):
        outputs = subjects.call(subject, (first + number) % BUFFERS)
        if number == keep:
            kept = outputs
    if timer:
        timer.stop()
    subjects.synchronize(device)
    elapsed = time.perf_counter_ns() - started
    _keep(subject, (first + keep) % BUFFERS, kept)
    return elapsed


def _timed_apart(subject: Subject, first: int, loops: int, keep: int, flush: Tensor | None, timer: Any) -> float:
    """Time calls one by one: the forward of mode `backward` and the flush of a cold series stay outside the clock."""
    elapsed = 0
    for number in range(loops):
        index = (first + number) % BUFFERS
        graph = subjects.forward(subject, index) if subject.case.mode == "backward" else None
        if flush is not None:
            flush.zero_()
        subjects.synchronize(subject.case.device)
        started = time.perf_counter_ns()
        if timer:
            timer.start()
        if graph is not None:
            subjects.backward(subject, index, graph)
        outputs = graph if graph is not None else subjects.call(subject, index)
        if timer:
            timer.stop()
        subjects.synchronize(subject.case.device)
        elapsed += time.perf_counter_ns() - started
        if number == keep:
            _keep(subject, index, outputs)
    return elapsed


def _keep(subject: Subject, index: int, outputs: Mapping[str, Tensor] | None) -> None:
    if outputs is not None:
        with torch.no_grad():
            subject.kept = (index, {name: value.detach().clone() for name, value in outputs.items()})

"""Clocks and counters beside a sample: wall, CPU, context switches, page faults, steal, other processes' CPU."""

import functools
import itertools
import os
import resource
import time
from dataclasses import dataclass
from typing import Any

import torch

_JIFFY_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CORES = os.cpu_count() or 1


@functools.cache
def clock_read_ns() -> float:
    """Return the time of one read of the clock, in ns (median of 1,000)."""
    reads = [time.perf_counter_ns() for _ in range(1001)]
    steps = sorted(after - before for before, after in itertools.pairwise(reads))
    return max(float(steps[500]), 1.0)


@dataclass(frozen=True)
class CpuCounters:
    """Counters of this process and of the machine at one moment."""

    wall_ns: int
    cpu_ns: int
    context_switches: int
    page_faults: int
    busy_jiffies: int
    steal_jiffies: int

    @classmethod
    def read(cls) -> "CpuCounters":
        """Read all counters; about 30 µs."""
        usage = resource.getrusage(resource.RUSAGE_SELF)
        busy, steal = _machine_jiffies()
        return cls(
            time.perf_counter_ns(),
            time.process_time_ns(),
            usage.ru_nvcsw + usage.ru_nivcsw,
            usage.ru_minflt + usage.ru_majflt,
            busy,
            steal,
        )

    def until(self, later: "CpuCounters", calls: int) -> dict[str, Any]:
        """Return the columns of a sample: CPU time per call, events of the whole sample, steal as a share of the machine.

        foreign_ns is the CPU time that the machine spent on other processes, capacity_ns what it had, foreign_ratio their
        ratio. The kernel counts machine time in ticks of 10 ms: foreign_ns is right within tick_ns over samples that belong
        together (of one sample it may be below zero). So is steal_ns; of steal_ratio, which one sample has to itself, one
        tick is taken off.
        """
        wall_ns = later.wall_ns - self.wall_ns
        cpu_ns = later.cpu_ns - self.cpu_ns
        capacity = wall_ns * _CORES
        foreign_ns = (later.busy_jiffies - self.busy_jiffies) * _JIFFY_NS - cpu_ns
        steal_ns = (later.steal_jiffies - self.steal_jiffies) * _JIFFY_NS
        return {
            "cpu_ns": cpu_ns / calls,
            "context_switches": later.context_switches - self.context_switches,
            "page_faults": later.page_faults - self.page_faults,
            "steal_ratio": max(0, steal_ns - _JIFFY_NS) / capacity,
            "foreign_ratio": foreign_ns / capacity,
            "steal_ns": steal_ns,
            "foreign_ns": foreign_ns,
            "capacity_ns": capacity,
            "tick_ns": _CORES * _JIFFY_NS,
        }


def _machine_jiffies() -> tuple[int, int]:
    """Return (busy, steal) of all cores since boot, in jiffies."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, irq, softirq, steal, *_ = map(int, file.readline().split()[1:])
    return user + nice + system + irq + softirq, steal


class CudaTimer:
    """CUDA events around back-to-back calls; several pairs add up."""

    def __init__(self) -> None:
        self._pairs: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def start(self) -> None:
        """Record the first event of a pair."""
        pair = (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
        pair[0].record()
        self._pairs.append(pair)

    def stop(self) -> None:
        """Record the second event of the pair."""
        self._pairs[-1][1].record()

    @property
    def pairs(self) -> int:
        """Return how many pairs were recorded."""
        return len(self._pairs)

    def elapsed_ns(self) -> float:
        """Return the sum over all pairs, after a synchronise."""
        return sum(first.elapsed_time(second) * 1e6 for first, second in self._pairs)


def cuda_timer(device: str) -> CudaTimer | None:
    """Return a timer of CUDA events, None for the CPU."""
    return CudaTimer() if device == "cuda" else None

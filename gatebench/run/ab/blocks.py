"""What a block of an A/B takes: its rounds, and the cores of both sides' workers."""

import os

from gatebench.suites import Measure

LEAST_ROUNDS = 6  # of a block, however long a call takes


def rounds_of(measure: Measure, sample_s: float | None) -> int:
    """Return how many rounds a block of a case has: all, or an even number of fewer where one call outlasts a sample."""
    meant_s = 2 * measure.sample_ms / 1e3  # calls are doubled until they last long enough, so up to twice that is meant
    if sample_s is None or sample_s <= meant_s:
        return measure.rounds
    return max(min(LEAST_ROUNDS, measure.rounds), int(measure.rounds * meant_s / sample_s) // 2 * 2)


def cores_of(block: int, threads: int) -> tuple[int, ...]:
    """Return the cores of both sides' workers in a block; () where they take all.

    Cores differ, most of all those of a virtual machine whose siblings others use (here by 30 %): workers that the kernel
    put on two of them would differ by that for as long as they live. Another block, another choice.
    """
    cores = sorted(os.sched_getaffinity(0))
    return tuple(cores[(block + number) % len(cores)] for number in range(threads)) if threads < len(cores) else ()

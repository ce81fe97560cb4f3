"""Caches of the machine: their sizes, a buffer that flushes them, and the speed at which each level can be read."""

import functools
import os
import time
from pathlib import Path

import torch
from torch import Tensor

from gatebench.cases import Case

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_FALLBACK_LLC_BYTES = 32 << 20  # where the kernel does not say


@functools.cache
def cache_bytes() -> dict[int, int]:
    """Return {level: bytes} of the data caches that one thread of this machine can reach, as the kernel says."""
    found: dict[int, int] = {}
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        if (index / "type").read_text().strip() != "Instruction":
            size = (index / "size").read_text().strip()
            found[int((index / "level").read_text())] = int(size[:-1]) * _UNITS[size[-1]]
    return found


def flush_buffer(case: Case) -> Tensor | None:
    """Return a buffer of twice the last-level cache for a cold series, None for a hot one."""
    return _flush_buffer(case.device) if case.cache == "cold" else None


@functools.cache
def _flush_buffer(device: str) -> Tensor:
    if device == "cuda":
        size = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
    else:
        size = max(cache_bytes().values(), default=_FALLBACK_LLC_BYTES)
    return torch.empty(2 * size, dtype=torch.uint8, device=device)


def measure_ceilings() -> list[dict[str, float]]:
    """Measure how fast memory can be moved at each cache level and beyond, best of many passes.

    Returns [{"bytes": capacity of the level (inf for memory), "bytes_per_s": ceiling}], smallest first. Private levels
    count once per core. A read (sum) and a copy are tried on one thread, and the faster one times the cores is the
    ceiling: too high where cores share a level, never too low, and undisturbed by threads that wait for each other.
    """
    cores = len(os.sched_getaffinity(0))
    sizes = cache_bytes()
    llc = max(sizes, default=0)
    levels = [(size if level == llc else size * cores) for level, size in sorted(sizes.items()) if level > 1]
    ceilings = [{"bytes": float(size), "bytes_per_s": cores * _speed(size // 2 // cores)} for size in levels]
    memory = max([*levels, _FALLBACK_LLC_BYTES]) * 4
    ceilings.append({"bytes": float("inf"), "bytes_per_s": cores * _speed(memory)})
    # A larger level cannot be faster than a smaller one: what looked so was overhead of small calls.
    for index in range(len(ceilings) - 2, -1, -1):
        ceilings[index]["bytes_per_s"] = max(ceilings[index]["bytes_per_s"], ceilings[index + 1]["bytes_per_s"])
    return ceilings


def _speed(size: int, seconds: float = 0.15) -> float:
    """Return the best bytes/s over a working set of `size` bytes, the cost of an empty call taken off."""
    source, target = torch.zeros(size // 8), torch.zeros(size // 8)  # float32: half of the bytes each
    whole = torch.zeros(size // 4)
    empty = torch.zeros(8)
    overhead = min(_duration(lambda: empty.sum()) for _ in range(200))
    best = 0.0
    for action in (lambda: whole.sum(), lambda: target.copy_(source)):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            best = max(best, size / max(_duration(action) - overhead, 1e-9))
    return best


def _duration(action: object) -> float:
    started = time.perf_counter()
    action()  # type: ignore[operator]
    return time.perf_counter() - started

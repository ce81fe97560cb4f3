"""Ceilings of this machine beside those of its caches: FLOP/s of a matrix product, and the memory of the CUDA device."""

import time
from collections.abc import Callable
from typing import Any

import torch

_DTYPES = (torch.float32, torch.bfloat16, torch.float64)
_SMALLEST, _LARGEST = 256, 4096  # rows of the square matrices
_LONG_CALL_S = 0.02  # a product that takes longer is large enough: its overhead is below a thousandth
_SECONDS = 0.2  # for each dtype; best of what fits in
_MOVED = 256 << 20  # bytes, beyond every L2


def measure_peaks() -> list[dict[str, Any]]:
    """Measure how many FLOP/s a matrix product reaches, best of many passes, under a second on a CPU.

    Returns one row per device and dtype: device, dtype, flops_per_s (of one core on a CPU, of the whole device on CUDA).
    Times the cores it is the ceiling of a CPU, as with its caches: too high where cores share a unit or slow each other
    down, never too low, and undisturbed by threads that wait for each other. Square matrices grow until a product takes
    20 ms. What a device multiplies more slowly in bfloat16 than in float32 can be computed in float32, and counts so.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = [{"device": "cpu", **peak} for peak in _peaks("cpu")]
    finally:
        torch.set_num_threads(before)
    return found + [{"device": "cuda", **peak} for peak in _on_cuda(_peaks)]


def measure_cuda_ceilings() -> list[dict[str, float]]:
    """Measure how fast a copy moves the CUDA device's memory, in its L2 and beyond: as measure_ceilings, [] without a device."""
    return _on_cuda(_memory_levels)


def _on_cuda(measure: Callable[[str], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    if not torch.cuda.is_available():
        return []
    try:
        return measure("cuda")
    except torch.OutOfMemoryError:
        return []  # others fill the device: it has ceilings, and nobody can measure them now
    finally:
        torch.cuda.empty_cache()


def _peaks(device: str) -> list[dict[str, Any]]:
    speeds = {str(dtype).removeprefix("torch."): _product_speed(device, dtype) for dtype in _DTYPES}
    speeds["bfloat16"] = max(speeds["bfloat16"], speeds["float32"])
    return [{"dtype": dtype, "flops_per_s": speed} for dtype, speed in speeds.items()]


def _product_speed(device: str, dtype: torch.dtype) -> float:
    """Return the best FLOP/s of square products."""
    best, size = 0.0, _SMALLEST
    left = right = torch.ones(size, size, dtype=dtype, device=device)
    _duration(lambda: left @ right, device)  # the first product starts the library
    end = time.perf_counter() + _SECONDS
    while time.perf_counter() < end or best == 0.0:
        seconds = _duration(lambda left=left, right=right: left @ right, device)
        best = max(best, 2 * size**3 / seconds)
        if seconds < _LONG_CALL_S and size < _LARGEST:
            size *= 2
            left, right = (torch.ones(size, size, dtype=dtype, device=device) for _ in range(2))
    return best


def _memory_levels(device: str) -> list[dict[str, float]]:
    l2 = torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size
    levels = [(float(l2), _copy_speed(l2 // 2, device)), (float("inf"), _copy_speed(max(_MOVED, 8 * l2), device))]
    inner, outer = (speed for _, speed in levels)
    # A copy in the L2 ends before its launch is paid for: the L2 is never slower than the memory.
    return [{"bytes": levels[0][0], "bytes_per_s": max(inner, outer)}, {"bytes": levels[1][0], "bytes_per_s": outer}]


def _copy_speed(size: int, device: str, copies: int = 20) -> float:
    """Return the best bytes/s (read and written) of back-to-back copies over a working set of `size` bytes."""
    source, target = (torch.zeros(size // 8, device=device) for _ in range(2))  # float32: half of the bytes each

    def copy() -> None:
        for _ in range(copies):
            target.copy_(source)

    _duration(copy, device)  # the first pass finds nothing in the cache
    return max(copies * size / _duration(copy, device) for _ in range(5))


def _duration(action: Callable[[], object], device: str) -> float:
    """Return the seconds of one call, its work on the device included."""
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    action()
    if device == "cuda":
        torch.cuda.synchronize()
    return max(time.perf_counter() - started, 1e-9)

"""How near a case comes to what its machine can do (roofline): its time against the least time that its work takes there."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

NEEDED = ("device", "threads", "dtype", "cache", "flops", "bytes_min", "time_ns", "ci_low_ns", "ci_high_ns")


def ceiling_shares(measurements: pd.DataFrame, environment: Mapping[str, Any]) -> pd.DataFrame:
    """Return how much of the machine's measured ceiling each case attains; the same index as `measurements`.

        share = least time / time,  least time = max(flops / P, bytes_min / W)

    which is attained FLOP/s / min(P, intensity · W) with intensity = flops / bytes_min (Williams, Waterman and Patterson 2009).
    P: FLOP/s of a matrix product of the case's dtype; W: bytes/s of the smallest cache level that holds bytes_min, of the
    memory for a cold cache. On a CPU both are those of as many cores as the case has threads. A share above 1 is possible: the
    ceilings are measured, and gates without a matrix product count their pointwise FLOPs.

    measurements: columns NEEDED. environment: a manifest's, with `ceilings`, `peaks` and `cuda_ceilings` as the runner
    measures them. Columns returned: least_ns, bound (`compute` or `memory`: what the least time is spent on), share with
    its 95 % interval share_low, share_high (of the time alone: the ceilings have none). NaN and None where the ceiling, the
    model cost or the time is missing.
    """
    peaks, levels = _peaks(environment), _levels(environment)
    columns = (measurements[name] for name in ("device", "dtype", "cache"))
    rates = [
        (peaks.get((device, dtype), np.nan), _bandwidth(levels.get(device, []), size, cache))
        for device, dtype, cache, size in zip(*columns, measurements["bytes_min"].astype(float), strict=True)
    ]
    rates = np.array(rates, dtype=float).reshape(-1, 2) * _parts(measurements, environment.get("cores"))[:, None]
    work = measurements[["flops", "bytes_min"]].astype(float).to_numpy()
    compute, memory = (work / rates * 1e9).T
    least = pd.Series(np.maximum(compute, memory), index=measurements.index)  # NaN where one of the two is
    bound = pd.Series(np.where(compute >= memory, "compute", "memory"), index=least.index, dtype=object)
    found = pd.DataFrame({"least_ns": least, "bound": bound.where(least.notna(), None)})
    for name, time in (("share", "time_ns"), ("share_low", "ci_high_ns"), ("share_high", "ci_low_ns")):
        found[name] = least / measurements[time].astype(float)
    return found


def _peaks(environment: Mapping[str, Any]) -> dict[tuple[str, str], float]:
    """Return FLOP/s by device and dtype: of the whole device on CUDA, of all cores together on a CPU."""
    cores = {"cpu": environment.get("cores") or np.nan}
    rows = environment.get("peaks") or ()
    return {(row["device"], row["dtype"]): float(row["flops_per_s"]) * cores.get(row["device"], 1) for row in rows}


def _levels(environment: Mapping[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Return (bytes, bytes/s) of each level of a device's memory, smallest first."""
    keys = {"cpu": "ceilings", "cuda": "cuda_ceilings"}
    return {
        device: sorted((float(level["bytes"]), float(level["bytes_per_s"])) for level in environment.get(key) or ())
        for device, key in keys.items()
    }


def _bandwidth(levels: list[tuple[float, float]], size: float, cache: str) -> float:
    """Return the bytes/s of the smallest level that holds `size` bytes, of the last one where the cache is cold."""
    holding = [speed for capacity, speed in levels if size <= capacity]
    if not holding:
        return np.nan
    return holding[-1] if cache == "cold" else holding[0]


def _parts(measurements: pd.DataFrame, cores: int | None) -> np.ndarray:
    """Return the part of the machine's cores that each case may use; 1 where all of it is, as on CUDA."""
    if not cores:
        return np.ones(len(measurements))
    part = (measurements["threads"].astype(float) / cores).clip(upper=1.0)
    return np.where(measurements["device"] == "cpu", part, 1.0)

"""Estimates and intervals from blocks: the block, a fresh set of processes, is the unit of statistics."""

import numpy as np
import pandas as pd
from scipy.special import stdtrit  # Student's t quantile; scipy.stats would cost half a second of import

CONFIDENCE = 0.95


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Return (mean, low, high): Student's t interval at 95 % over independent values; one value: no interval.

    mean ± t_{n-1, 0.975} · s / √n
    """
    values = np.asarray(values, dtype=float)
    mean = float(values.mean())
    if len(values) < 2:
        return mean, float("nan"), float("nan")
    half = float(stdtrit(len(values) - 1, 0.5 + CONFIDENCE / 2) * values.std(ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def kept_times(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the timing samples that were not dropped."""
    dropped = samples["dropped"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    kept = samples[(samples["quantity"] == "time").to_numpy() & ~dropped]
    if "event_ns" in kept and kept["event_ns"].notna().any():  # CUDA: events are the headline, beside the host clock
        kept = kept.assign(wall_ns=kept["event_ns"].astype(float).fillna(kept["wall_ns"]))
    return kept


def block_medians(samples: pd.DataFrame) -> pd.DataFrame:
    """Return the median log time of each (run_id, case_id, side, block): those columns, log_ns, and samples: how many were kept."""
    times = kept_times(samples)
    with np.errstate(
        divide="ignore"
    ):  # an imported time may be 0, shorter than the clock's step: its logarithm is -inf
        times = times.assign(log_ns=np.log(times["wall_ns"].to_numpy(dtype=float)))
    blocks = times.groupby(["run_id", "case_id", "side", "block"], as_index=False, sort=False, observed=True)
    return blocks.agg(log_ns=("log_ns", "median"), samples=("log_ns", "size"))


def estimate(samples: pd.DataFrame) -> pd.DataFrame:
    """Estimate the time of each (run_id, case_id, side).

        time = exp(mean over blocks of the block median of log wall time)

    Columns: run_id, case_id, side, time_ns, ci_low_ns, ci_high_ns, min_ns, blocks, samples.
    The interval is Student's t over blocks, NaN where there is one block.
    """
    columns = ["run_id", "case_id", "side", "time_ns", "ci_low_ns", "ci_high_ns", "min_ns", "blocks", "samples"]
    keys = ["run_id", "case_id", "side"]
    kept = kept_times(samples)
    fastest = {key: group.min() for key, group in kept.groupby(keys, sort=False)["wall_ns"]}
    counts = {key: len(group) for key, group in kept.groupby(keys, sort=False)["wall_ns"]}
    rows = []
    for key, group in block_medians(samples).groupby(keys, sort=False)["log_ns"]:
        mean, low, high = np.exp(mean_interval(group.to_numpy()))
        rows.append((*key, mean, low, high, fastest[key], len(group), counts[key]))
    return pd.DataFrame(rows, columns=pd.Index(columns))

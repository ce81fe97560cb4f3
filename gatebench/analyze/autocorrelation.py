"""How alike successive samples of a process are: what a drift, a slow recovery or a disturbance of several rounds leaves."""

import numpy as np
import pandas as pd

from gatebench.analyze.raw_samples import DROPPED, PROCESS

MOST_LAGS = 20
_LEAST_SAMPLES = 4  # kept ones of a process, below which its correlation says nothing
_LEAST_SPREAD = 1e-9  # of log times; below it they differ by rounding
_QUANTILE = 1.96  # of the normal distribution at 95 %
COLUMNS = ("side", "lag", "autocorrelation", "bound", "blocks", "samples")


def autocorrelation(ordered: pd.DataFrame) -> pd.DataFrame:
    """Return the autocorrelation of log times by lag within processes, the mean over blocks, for each side of one case.

        r(k) = Σ d_t d_{t+k} / Σ d_t² + p / (m (m - 1)),   d the log time with the block's mean taken off

    ordered: from gatebench.analyze.raw_samples.in_order. t counts samples as taken, dropped ones are gaps; p is how many pairs are k
    apart, m how many samples are kept. The second term takes back what taking the mean off does to samples in random order.
    Lags go up to half the samples of the longest block, and to 20. Columns: side, lag, autocorrelation, bound (1.96 / √samples:
    95 % of values lie within it where samples are independent), blocks and samples (of those that have pairs at this lag).
    Blocks of fewer than 4 kept samples, or without any spread, are left out; no row where none is left.
    """
    rows = []
    for side, own in ordered.groupby("side", sort=False):
        blocks = [found for _, block in own.groupby(PROCESS, sort=False) if (found := _centred(block)) is not None]
        longest = max((len(block) for block in blocks), default=0)
        for lag in range(1, min(longest // 2, MOST_LAGS) + 1):
            found = [(_at_lag(block, lag), int(np.isfinite(block).sum())) for block in blocks]
            found = [(value, count) for value, count in found if value is not None]
            if found:
                samples = sum(count for _, count in found)
                mean = float(np.mean([value for value, _ in found]))
                rows.append((side, lag, mean, _QUANTILE / np.sqrt(samples), len(found), samples))
    return pd.DataFrame(rows, columns=pd.Index(COLUMNS))


def _centred(block: pd.DataFrame) -> np.ndarray | None:
    """Return the log times of a block around their mean, NaN for dropped ones; None where they say nothing."""
    usable = (block["time_ns"] > 0) & (block["state"] != DROPPED)
    if usable.sum() < _LEAST_SAMPLES:
        return None
    logs = np.log(block["time_ns"].where(usable).to_numpy(dtype=float))
    centred = logs - np.nanmean(logs)
    return centred if np.nanmax(np.abs(centred)) > _LEAST_SPREAD else None


def _at_lag(centred: np.ndarray, lag: int) -> float | None:
    """Return the correlation of a block at one lag; None where it has no pair that far apart."""
    if lag >= len(centred):
        return None
    products = centred[:-lag] * centred[lag:]
    pairs = int(np.isfinite(products).sum())
    count = int(np.isfinite(centred).sum())
    if not pairs:
        return None
    return float(np.nansum(products) / np.nansum(centred**2)) + pairs / (count * (count - 1))

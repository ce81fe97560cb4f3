"""Blocks, the unit of statistics, as rows: what the samples of one case in one block of fresh processes come to."""

from collections.abc import Sequence

import pandas as pd

from gatebench.analyze.statistics import block_medians

INCONCLUSIVE_ABOVE = 0.2  # share of disturbed samples; beyond it what is left is no fair draw of the case's times
CASE = ["run_id", "case_id", "side"]
BLOCK = [*CASE, "block"]
COUNTED = ["log_ns", "samples", "disturbed", "measured"]
# What a frame of samples needs for its blocks.
NEEDED: Sequence[str] = (*BLOCK, "quantity", "dropped", "reason", "wall_ns", "event_ns")


def blocks_of(samples: pd.DataFrame) -> pd.DataFrame:
    """Return one row per block of a case and side, from its timing samples; what is blocks already comes back as it is.

    Columns: run_id, case_id, side, block,
        log_ns       median over the kept samples of log(time of one call in ns); NaN where none was kept
        samples      how many were kept
        disturbed    how many something foreign disturbed, dropped or kept for want of quieter ones: both have a reason
        measured     how many there are
    """
    if "log_ns" in samples:
        return samples
    times = samples[(samples["quantity"] == "time").to_numpy()]
    dropped = times["dropped"].astype("boolean").fillna(False).to_numpy(dtype=bool)
    every = times[BLOCK].assign(disturbed=dropped | times["reason"].notna().to_numpy())
    blocks = every.groupby(BLOCK, as_index=False, sort=False, observed=True)
    found = blocks.agg(disturbed=("disturbed", "sum"), measured=("disturbed", "size"))
    found = found.merge(block_medians(times), on=BLOCK, how="left")
    return found.assign(samples=found["samples"].fillna(0).astype("int64"))[[*BLOCK, *COUNTED]]


def block_logs(samples: pd.DataFrame) -> dict[tuple, dict[int, float]]:
    """Return the median log time of each block, by (run_id, case_id, side) and block; samples or their blocks."""
    found: dict[tuple, dict[int, float]] = {}
    blocks = blocks_of(samples)
    for run, case, side, block, log_ns in blocks[blocks["log_ns"].notna()][[*BLOCK, "log_ns"]].itertuples(index=False):
        found.setdefault((run, case, side), {})[block] = log_ns
    return found


def disturbed_shares(samples: pd.DataFrame) -> dict[tuple, float]:
    """Return the share of the timing samples of each (run_id, case_id, side) that was disturbed, 0 to 1; samples or blocks."""
    sums = blocks_of(samples).groupby(CASE, sort=False, observed=True)[["disturbed", "measured"]].sum()
    return dict(zip(sums.index, (sums["disturbed"] / sums["measured"]).tolist(), strict=True))

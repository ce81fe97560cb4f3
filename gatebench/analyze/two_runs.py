"""Two stored runs case by case: the change of time from one to the other, from their blocks, which are not paired.

Such a change is no verdict: two jobs differ by far more than two versions of the code do. `gatebench ab` measures both
versions in one job.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE, block_logs, blocks_of, disturbed_shares
from gatebench.analyze.statistics import CONFIDENCE

CASE = ["case_id", "side", "harness"]  # numbers of another harness are another case's
# What says which case a row is: alike in both runs.
DESCRIBED = [
    "problem_id", "gate", "family", "gate_options", "implementation", "implementation_options", "mode", "dtype", "device", "threads",
    "batch", "seq_len", "input_size", "hidden_size", "cache", "launch", "seed",
]  # fmt: skip
_OWN = [
    "run_id", "status", "reason", "time_ns", "ci_low_ns", "ci_high_ns", "blocks", "error_ratio", "unsteady", "disturbed_share",
    "inconclusive",
]  # fmt: skip
Frames = tuple[pd.DataFrame, pd.DataFrame]  # measurements, and their samples or blocks


def welch_interval(before: np.ndarray, after: np.ndarray) -> tuple[float, float, float]:
    """Return (difference of means, low, high): Welch's t interval at 95 % of two independent samples.

        mean(after) - mean(before) ± t_{ν, 0.975} · √(a + b),  a = s²_before / n_before,  b = s²_after / n_after
        ν = (a + b)² / (a² / (n_before - 1) + b² / (n_after - 1))        (Welch 1947, Satterthwaite 1946)

    NaN ends where a side has one value.
    """
    difference = float(np.mean(after) - np.mean(before))
    if min(len(before), len(after)) < 2:
        return difference, float("nan"), float("nan")
    a, b = np.var(before, ddof=1) / len(before), np.var(after, ddof=1) / len(after)
    if a + b == 0:
        return difference, difference, difference
    freedom = (a + b) ** 2 / (a**2 / (len(before) - 1) + b**2 / (len(after) - 1))
    half = float(stdtrit(freedom, 0.5 + CONFIDENCE / 2) * np.sqrt(a + b))
    return difference, difference - half, difference + half


def changes(before: Frames, after: Frames) -> pd.DataFrame:
    """Return one row per case, side and harness that either run holds, those of `after` first, in its order.

    Columns: CASE, DESCRIBED, and
        found                both, before, after: which of the runs holds it
        <name>_before, _after  of run_id, status, reason, time_ns and its interval, blocks, error_ratio, unsteady,
                             disturbed_share, inconclusive
        change               time after / time before - 1; plus is slower; NaN unless both have a time
        change_low, _high    95 % interval, Welch's t over the blocks' median log times; NaN with one block on a side
        change_inconclusive  one of the two is inconclusive (more than a fifth of its samples disturbed)
    """
    before, after = ((measurements, blocks_of(samples)) for measurements, samples in (before, after))
    sides = [_described(*frames).set_index(CASE) for frames in (before, after)]
    logs = [block_logs(frames[1]) for frames in (before, after)]
    only_before = sides[0].loc[~sides[0].index.isin(sides[1].index), DESCRIBED]
    found = pd.concat([sides[1][DESCRIBED], only_before]) if len(only_before) else sides[1][DESCRIBED]
    index = found.index
    for side, suffix in zip(sides, ("_before", "_after"), strict=True):
        found = found.join(side[_OWN].reindex(index).add_suffix(suffix))
    held = [index.isin(side.index) for side in sides]
    found["found"] = np.where(held[0] & held[1], "both", np.where(held[0], "before", "after"))
    timed = found["time_ns_before"].notna() & found["time_ns_after"].notna()
    keys = zip(found["run_id_before"], found["run_id_after"], index, timed, strict=True)
    estimates = [
        _as_change(logs[0].get((old, case, side), {}).values(), logs[1].get((new, case, side), {}).values())
        if both else (np.nan,) * 3
        for old, new, (case, side, _), both in keys
    ]  # fmt: skip
    found[["change", "change_low", "change_high"]] = np.array(estimates, dtype=float).reshape(-1, 3)
    doubts = [found[f"inconclusive{suffix}"].eq(True) for suffix in ("_before", "_after")]
    found["change_inconclusive"] = doubts[0] | doubts[1]
    return found.reset_index()


def _described(measurements: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return measurements with the share of each case's samples that was disturbed."""
    shares = disturbed_shares(samples)
    keys = measurements[["run_id", "case_id", "side"]].itertuples(index=False, name=None)
    share = np.array([shares.get(key, np.nan) for key in keys], dtype=float)
    return measurements.assign(disturbed_share=share, inconclusive=share > INCONCLUSIVE_ABOVE)


def _as_change(before: Iterable[float], after: Iterable[float]) -> tuple[float, float, float]:
    """Return (change, low, high) from log times by block; NaN where a side has no block."""
    old, new = np.array(list(before)), np.array(list(after))
    if not len(old) or not len(new):
        return (np.nan,) * 3
    change, low, high = np.expm1(welch_interval(old, new))
    return float(change), float(low), float(high)


def mean_changes(changed: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the geometric mean of the changes of each group of cases; before, after: the runs' samples.

    The interval is Welch's t over blocks of the mean log time of the block: the cases are those that the suite names, not
    a sample of others. A block that lacks a case is left out.
    Columns: `by`, change, low, high, cases, slower, faster: how many have an interval above 0, below 0.
    """
    logs = [block_logs(samples) for samples in (before, after)]
    timed = changed[changed["change"].notna()]
    told = ~timed["change_inconclusive"]
    timed = timed.assign(slower=(timed["change_low"] > 0) & told, faster=(timed["change_high"] < 0) & told)
    rows = []
    for key, group in timed.groupby(by, sort=False, dropna=False):
        means = [
            _block_means([of_run[run, case, side] for run, case, side in group[[f"run_id_{name}", "case_id", "side"]].itertuples(index=False)])
            for of_run, name in zip(logs, ("before", "after"), strict=True)
        ]  # fmt: skip
        rows.append((*key, *_as_change(*means), len(group), int(group["slower"].sum()), int(group["faster"].sum())))
    return pd.DataFrame(rows, columns=pd.Index([*by, "change", "low", "high", "cases", "slower", "faster"]))


def _block_means(cases: list[dict[int, float]]) -> list[float]:
    """Return the mean log time over the cases of each block that holds them all."""
    complete = set.intersection(*(set(blocks) for blocks in cases))
    return [float(np.mean([blocks[block] for blocks in cases])) for block in sorted(complete)]

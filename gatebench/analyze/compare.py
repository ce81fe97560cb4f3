"""Compare implementations inside runs: speed-ups from paired blocks, ties, geometric means.

Every surface (table, report, dashboard, CI) calls these functions; there is no second way to compare.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE, block_logs, blocks_of, disturbed_shares
from gatebench.analyze.statistics import mean_interval

TIE_WITHIN = 1.5  # few blocks have wide intervals: what looks much slower is no tie, even if it may yet turn out one
PREFERRED_BASELINES = ("native", "eager")
# The columns that cases of one table share: without a wish, they have one baseline.
SHARED_COLUMNS = ["gate", "gate_options", "dtype", "mode", "device", "threads", "cache", "launch", "harness", "side"]


class _Timed(NamedTuple):
    """One case of a problem: its place among the rows, its median log time by block, and what it is compared by."""

    place: int
    logs: dict[int, float]
    case_id: str
    implementation: str
    options: str
    time_ns: float
    baseline: str | None
    inconclusive: bool
    unsteady: bool


def choose_baseline(measurements: pd.DataFrame, wanted: str | None = None) -> str | None:
    """Return `wanted`, else the first of native and eager that was timed, else any implementation that was."""
    timed = measurements.loc[measurements["time_ns"].notna(), "implementation"]
    if wanted is not None:
        return wanted
    candidates = [*PREFERRED_BASELINES, *sorted(timed.unique())]
    return next((name for name in candidates if name in set(timed)), None)


def compare(measurements: pd.DataFrame, samples: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """Return `measurements` with what each case's time means beside its competitors'; samples: theirs, or their blocks.

    Added columns:
        baseline             implementation that speed-ups are divided by; without a wish, one for each table of a run
        baseline_case_id     its case of the same problem, run and side; null where it has no time there
        speedup              time of baseline / time, from paired block log-ratios; 1 for the baseline itself
        speedup_low, _high   95 % interval, Student's t over blocks; NaN with fewer than two common blocks
        rank                 1 for the fastest of its problem
        tied                 as fast as the fastest, as far as can be told: its interval against it contains 1, and its
                             estimate is within TIE_WITHIN; True for the fastest if any ties
        unsure               the fastest may not be: the next one's interval against it contains 1, or there is none, or one
                             of the two never settled
        disturbed_share      share of its samples that something foreign disturbed; NaN without samples
        inconclusive         that share is above INCONCLUSIVE_ABOVE: the numbers stand, but nothing is won or lost by them
        speedup_inconclusive the same of the case or its baseline
    Rows without a time keep NaN, rank 0 and False. Rows of different harness never compete.
    """
    blocks = blocks_of(samples)
    logs, disturbed = block_logs(blocks), disturbed_shares(blocks)
    baselines = np.full(len(measurements), baseline, dtype=object) if baseline else _default_baselines(measurements)
    columns = ("run_id", "case_id", "side", "implementation", "implementation_options", "time_ns")
    # Plain tuples and arrays: frames of a few rows each would take seconds for a run of a thousand cases.
    rows = list(zip(*(measurements[name] for name in columns), baselines, strict=True))
    shares = np.array([disturbed.get(row[:3], np.nan) for row in rows], dtype=float)
    busy = (shares > INCONCLUSIVE_ABOVE) & measurements["time_ns"].notna().to_numpy()
    # Null where the harness did not look; not all rows that are compared have the column.
    unsteady = measurements.reindex(columns=["unsteady"])["unsteady"].astype(object).eq(True).to_numpy(dtype=bool)
    added = {name: np.full(len(rows), np.nan) for name in ("speedup", "speedup_low", "speedup_high")}
    added |= {name: np.zeros(len(rows), dtype=kind) for name, kind in (("rank", int), ("tied", bool), ("unsure", bool))}
    added |= {"disturbed_share": shares, "inconclusive": busy, "speedup_inconclusive": busy.copy()}
    added["baseline_case_id"] = np.full(len(rows), None, dtype=object)
    competing = ["run_id", "problem_id", "side", "harness"]
    for places in measurements.groupby(competing, sort=False, dropna=False).indices.values():
        timed = [
            _Timed(place, logs.get(rows[place][:3], {}), rows[place][1], *rows[place][3:], busy[place], unsteady[place])
            for place in places
        ]
        _compare_problem([case for case in timed if not np.isnan(case.time_ns)], added)
    return measurements.assign(baseline=baselines, **added)


def _default_baselines(measurements: pd.DataFrame) -> np.ndarray:
    """Return each row's baseline where none is wished for: that of its table in its run."""
    names = np.full(len(measurements), None, dtype=object)
    for places in measurements.groupby(["run_id", *SHARED_COLUMNS], sort=False, dropna=False).indices.values():
        names[places] = choose_baseline(measurements.iloc[places])
    return names


def _compare_problem(timed: list[_Timed], added: dict[str, np.ndarray]) -> None:
    """Fill `added` for the cases of one problem that have a time."""
    timed = sorted(timed, key=lambda case: case.time_ns)
    # Several cases of one implementation differ by its options: the one at default options is the baseline.
    bases = [case for case in timed if case.implementation == case.baseline]
    base = min(bases, key=lambda case: case.options if case.options != "{}" else "", default=None)
    for rank, case in enumerate(timed, start=1):
        added["rank"][case.place] = rank
        if base is not None:
            added["baseline_case_id"][case.place] = base.case_id
            added["speedup_inconclusive"][case.place] = case.inconclusive or base.inconclusive
            found = (1.0, 1.0, 1.0) if case is base else ratio(base.logs, case.logs)
            for column, value in zip(("speedup", "speedup_low", "speedup_high"), found, strict=True):
                added[column][case.place] = value
        if rank > 1:
            times, low, _ = ratio(case.logs, timed[0].logs)
            added["tied"][case.place] = low <= 1.0 and times <= TIE_WITHIN
            if rank == 2:
                doubtful = timed[0].unsteady or case.unsteady
                added["unsure"][timed[0].place] = doubtful or not low > 1.0  # no interval is NaN
    if timed:
        added["tied"][timed[0].place] = any(added["tied"][case.place] for case in timed)


def ratio(numerator: dict[int, float], denominator: dict[int, float]) -> tuple[float, float, float]:
    """Return (ratio, low, high) of two cases' times from their common blocks' median log times; NaN where none is common."""
    differences = _differences(numerator, denominator)
    if not differences:
        return (np.nan, np.nan, np.nan)
    mean, low, high = np.exp(mean_interval(np.array(list(differences.values()))))
    return float(mean), float(low), float(high)


def _differences(numerator: dict[int, float], denominator: dict[int, float]) -> dict[int, float]:
    return {block: log - denominator[block] for block, log in numerator.items() if block in denominator}


def pay_back_calls(compared: pd.DataFrame) -> pd.Series:
    """Return after how many calls a compiled case has paid back its first call, against the baseline.

        calls = cost of the first call / (time · (speed-up - 1))

    The first call is one that found empty compile caches where such a one was seen, else one that found them filled.
    Infinite where the case is slower than the baseline; NaN where nothing was compiled, or it cannot be told: the
    speed-up's interval contains 1, or one of the two is inconclusive.
    """
    cost = compared["compile_cold_ns"].fillna(compared["compile_warm_ns"]).astype(float)
    saved = compared["time_ns"].astype(float) * (compared["speedup"] - 1)
    told = ~compared["speedup_inconclusive"]
    faster, slower = (compared["speedup_low"] > 1) & told, (compared["speedup_high"] < 1) & told
    return (cost / saved).where(faster, (cost * np.inf).where(slower, np.nan))


def geometric_means(compared: pd.DataFrame, samples: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Summarise speed-ups per group and competitor: geometric mean over problems, wins and losses.

    The interval is Student's t over blocks of the mean log speed-up of the block: the problems are the ones the
    suite names, not a sample of others. A win has an interval above 1, a loss below 1; what is inconclusive is in the
    mean, but neither. The cases that others are divided by have no row; an implementation's variants (its options) have
    one each.
    Columns: `by`, implementation, implementation_options, baseline, geometric_mean, low, high, problems, wins, losses,
    inconclusive.
    """
    unsure = compared["speedup_inconclusive"]
    won, lost = (compared["speedup_low"] > 1) & ~unsure, (compared["speedup_high"] < 1) & ~unsure
    others = compared.assign(won=won, lost=lost)
    others = others[others["speedup"].notna() & (others["case_id"] != others["baseline_case_id"])]
    used = {*others["case_id"], *others["baseline_case_id"]}
    logs = block_logs(samples[samples["case_id"].isin(used)])
    rows = []
    keys = list(dict.fromkeys([*by, "implementation", "implementation_options", "baseline"]))
    for key, group in others.groupby(keys, sort=False, dropna=False):
        problems = [
            _differences(logs[run, base, side], logs[run, case, side])
            for run, case, base, side in group[["run_id", "case_id", "baseline_case_id", "side"]].itertuples(
                index=False
            )
        ]
        complete = set.intersection(*(set(blocks) for blocks in problems))  # a block that lacks a problem is left out
        means = np.array([np.mean([blocks[block] for blocks in problems]) for block in sorted(complete)])
        mean, low, high = np.exp(mean_interval(means)) if complete else (np.nan,) * 3
        counts = (int(group[column].sum()) for column in ("won", "lost", "speedup_inconclusive"))
        rows.append((*key, mean, low, high, len(group), *counts))
    found = ("geometric_mean", "low", "high", "problems", "wins", "losses", "inconclusive")
    return pd.DataFrame(rows, columns=pd.Index([*keys, *found]))

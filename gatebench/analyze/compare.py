"""Compare implementations inside runs: speed-ups from paired blocks, ties, geometric means.

Every surface (table, report, dashboard, CI) calls these functions; there is no second way to compare.
"""

import numpy as np
import pandas as pd

from gatebench.analyze.statistics import block_medians, mean_interval

TIE_WITHIN = 1.5  # few blocks have wide intervals: what looks much slower is no tie, even if it may yet turn out one
PREFERRED_BASELINES = ("native", "eager")
# The columns that cases of one table share: without a wish, they have one baseline.
SHARED_COLUMNS = ["gate", "gate_options", "dtype", "mode", "device", "threads", "cache", "launch"]


def choose_baseline(measurements: pd.DataFrame, wanted: str | None = None) -> str | None:
    """Return `wanted`, else the first of native and eager that was timed, else any implementation that was."""
    timed = measurements.loc[measurements["time_ns"].notna(), "implementation"]
    if wanted is not None:
        return wanted
    candidates = [*PREFERRED_BASELINES, *sorted(timed.unique())]
    return next((name for name in candidates if name in set(timed)), None)


def compare(measurements: pd.DataFrame, samples: pd.DataFrame, baseline: str | None = None) -> pd.DataFrame:
    """Return `measurements` with what each case's time means beside its competitors'.

    Added columns:
        baseline             implementation that speed-ups are divided by; without a wish, one for each table of a run
        baseline_case_id     its case of the same problem, run and side; null where it has no time there
        speedup              time of baseline / time, from paired block log-ratios; 1 for the baseline itself
        speedup_low, _high   95 % interval, Student's t over blocks; NaN with fewer than two common blocks
        rank                 1 for the fastest of its problem
        tied                 as fast as the fastest, as far as can be told: its interval against it contains 1, and its
                             estimate is within TIE_WITHIN; True for the fastest if any ties
    Rows without a time keep NaN, rank 0 and tied False.
    """
    blocks = block_logs(samples)
    keys = list(zip(measurements["run_id"], measurements["case_id"], measurements["side"], strict=True))
    few = measurements[["case_id", "implementation", "implementation_options", "time_ns"]].reset_index(drop=True)
    few["baseline"] = baseline or _default_baselines(measurements)
    # Plain arrays, filled by place: writing cells of a frame one by one takes seconds for a run of a thousand cases.
    added = {name: np.full(len(few), np.nan) for name in ("speedup", "speedup_low", "speedup_high")}
    added |= {"rank": np.zeros(len(few), dtype=int), "tied": np.zeros(len(few), dtype=bool)}
    added["baseline_case_id"] = np.full(len(few), None, dtype=object)
    for places in measurements.groupby(["run_id", "problem_id", "side"], sort=False).indices.values():
        _compare_problem(few.iloc[places], [blocks.get(keys[place]) for place in places], added)
    return measurements.assign(baseline=few["baseline"].to_numpy(), **added)


def _default_baselines(measurements: pd.DataFrame) -> np.ndarray:
    """Return each row's baseline where none is wished for: that of its table in its run."""
    names = np.full(len(measurements), None, dtype=object)
    for places in measurements.groupby(["run_id", *SHARED_COLUMNS], sort=False, dropna=False).indices.values():
        names[places] = choose_baseline(measurements.iloc[places])
    return names


def block_logs(samples: pd.DataFrame) -> dict[tuple, pd.Series]:
    """Return the median log time by block of each (run_id, case_id, side)."""
    medians = block_medians(samples).set_index("block")
    return dict(iter(medians.groupby(["run_id", "case_id", "side"])["log_ns"]))


def _compare_problem(problem: pd.DataFrame, logs: list[pd.Series | None], added: dict[str, np.ndarray]) -> None:
    """Fill `added` for the rows of one problem, whose index are their places there."""
    log_of = dict(zip(problem.index, logs, strict=True))
    timed = problem[problem["time_ns"].notna()].sort_values("time_ns")
    if timed.empty:
        return
    # Several cases of one implementation differ by its options: the one at default options is the baseline.
    base = (
        timed[timed["implementation"] == timed["baseline"]]
        .sort_values("implementation_options", key=lambda text: text.where(text != "{}", ""))
        .index[:1]
    )
    fastest = timed.index[0]
    for rank, place in enumerate(timed.index, start=1):
        added["rank"][place] = rank
        if len(base):
            added["baseline_case_id"][place] = timed.loc[base[0], "case_id"]
            found = (1.0, 1.0, 1.0) if place == base[0] else ratio(log_of[base[0]], log_of[place])
            for column, value in zip(("speedup", "speedup_low", "speedup_high"), found, strict=True):
                added[column][place] = value
        if place != fastest:
            times, low, _ = ratio(log_of[place], log_of[fastest])
            added["tied"][place] = low <= 1.0 and times <= TIE_WITHIN
    added["tied"][fastest] = bool(added["tied"][problem.index].any())


def ratio(numerator: pd.Series | None, denominator: pd.Series | None) -> tuple[float, float, float]:
    """Return (ratio, low, high) of two cases' times from their common blocks' median log times."""
    if numerator is None or denominator is None:
        return (np.nan, np.nan, np.nan)
    if numerator.index.equals(denominator.index):
        difference = numerator.to_numpy() - denominator.to_numpy()  # the common case, without pandas' alignment
    else:
        difference = (numerator - denominator).dropna().to_numpy()
    if not len(difference):
        return (np.nan, np.nan, np.nan)
    mean, low, high = np.exp(mean_interval(difference))
    return float(mean), float(low), float(high)


def geometric_means(compared: pd.DataFrame, samples: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Summarise speed-ups per group and competitor: geometric mean over problems, wins and losses.

    The interval is Student's t over blocks of the mean log speed-up of the block: the problems are the ones the
    suite names, not a sample of others. A win has an interval above 1, a loss below 1. The cases that others are
    divided by have no row; an implementation's variants (its options) have one each.
    Columns: `by`, implementation, implementation_options, baseline, geometric_mean, low, high, problems, wins, losses.
    """
    others = compared[compared["speedup"].notna() & (compared["case_id"] != compared["baseline_case_id"])]
    used = {*others["case_id"], *others["baseline_case_id"]}
    blocks = block_logs(samples[samples["case_id"].isin(used)])
    rows = []
    keys = [*by, "implementation", "implementation_options", "baseline"]
    for key, group in others.groupby(keys, sort=False):
        differences = [
            blocks[row.run_id, row.baseline_case_id, row.side] - blocks[row.run_id, row.case_id, row.side]
            for row in group.itertuples()
        ]
        complete = (
            pd.concat(differences, axis=1).dropna().mean(axis=1)
        )  # by block; one that lacks a problem is left out
        mean, low, high = np.exp(mean_interval(complete.to_numpy())) if len(complete) else (np.nan,) * 3
        wins, losses = int((group["speedup_low"] > 1).sum()), int((group["speedup_high"] < 1).sum())
        rows.append((*key, mean, low, high, len(group), wins, losses))
    return pd.DataFrame(rows, columns=pd.Index([*keys, "geometric_mean", "low", "high", "problems", "wins", "losses"]))

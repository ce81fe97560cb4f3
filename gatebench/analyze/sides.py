"""Two sides of anything, case by case, in one frame of one form: implementations, dtypes, runs, machines, versions.

Estimates come from `compare`, `changes` and the stored verdicts; nothing is computed in a second way here.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gatebench.analyze.blocks import block_logs
from gatebench.analyze.compare import SHARED_COLUMNS, compare, geometric_means
from gatebench.analyze.states import STATUS_WORDS
from gatebench.analyze.two_runs import Frames, changes, mean_changes
from gatebench.store.schema import FAILURES

SPEEDUP, CHANGE = "speedup", "change"  # time of A / time of B, above 1 is faster; B / A - 1, above 0 is slower
NO_EFFECT = {SPEEDUP: 1.0, CHANGE: 0.0}
NOT_TOLD_APART = "not told apart"
INCONCLUSIVE = "inconclusive"
TOLD_APART = ("faster", "slower")

# What a row is about: B's case, or A's where B has none.
ABOUT = [
    *SHARED_COLUMNS, "implementation", "implementation_options", "batch", "seq_len", "input_size", "hidden_size", "seed",
]  # fmt: skip
# What each side has of its own; `amount` is in the quantity's unit: ns, bytes, or none.
_OWN = {
    "run_id": "run_id", "case_id": "case_id", "side": "side", "status": "status", "reason": "reason",
    "time_ns": "amount", "ci_low_ns": "low", "ci_high_ns": "high", "blocks": "blocks",
}  # fmt: skip
_FOUND = ["value", "low", "high", "pairs", "outcome", "reason", "margin", "detectable"]
COLUMNS = [
    "key", *(f"about_{name}" if name == "side" else name for name in ABOUT),
    *(f"{name}_{side}" for side in "ab" for name in _OWN.values() if name != "side"), "side_a", "side_b", *_FOUND,
]  # fmt: skip
MEANS = [*SHARED_COLUMNS, "value", "low", "high", "cases"]
_PROBLEM = ["run_id", "problem_id", "side", "harness"]  # cases that share them compete


@dataclass(frozen=True)
class Sides:
    """Two sides beside each other.

    rows: one per case that either side has, columns COLUMNS:
        key                  text that names the row: B's case id, or A's
        ABOUT                what the case is; `about_side` for its side; dtype is null where A and B differ in it
        run_id_a, case_id_a, side_a, status_a, reason_a, amount_a, low_a, high_a, blocks_a; the same of b: null where
                             that side has no such case; amounts with their 95 % interval
        value, low, high     speed-up of B over A or change from A to B, with its 95 % interval; NaN where there is none
        pairs                how many blocks are paired; NaN where they are not
        outcome, reason      faster, slower, `not told apart` (no difference lies inside the interval), inconclusive; a status
                             (wrong, failed, ...), `only in A`, `only in B`, `no time`; of versions the stored verdict
        margin, detectable   of versions: the change that counts as same, and the smallest that could have been seen
    means: geometric mean of each group of SHARED_COLUMNS: columns MEANS, `cases`: how many it is of.
    measure: SPEEDUP or CHANGE. judged: outcomes are verdicts of an A/B.
    """

    rows: pd.DataFrame
    means: pd.DataFrame
    measure: str
    judged: bool = False


def of_implementations(
    measurements: pd.DataFrame, samples: pd.DataFrame, baseline: str, other: tuple[str, str]
) -> Sides:
    """Return speed-ups of `other` (implementation, its options as JSON) over `baseline`, from paired blocks.

    measurements: of one run.
    """
    options = measurements["implementation_options"].fillna("{}")
    is_b = (measurements["implementation"] == other[0]) & (options == other[1])
    is_a = (measurements["implementation"] == baseline) & ~is_b
    compared = compare(measurements, samples, baseline)
    return _competing(compared, samples, (is_a, is_b), measurements)


def of_dtypes(measurements: pd.DataFrame, samples: pd.DataFrame, dtype_a: str, dtype_b: str) -> Sides:
    """Return speed-ups of each case in `dtype_b` over the same case in `dtype_a`, from paired blocks.

    measurements: of one run. Blocks are shared, rounds are not: a drift within a block is in the interval.
    """
    rows = measurements[measurements["dtype"].isin([dtype_a, dtype_b])].reset_index(drop=True)
    alike = ["run_id", *(name for name in ABOUT if name != "dtype")]
    problems = rows.groupby(alike, sort=False, dropna=False).ngroup().astype(str)
    # To `compare`, the dtypes are what competes.
    named = rows.assign(problem_id=problems, implementation=rows["dtype"], implementation_options="{}")
    compared = compare(named, samples, dtype_a).assign(dtype=None)
    return _competing(compared, samples, (rows["dtype"] == dtype_a, rows["dtype"] == dtype_b), rows.assign(dtype=None))


def of_runs(before: Frames, after: Frames, across: bool = False) -> Sides:
    """Return changes of time from run A to run B, whose blocks are not paired.

    before, after: (measurements, samples) of A and of B. across: they are of two machines, so the rows hold speed-ups.
    """
    changed = changes(before, after)
    means = mean_changes(changed, before[1], after[1], SHARED_COLUMNS)
    found = changed.rename(columns=_renamed())
    for suffix, name in (("_a", "before"), ("_b", "after")):
        held = changed["found"].isin(["both", name])
        found[f"case_id{suffix}"] = changed["case_id"].where(held, None)
        found[f"side{suffix}"] = changed["side"].where(held, None)
    found = found.rename(columns={"change": "value", "change_low": "low", "change_high": "high"})
    means = means.rename(columns={"change": "value"})
    if across:
        found, means = (_as_speedups(frame) for frame in (found, means))
    measure = SPEEDUP if across else CHANGE
    found = found.assign(pairs=np.nan, doubt=changed["change_inconclusive"])
    return Sides(_finished(found, measure), means.reindex(columns=MEANS), measure)


def _renamed() -> dict[str, str]:
    pairs = (("_before", "_a"), ("_after", "_b"))
    return {f"{name}{old}": f"{own}{new}" for name, own in _OWN.items() for old, new in pairs}


def _as_speedups(frame: pd.DataFrame) -> pd.DataFrame:
    """Return changes as time of A / time of B: the ends of an interval change places."""
    return frame.assign(value=1 / (1 + frame["value"]), low=1 / (1 + frame["high"]), high=1 / (1 + frame["low"]))


def of_versions(
    verdicts: pd.DataFrame, measurements: pd.DataFrame, quantity: str = "time", controls: Collection[str] = ()
) -> Sides:
    """Return the stored verdicts of an A/B run on one quantity: A is the base, B the head; controls are left out."""
    judged = verdicts[(verdicts["quantity"] == quantity) & ~verdicts["case_id"].isin(controls)]
    amounts = _amounts(measurements, quantity)
    sides = [
        amounts[amounts["side"] == side].drop_duplicates("case_id").set_index("case_id", drop=False)
        for side in ("base", "head")
    ]
    index = pd.Index(judged["case_id"])
    only_base = sides[0][~sides[0].index.isin(sides[1].index)]
    about = (pd.concat([sides[1], only_base]) if len(only_base) else sides[1]).reindex(index)[ABOUT]
    found = pd.concat([about, *_own_columns(sides, index)], axis=1).reset_index(drop=True).assign(side=None)
    names = {
        "change": "value", "ci_low": "low", "ci_high": "high", "blocks": "pairs", "verdict": "outcome", "reason": "reason",
        "margin": "margin", "minimum_detectable_effect": "detectable",
    }  # fmt: skip
    found = found.assign(
        **{new: judged[old].to_numpy() for old, new in names.items()}, key=judged["case_id"].to_numpy()
    )
    rows = found.rename(columns={"side": "about_side"}).reindex(columns=COLUMNS)
    return Sides(rows, pd.DataFrame(columns=pd.Index(MEANS)), CHANGE, judged=True)


def _amounts(measurements: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """Return measurements with the quantity where the time stands; of compile times the one that both sides have."""
    if quantity == "time":
        return measurements
    if quantity == "compile":
        warm = measurements.groupby("case_id")["compile_warm_ns"].transform("count") > 1
        amount = measurements["compile_warm_ns"].where(warm, measurements["compile_cold_ns"])
    else:
        amount = measurements.get(quantity, np.nan)
    return measurements.assign(time_ns=amount, ci_low_ns=np.nan, ci_high_ns=np.nan)


def _competing(
    compared: pd.DataFrame, samples: pd.DataFrame, masks: tuple[pd.Series, pd.Series], about: pd.DataFrame
) -> Sides:
    """Return the rows of two competitors beside each other.

    compared: from `compare`, where A is the baseline; masks: which rows are A's and B's; about: ABOUT of the same rows.
    """
    means = geometric_means(compared[masks[1]], samples, SHARED_COLUMNS)
    means = means.rename(columns={"geometric_mean": "value", "problems": "cases"}).reindex(columns=MEANS)
    compared = compared.assign(**{name: about[name] for name in ABOUT})
    # Of several variants of the baseline the one that `compare` divides by: timed, then with the fewest options.
    options = compared["implementation_options"].replace("{}", "")
    first = compared.assign(untimed=compared["time_ns"].isna(), told=options).sort_values(["untimed", "told"])
    sides = [
        rows[mask.reindex(rows.index)].drop_duplicates(_PROBLEM).set_index(_PROBLEM, drop=False)
        for rows, mask in zip((first, compared), masks, strict=True)
    ]
    only_a = sides[0].index[~sides[0].index.isin(sides[1].index)]
    index = sides[1].index.append(only_a) if len(only_a) else sides[1].index
    described = pd.concat([sides[1], sides[0].loc[only_a]]) if len(only_a) else sides[1]
    found = pd.concat([described[ABOUT], *_own_columns(sides, index)], axis=1)
    estimates = sides[1].reindex(index)
    itself = estimates["baseline_case_id"] == estimates["case_id"]
    for column, source in (("value", "speedup"), ("low", "speedup_low"), ("high", "speedup_high")):
        found[column] = estimates[source].mask(itself)
    found = found.assign(doubt=estimates["speedup_inconclusive"].eq(True)).reset_index(drop=True)
    return Sides(_finished(found.assign(pairs=_common_blocks(found, samples)), SPEEDUP), means, SPEEDUP)


def _own_columns(sides: list[pd.DataFrame], index: pd.Index) -> list[pd.DataFrame]:
    """Return what each side has of its own, at the places of `index`."""
    return [
        rows[list(_OWN)].rename(columns=_OWN).reindex(index).add_suffix(suffix)
        for rows, suffix in zip(sides, ("_a", "_b"), strict=True)
    ]


def _common_blocks(found: pd.DataFrame, samples: pd.DataFrame) -> list[float]:
    logs = block_logs(samples)
    sides = (zip(found[f"run_id_{x}"], found[f"case_id_{x}"], found[f"side_{x}"], strict=True) for x in "ab")
    counts = [len(logs.get(a, {}).keys() & logs.get(b, {}).keys()) for a, b in zip(*sides, strict=True)]
    return [count or np.nan for count in counts]


def _finished(found: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return COLUMNS: with key, outcome and reason. found: ABOUT, both sides' own columns, value, low, high, pairs, doubt."""
    outcomes = [_outcome(row, NO_EFFECT[measure], measure == CHANGE) for row in found.to_dict("records")]
    sides = found["side_b"].where(found["case_id_b"].notna(), found["side_a"])
    keys = found["case_id_b"].where(found["case_id_b"].notna(), found["case_id_a"])
    keys = [case if side == "run" else f"{case} ({side})" for case, side in zip(keys, sides, strict=True)]
    found = found.assign(
        key=keys, outcome=[word for word, _ in outcomes], reason=[reason for _, reason in outcomes]
    ).rename(columns={"side": "about_side"})
    return found.reindex(columns=COLUMNS)


def _outcome(row: dict, no_effect: float, more_is_slower: bool) -> tuple[str, str | None]:
    """Return what can be said of one row without a test of an A/B, and why."""
    absent = [side for side in "ab" if not isinstance(row[f"case_id_{side}"], str)]
    bad = [side for side in "ab" if side not in absent and row[f"status_{side}"] != "ok"]
    if bad:
        told = [f"{side.upper()} {_said(row, side)}" for side in bad]
        if len(bad) == 2 and _said(row, "a") == _said(row, "b"):
            told = [f"either side {_said(row, 'a')}"]
        worst = [side for side in bad if row[f"status_{side}"] in FAILURES] or bad  # a failure is more than a refusal
        return str(row[f"status_{worst[-1]}"]), "; ".join(
            [*told, *(f"{side.upper()} has no such case" for side in absent)]
        )
    if absent:
        return f"only in {'B' if absent == ['a'] else 'A'}", f"{absent[0].upper()} has no such case"
    if untimed := [side.upper() for side in "ab" if pd.isna(row[f"amount_{side}"])]:
        return "no time", f"no time of {' and '.join(untimed)}"
    if row["doubt"]:
        return INCONCLUSIVE, "others disturbed over a fifth of its samples in A or B"
    if pd.isna(row["value"]):
        return INCONCLUSIVE, "A and B have no block in common"
    if pd.isna(row["low"]):
        return INCONCLUSIVE, "one block on a side gives no interval"
    if row["low"] <= no_effect <= row["high"]:
        return NOT_TOLD_APART, "no difference lies inside the 95 % interval"
    return ("slower" if (row["low"] > no_effect) == more_is_slower else "faster"), None


def _said(row: dict, side: str) -> str:
    status, reason = STATUS_WORDS[row[f"status_{side}"]], row[f"reason_{side}"]
    return f"{status}: {reason}" if isinstance(reason, str) else status

"""The history of a suite: per case, environment class and version of the code, time against a reference of the same job.

What a point says, by `kind`:
    ab       head against base, both measured in that job; an A/B run
    relative time of the case / time of the reference implementation on the same problem in the same run
    time     the plain time, where there is no reference; times of two jobs differ by far more than versions do
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE, block_logs, blocks_of, disturbed_shares
from gatebench.analyze.change_points import LEAST_POINTS, find_steps
from gatebench.analyze.compare import PREFERRED_BASELINES
from gatebench.analyze.statistics import CONFIDENCE
from gatebench.store.schema import FAILURES

# What one line of history is: the same case, measured the same way on the same kind of machine.
SERIES = ["case_id", "harness", "environment_class", "kind"]
_DESCRIBED = ["gate", "family", "implementation", "implementation_options", "mode", "dtype"]
_OF_VERSION = ["git_sha", "git_dirty", "plugins", "time_utc", "created", "run_id"]
_NEEDED = ["run_id", "case_id", "problem_id", "side", "harness", *_DESCRIBED, "time_ns"]
_MANY = 1e9  # degrees of freedom of an interval that is not Student's t
POINT_COLUMNS = (
    *SERIES, *_DESCRIBED, "reference", "segment", "position", "git_sha", "git_dirty", "plugins", "time_utc", "run_id",
    "runs", "log", "standard_error", "value", "low", "high", "time_ns", "verdict", "inconclusive",
)  # fmt: skip
CHANGE_COLUMNS = (*SERIES, "reference", "segment", "position", "git_sha", "run_id", "before_git_sha", "before_run_id", "change", "low", "high", "p_value")  # fmt: skip
Logs = Mapping[tuple, dict[int, float]]


class Estimate(NamedTuple):
    """A log-ratio or a log time: its mean, standard error and degrees of freedom; NaN where blocks do not give them."""

    log: float
    error: float
    freedom: float


def history(
    runs: pd.DataFrame,
    measurements: pd.DataFrame,
    samples: pd.DataFrame,
    verdicts: pd.DataFrame,
    baseline: str | None = None,
) -> pd.DataFrame:
    """Return one point per case, environment class and version of the code, oldest first.

    runs: run_id, created_utc, environment_class, git_sha, git_dirty, and where they are known commit_utc (of git_sha),
    plugins (a digest of the plugins' files) and base_sha (of an A/B run). Runs of one commit, without uncommitted changes
    and with the same plugins, are one point. Points stand in the order of commit_utc, else created_utc.

    Columns, beside SERIES and what describes the case:
        reference          implementation (relative), base's commit (ab), null (time)
        segment            counts references within a series: values of two references are not comparable
        position           of the point within its segment
        run_id, runs       the newest of the point's runs, and how many there are
        log, standard_error  of the value, in log time; NaN where one block gives no error
        value, low, high   exp(log) with its 95 % interval: head / base, case / reference, or ns
        time_ns            plain time of the newest run
        verdict            of an A/B run; else null
        inconclusive       more than a fifth of the samples was disturbed: shown, but no change is looked for in it
    """  # fmt: skip
    blocks = blocks_of(samples)
    logs, shares = block_logs(blocks), disturbed_shares(blocks)
    timed = measurements.loc[measurements["time_ns"].notna(), _NEEDED]
    rows = timed.merge(_versions(runs), on="run_id", how="inner")
    found = [*_ab_rows(rows, verdicts, logs), *_run_rows(rows, logs, baseline)]
    for row in found:
        keys = [(row["run_id"], case, side) for case, side in row.pop("compared")]
        row["inconclusive"] = any(shares.get(key, 0.0) > INCONCLUSIVE_ABOVE for key in keys)
    points = [_pooled(list(group)) for group in _by_version(found).values()]
    return _ordered(pd.DataFrame(points, columns=pd.Index([*POINT_COLUMNS, "sort_key"])))


def _versions(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what a run's point is called and ordered by; columns that are not known are null."""
    known = runs.reindex(columns=["run_id", "environment_class", "git_sha", "git_dirty", "created_utc", "commit_utc", "plugins", "base_sha"])  # fmt: skip
    created, committed = (pd.to_datetime(known[name], utc=True, format="ISO8601", errors="coerce") for name in ("created_utc", "commit_utc"))  # fmt: skip
    words = {
        name: known[name].astype(object).where(known[name].notna(), "") for name in ("environment_class", "plugins")
    }  # NaN is no key
    return known.assign(**words, created=created, time_utc=committed.fillna(created))


def _ab_rows(rows: pd.DataFrame, verdicts: pd.DataFrame, logs: Logs) -> list[dict[str, Any]]:
    """Return head against base for each case of the A/B runs: the verdict's own estimate, else that of paired blocks."""
    judged = verdicts[(verdicts["quantity"] == "time") & verdicts["change"].notna()]
    by_case = {(row.run_id, row.case_id): row for row in judged.itertuples(index=False)}
    found = []
    for row in rows[rows["side"] == "head"].to_dict("records"):
        verdict = by_case.get((row["run_id"], row["case_id"]))
        if verdict is not None:
            low, high = np.log1p([verdict.ci_low, verdict.ci_high])
            estimate = Estimate(float(np.log1p(verdict.change)), float(high - low) / 2 / _quantile(_MANY), _MANY)
        else:
            estimate = _difference(*(logs.get((row["run_id"], row["case_id"], side), {}) for side in ("head", "base")))
        found.append(_row(row, "ab", row["base_sha"], estimate, [(row["case_id"], side) for side in ("head", "base")]))
        found[-1]["verdict"] = None if verdict is None else verdict.verdict
    return [row for row in found if not np.isnan(row["log"])]


def _run_rows(rows: pd.DataFrame, logs: Logs, baseline: str | None) -> list[dict[str, Any]]:
    """Return each case's time over that of its reference; a case that has none, and the reference itself, as plain time.

    A run in which the reference has no time gives no point: the same line never changes what it is divided by.
    """
    plain = rows[rows["side"] == "run"]
    found = []
    for _, problem in plain.groupby(["problem_id", "environment_class", "harness"], sort=False, dropna=False):
        name = _reference(problem, baseline)
        bases = _reference_cases(problem, name)
        for row in problem.to_dict("records"):
            own = logs.get((row["run_id"], row["case_id"], "run"), {})
            base = bases.get(row["run_id"])
            if name is None or row["case_id"] in bases.values():
                found.append(
                    _row(row, "time", None, _difference(own, dict.fromkeys(own, 0.0)), [(row["case_id"], "run")])
                )
            elif base is not None:
                estimate = _difference(own, logs.get((row["run_id"], base, "run"), {}))
                found.append(_row(row, "relative", name, estimate, [(row["case_id"], "run"), (base, "run")]))
    return [row for row in found if not np.isnan(row["log"])]  # fmt: skip


def _reference(problem: pd.DataFrame, baseline: str | None) -> str | None:
    """Return the implementation that a problem's times are divided by: native or eager, whichever most runs timed."""
    wanted = PREFERRED_BASELINES if baseline is None else (baseline,)
    counts = {name: problem.loc[problem["implementation"] == name, "run_id"].nunique() for name in wanted}
    best = max(counts, key=lambda name: counts[name])  # of two alike the first: native
    return best if counts[best] else None


def _reference_cases(problem: pd.DataFrame, name: str | None) -> dict[str, str]:
    """Return the reference's case by run; of several, which differ by options, the one at its default options."""
    cases = problem[problem["implementation"] == name]
    plain = cases.assign(options=cases["implementation_options"].replace("{}", "")).sort_values(
        "options", kind="stable"
    )
    return plain.drop_duplicates("run_id").set_index("run_id")["case_id"].to_dict()


def _difference(case: Mapping[int, float], reference: Mapping[int, float]) -> Estimate:
    """Return the log-ratio over the blocks that both have; NaN where there is none."""
    paired = np.array([log - reference[block] for block, log in case.items() if block in reference])
    if len(paired) < 2:
        return Estimate(float(paired[0]) if len(paired) else np.nan, np.nan, 0)
    return Estimate(float(paired.mean()), float(paired.std(ddof=1) / np.sqrt(len(paired))), len(paired) - 1)


def _quantile(freedom: float) -> float:
    return float(stdtrit(freedom, 0.5 + CONFIDENCE / 2))


def _row(
    row: Mapping[str, Any], kind: str, reference: Any, estimate: Estimate, compared: list[tuple[str, str]]
) -> dict[str, Any]:
    """Return one run's word on one case; compared: the cases and sides whose samples it comes from."""
    known = {name: value for name, value in row.items() if name in (*SERIES, *_DESCRIBED, *_OF_VERSION, "time_ns")}
    reference = reference if isinstance(reference, str) else None
    return {**known, "kind": kind, "reference": reference, **estimate._asdict(), "verdict": None, "compared": compared}


def _by_version(rows: list[dict[str, Any]]) -> dict[tuple, list[dict[str, Any]]]:
    """Gather the rows that are one point: one commit with the same plugins; anything else is a point by itself."""
    found: dict[tuple, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["created"]):
        clean = isinstance(row["git_sha"], str) and row["git_dirty"] is not True and not pd.isna(row["git_dirty"])
        version = (row["git_sha"], row["plugins"], row["inconclusive"]) if clean else row["run_id"]
        found.setdefault((*(row[name] for name in SERIES), row["reference"], version), []).append(row)
    return found


def _pooled(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return one point of the runs of one version: their plain mean, with the error of their blocks or of their spread.

    Whichever of the two is larger; the interval is Student's t with its degrees of freedom.
    """
    newest, count = rows[-1], len(rows)
    logs = np.array([row["log"] for row in rows])
    error = float(np.sqrt(np.sum(np.square([row["error"] for row in rows]))) / count)
    freedom = float(sum(row["freedom"] for row in rows))
    between = float(logs.std(ddof=1) / np.sqrt(count)) if count > 1 else np.nan
    if count > 1 and not error >= between:  # also where a run of one block has no error
        error, freedom = between, count - 1
    log = float(logs.mean())
    half = _quantile(freedom) * error if freedom else np.nan
    return {
        **{name: newest[name] for name in POINT_COLUMNS if name in newest}, "runs": count, "log": log, "standard_error": error,
        "value": float(np.exp(log)), "low": float(np.exp(log - half)), "high": float(np.exp(log + half)),
        "sort_key": (newest["time_utc"], newest["git_dirty"] is True, rows[0]["created"]),
    }  # fmt: skip


def _ordered(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points of each series in the order of versions, with their segments and places."""
    keys = points["sort_key"].tolist()  # a cell of a frame at a time takes seconds for 10,000 points
    places = sorted(range(len(points)), key=keys.__getitem__)
    points = points.iloc[places].drop(columns="sort_key").reset_index(drop=True)
    if points.empty:
        return points
    series = points.groupby(SERIES, sort=False, dropna=False)
    points = points.iloc[series.ngroup().argsort(kind="stable")].reset_index(drop=True)
    reference = points["reference"].fillna("")
    starts = reference.ne(reference.groupby([points[name] for name in SERIES], dropna=False).shift())
    points["segment"] = starts.groupby([points[name] for name in SERIES], dropna=False).cumsum().astype(int)
    points["position"] = points.groupby([*SERIES, "segment"], dropna=False).cumcount()
    return points


def changes(points: pd.DataFrame) -> pd.DataFrame:
    """Return the changes that both methods of gatebench.analyze.change_points find, never across two segments.

    Columns: SERIES, reference, segment; position, git_sha, run_id of the first point after the change, and the same of the
    point before it; change (new level / old - 1, plus is slower) with its 95 % interval given the place; p_value.
    """
    rows = []
    keys = [*SERIES, "segment"]
    for key, segment in points[~points["inconclusive"].astype(bool)].groupby(keys, sort=False, dropna=False):
        for step in find_steps(segment["log"].to_numpy(dtype=float), segment["standard_error"].to_numpy(dtype=float)):
            after, before = segment.iloc[step.place], segment.iloc[step.place - 1]
            rows.append((
                *key[:-1], after["reference"], key[-1], after["position"], after["git_sha"], after["run_id"],
                before["git_sha"], before["run_id"], *np.expm1([step.size, step.low, step.high]), step.p_value,
            ))  # fmt: skip
    return pd.DataFrame(rows, columns=pd.Index(CHANGE_COLUMNS))


def series(points: pd.DataFrame, changed: pd.DataFrame) -> pd.DataFrame:
    """Return one row per series: how many points, the newest, and what is known of changes.

    Columns: POINT_COLUMNS of the newest point; points (all of them), searched (conclusive ones of the newest segment),
    segments, changes (how many), outcome: changed, no change, too few points (in every segment).
    """
    rows = []
    counts = changed.groupby(SERIES, dropna=False).size().to_dict()
    for key, group in points.groupby(SERIES, sort=False, dropna=False):
        usable = group[~group["inconclusive"].astype(bool)].groupby("segment").size()
        count = counts.get(key, 0)
        enough = int(usable.max() if len(usable) else 0) >= LEAST_POINTS
        newest = group.iloc[-1]
        outcome = "changed" if count else ("no change" if enough else "too few points")
        searched = int(usable.get(newest["segment"], 0))
        rows.append((*newest[list(POINT_COLUMNS)], len(group), searched, group["segment"].nunique(), count, outcome))
    return pd.DataFrame(
        rows, columns=pd.Index([*POINT_COLUMNS, "points", "searched", "segments", "changes", "outcome"])
    )


def failures(runs: pd.DataFrame, measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the runs in which a case was wrong or failed: a row per case and run, oldest first.

    runs: as in `history`. Columns: case_id, implementation, status, reason, run_id, environment_class, git_sha, git_dirty,
    time_utc. A base that failed is no word on the version that an A/B run measured, and is left out.
    """
    failed = measurements[measurements["status"].isin(FAILURES) & (measurements["side"] != "base")]
    rows = failed[["run_id", "case_id", "implementation", "status", "reason"]].merge(
        _versions(runs), on="run_id", how="inner"
    )
    columns = [
        "case_id",
        "implementation",
        "status",
        "reason",
        "run_id",
        "environment_class",
        "git_sha",
        "git_dirty",
        "time_utc",
    ]
    return rows[columns].sort_values("time_utc", kind="stable", ignore_index=True)

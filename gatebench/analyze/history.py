"""The history of a suite: per case, environment class and version of the code, time against a reference of the same job.

What a point says, by `kind`:
    ab       head against base, both measured in that job; an A/B run
    relative time of the case / time of the reference implementation on the same problem in the same run
    time     the plain time, where there is no reference; times of two jobs differ by far more than versions do
"""

from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from gatebench.analyze.blocks import CASE, INCONCLUSIVE_ABOVE, blocks_of, disturbed_shares
from gatebench.analyze.change_points import LEAST_POINTS, find_steps
from gatebench.analyze.compare import PREFERRED_BASELINES
from gatebench.analyze.statistics import CONFIDENCE
from gatebench.store.schema import FAILURES

# What one line of history is: the same case, measured the same way on the same kind of machine.
SERIES = ["case_id", "harness", "environment_class", "kind"]
_DESCRIBED = ["gate", "family", "implementation", "implementation_options", "mode", "dtype"]
_NEEDED = ["run_id", "case_id", "problem_id", "side", "harness", *_DESCRIBED, "time_ns"]
MEASURED = (*_NEEDED, "status", "reason")  # columns of measurements that this module reads
_JUDGED = ["change", "ci_low", "ci_high", "verdict"]
# Of a row: what was measured, and what it is divided by.
_SIDES = (("case_id", "side"), ("other_case_id", "other_side"))
_MANY = 1e9  # degrees of freedom of an interval that is not Student's t
POINT_COLUMNS = (
    *SERIES, *_DESCRIBED, "reference", "segment", "position", "git_sha", "git_dirty", "plugins", "time_utc", "run_id",
    "runs", "log", "standard_error", "value", "low", "high", "time_ns", "verdict", "inconclusive",
)  # fmt: skip
CHANGE_COLUMNS = (*SERIES, "reference", "segment", "position", "git_sha", "run_id", "before_git_sha", "before_run_id", "change", "low", "high", "p_value")  # fmt: skip


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
    timed = measurements.loc[measurements["time_ns"].notna(), _NEEDED]
    rows = timed.merge(_versions(runs), on="run_id", how="inner")
    compared = [part for part in (_ab_rows(rows), _run_rows(rows, baseline)) if len(part)]
    if not compared:
        return pd.DataFrame(columns=pd.Index(POINT_COLUMNS))
    found = _estimated(pd.concat(compared, ignore_index=True), blocks, verdicts)
    found = found[np.isfinite(found["log"])]  # of an imported time of 0 it is not
    return _ordered(_pooled(found)) if len(found) else pd.DataFrame(columns=pd.Index(POINT_COLUMNS))


def _versions(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what a run's point is called and ordered by; columns that are not known are null.

    Added columns: version, the same number for runs of one commit with the same plugins, one of its own for any other run;
    created; time_utc.
    """
    known = runs.reindex(columns=["run_id", "environment_class", "git_sha", "git_dirty", "created_utc", "commit_utc", "plugins", "base_sha"])  # fmt: skip
    created, committed = (pd.to_datetime(known[name], utc=True, format="ISO8601", errors="coerce") for name in ("created_utc", "commit_utc"))  # fmt: skip
    words = {
        name: known[name].astype(object).where(known[name].notna(), "") for name in ("environment_class", "plugins")
    }  # NaN is no key
    dirty = [bool(value) if isinstance(value, bool | np.bool_) else None for value in known["git_dirty"]]
    clean = np.array([is_dirty is False for is_dirty in dirty]) & known["git_sha"].map(lambda sha: isinstance(sha, str))
    version = known[["git_sha"]].assign(plugins=words["plugins"], run=known["run_id"].where(~clean, ""))
    return known.assign(
        **words,
        version=version.groupby(["git_sha", "plugins", "run"], sort=False, dropna=False).ngroup(),
        git_dirty=pd.Series(dirty, known.index, dtype=object),
        created=created,
        time_utc=committed.fillna(created),
    )


def _ab_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cases of the A/B runs' heads, each beside its base. Added columns: kind, reference, other_case_id, other_side."""
    heads = rows[rows["side"] == "head"]
    commits = heads["base_sha"].astype(object)
    commits = commits.where(commits.map(lambda sha: isinstance(sha, str)), None)
    return heads.assign(kind="ab", reference=commits, other_case_id=heads["case_id"], other_side="base")


def _run_rows(rows: pd.DataFrame, baseline: str | None) -> pd.DataFrame:
    """Return the cases of other runs problem by problem, each beside its reference; the reference itself, and what has none, alone.

    A run in which the reference has no time gives no row: the same line never changes what it is divided by. Columns as in
    `_ab_rows`, other_case_id null for plain times.
    """
    plain = rows[rows["side"] == "run"]
    problem = plain.groupby(["problem_id", "environment_class", "harness"], sort=False, dropna=False).ngroup()
    plain = plain.assign(problem=problem).sort_values("problem", kind="stable")
    name = plain["problem"].map(_references(plain, baseline)).astype(object)
    bases = _reference_cases(plain[plain["implementation"] == name])
    divided_by = plain[["problem", "run_id"]].merge(bases, on=["problem", "run_id"], how="left")
    base = divided_by["case_id"].to_numpy(dtype=object)
    references = bases[["problem", "case_id"]].drop_duplicates().assign(own=True)
    own = (
        plain[["problem", "case_id"]].merge(references, on=["problem", "case_id"], how="left")["own"].notna().to_numpy()
    )
    alone, divided = own | name.isna().to_numpy(), pd.notna(base)
    compared = plain.assign(
        kind=np.where(alone, "time", "relative"), reference=np.where(alone, None, name),
        other_case_id=np.where(divided & ~alone, base, None), other_side="run",
    )  # fmt: skip
    return compared[alone | divided].drop(columns="problem")


def _references(plain: pd.DataFrame, baseline: str | None) -> dict[int, str]:
    """Return the implementation that each problem's times are divided by: native or eager, whichever most runs timed."""
    wanted = PREFERRED_BASELINES if baseline is None else (baseline,)
    timed = plain.loc[plain["implementation"].isin(wanted), ["problem", "implementation", "run_id"]].drop_duplicates()
    counts = timed.groupby(["problem", "implementation"]).size().reset_index(name="runs")
    # Of two alike the first: native.
    counts["place"] = counts["implementation"].map(wanted.index)
    best = counts.sort_values(["runs", "place"], ascending=[False, True]).drop_duplicates("problem")
    return dict(zip(best["problem"], best["implementation"], strict=True))


def _reference_cases(cases: pd.DataFrame) -> pd.DataFrame:
    """Return the reference's case by problem and run; of several, which differ by options, the one at its default options."""
    options = cases["implementation_options"].replace("{}", "")
    plain = cases.assign(options=options).sort_values("options", kind="stable")
    return plain.drop_duplicates(["problem", "run_id"])[["problem", "run_id", "case_id"]]


def _estimated(compared: pd.DataFrame, blocks: pd.DataFrame, verdicts: pd.DataFrame) -> pd.DataFrame:
    """Return these rows with log, error and freedom of what they say, verdict, and whether a side was disturbed too much.

    log: an A/B's verdict's own estimate where there is one, else the mean over the blocks that both sides have (over the
    case's own, where it is alone); NaN where there is none. error: its standard error, freedom: its degrees of freedom.
    """
    found = compared.join(_over_blocks(compared, blocks))
    judged = verdicts[(verdicts["quantity"] == "time") & verdicts["change"].notna()]
    judged = judged.drop_duplicates(["run_id", "case_id"], keep="last")[["run_id", "case_id", *_JUDGED]]
    found = found.merge(judged.assign(kind="ab"), on=["run_id", "case_id", "kind"], how="left")
    change, low, high = (np.log1p(found[name].to_numpy(dtype=float)) for name in ("change", "ci_low", "ci_high"))
    told = ~np.isnan(change)
    own = {"log": change, "error": (high - low) / 2 / _quantile(_MANY), "freedom": _MANY}
    noisy = {case for case, share in disturbed_shares(blocks).items() if share > INCONCLUSIVE_ABOVE}
    disturbed = np.zeros(len(found), dtype=bool)
    if noisy:
        for case, side in _SIDES:
            disturbed |= [key in noisy for key in zip(found["run_id"], found[case], found[side], strict=True)]
    return found.assign(
        inconclusive=disturbed, **{name: np.where(told, values, found[name]) for name, values in own.items()}
    )


def _over_blocks(compared: pd.DataFrame, blocks: pd.DataFrame) -> pd.DataFrame:
    """Return log, error and freedom of each row by its blocks; its index is that of `compared`, 0, 1, 2 ..."""
    logs = blocks.loc[blocks["log_ns"].notna(), [*CASE, "block", "log_ns"]]
    numbered = compared.assign(row=np.arange(len(compared)))
    own, other = (
        numbered[["row", "run_id", case, side]].set_axis(["row", *CASE], axis=1).merge(logs, on=CASE)[["row", "block", "log_ns"]]
        for case, side in _SIDES
    )  # fmt: skip
    pairs = own.merge(other, on=["row", "block"], how="left", suffixes=("", "_other"))
    alone = compared["other_case_id"].isna().to_numpy()[pairs["row"]]
    differences = (pairs["log_ns"] - pairs["log_ns_other"].mask(alone, 0.0)).dropna()
    by_row = differences.groupby(pairs["row"])
    counts = by_row.size()
    found = pd.DataFrame({"log": by_row.mean(), "error": by_row.std() / np.sqrt(counts), "freedom": counts - 1})
    return found.reindex(compared.index)


def _quantile(freedom: Any) -> Any:
    return stdtrit(freedom, 0.5 + CONFIDENCE / 2)


def _pooled(rows: pd.DataFrame) -> pd.DataFrame:
    """Return one point per series, reference and version: what is conclusive and what is not are two points.

    A point is the plain mean of its runs, with the error of their blocks or of their spread, whichever is larger; its
    interval is Student's t with that one's degrees of freedom. The rest is the newest run's. Added columns: first, when
    the oldest of its runs was made.
    """
    rows = rows.sort_values("created", kind="stable")
    # A number per series is quicker to group by than its four texts.
    rows = rows.assign(series=rows.groupby(SERIES, sort=False, dropna=False).ngroup())
    number = rows.groupby(["series", "reference", "version", "inconclusive"], sort=False, dropna=False).ngroup()
    groups = rows.assign(square=rows["error"] ** 2).groupby(number)
    runs = groups.size()
    error = np.sqrt(groups["square"].mean() / runs).mask(rows["error"].isna().groupby(number).any())
    between = groups["log"].std() / np.sqrt(runs)
    wider = (runs > 1) & ~(error >= between)  # also where a run of one block has no error
    error, freedom = error.mask(wider, between), groups["freedom"].sum().mask(wider, runs - 1)
    log, half = groups["log"].mean(), (error * _quantile(freedom.to_numpy(dtype=float))).where(freedom > 0)
    newest, oldest = (each.set_index(number[each.index]).sort_index() for each in (groups.tail(1), groups.head(1)))
    return newest.assign(
        runs=runs, log=log, standard_error=error, value=np.exp(log), low=np.exp(log - half), high=np.exp(log + half),
        first=oldest["created"],
    )  # fmt: skip


def _ordered(points: pd.DataFrame) -> pd.DataFrame:
    """Return the points of each series in the order of versions, with their segments and places."""
    points = points.assign(dirty=points["git_dirty"].eq(True)).sort_values(
        ["time_utc", "dirty", "first"], kind="stable", ignore_index=True
    )
    # A series stands where its first point does.
    order = points["series"].map({name: place for place, name in enumerate(points["series"].unique())})
    points = points.iloc[order.argsort(kind="stable")].reset_index(drop=True)
    reference = points["reference"].fillna("")
    starts = reference.ne(reference.groupby(points["series"]).shift())
    points["segment"] = starts.groupby(points["series"]).cumsum().astype(int)
    points["position"] = points.groupby(["series", "segment"]).cumcount()
    return points[list(POINT_COLUMNS)]


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
    names = [*POINT_COLUMNS, "points", "searched", "segments", "changes", "outcome"]
    if points.empty:
        return pd.DataFrame(columns=pd.Index(names))
    number = points.groupby(SERIES, sort=False, dropna=False).ngroup()
    groups = points.groupby(number, sort=False)
    newest = groups.tail(1).set_index(number[groups.tail(1).index])[list(POINT_COLUMNS)]
    usable = (~points["inconclusive"].astype(bool)).groupby([number, points["segment"]]).sum()
    most = usable.groupby(level=0).max()
    searched = [usable[key] for key in zip(newest.index, newest["segment"], strict=True)]
    found = changed.groupby(SERIES, dropna=False).size().to_dict()
    counts = [found.get(key, 0) for key in newest[SERIES].itertuples(index=False, name=None)]
    enough = (most >= LEAST_POINTS).reindex(newest.index)
    outcome = np.select([np.array(counts) > 0, enough], ["changed", "no change"], "too few points")
    return newest.assign(
        points=groups.size(), searched=searched, segments=groups["segment"].nunique(), changes=counts, outcome=outcome
    ).reset_index(drop=True)[names]


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

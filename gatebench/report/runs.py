"""Runs as small tables: what each holds, what failed and why, what is new since the run before."""

import pandas as pd

from gatebench.report.names import date_label, run_label
from gatebench.report.quantities import is_missing
from gatebench.store.read import WORKER
from gatebench.store.schema import FAILURES
from gatebench.words import counted

CASE = ["case_id", "side"]


def labelled(runs: pd.DataFrame) -> pd.DataFrame:
    """Return runs newest first, with what people call them: columns label, date and machine added.

    runs: columns run_id, folder, created_utc, suite, environment_class, device_name, harness.
    """
    named = runs[["run_id", "suite", "created_utc", "folder", "harness"]].itertuples(index=False)
    table = runs.assign(
        date=[date_label(text) for text in runs["created_utc"]],
        label=[run_label(row.run_id, row.suite, row.created_utc, row.folder, row.harness) for row in named],
        machine=machine_labels(runs),
    )
    return table.sort_values("run_id", ascending=False, ignore_index=True)


def machine_labels(runs: pd.DataFrame) -> pd.Series:
    """Name each run's machine; the environment class tells two of one device name apart.

    Columns: run_id, device_name, environment_class. Times of different classes are never comparable; of a run that tells
    neither device nor class nothing is known to be comparable.
    """
    names = runs["device_name"].fillna("unknown machine")
    classes = runs["environment_class"].fillna("")
    classes = classes.mask((classes == "") & runs["device_name"].isna(), "run " + runs["run_id"].str[-4:])
    several = classes.groupby(names).transform("nunique") > 1
    short = classes.str[:6].mask(classes.str.contains(" "), classes).mask(classes == "", "unknown class")
    return names.where(~several, names + " · " + short)


def failures(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the failed rows, one per status, implementation and reason: cases (how many), gates, modes, dtypes."""
    failed = measurements[measurements["status"].isin(FAILURES)]
    gathered = failed.assign(reason=failed["reason"].fillna("no reason given")).groupby(
        ["status", "implementation", "reason"], sort=False
    )
    table = gathered.agg(
        cases=("case_id", "size"), gates=("gate", _listed), modes=("mode", _listed), dtypes=("dtype", _listed)
    ).reset_index()
    order = table["status"].map(FAILURES.index)
    return table.iloc[order.argsort(kind="stable")].reset_index(drop=True)


def _listed(values: pd.Series) -> str:
    return ", ".join(dict.fromkeys(values))


def news(runs: pd.DataFrame, measurements: pd.DataFrame, run_id: str) -> list[str]:
    """Say what a run holds that no earlier run of its place and harness held, one sentence each.

    runs: columns run_id, harness, place (the same for runs of one machine).
    measurements: the run's own, and of earlier ones at least the last of each case; columns run_id, case_id, side, status, gate, implementation.
    New gates and implementations, cases that failed now and were ok in the latest run that had them, and cases that
    are ok again. Empty where nothing is new; the first run of a machine says so.
    """
    ids = dict(zip(runs["run_id"], zip(runs["place"], runs["harness"], strict=True), strict=True))
    before_ids = [other for other in ids if other < run_id and ids[other] == ids[run_id]]
    now = measurements[measurements["run_id"] == run_id]
    before = measurements[measurements["run_id"].isin(before_ids)]
    if not before_ids:
        harness = ids[run_id][1]
        who = "" if harness == WORKER else f" with the harness {harness}"
        return [f"First run of this machine{who}: there is nothing to compare it with."]
    found = []
    for column, word in (("gate", "gate"), ("implementation", "implementation")):
        fresh = sorted(set(now[column]) - set(before[column]))
        if fresh:
            found.append(f"New {word}{'s' if len(fresh) > 1 else ''}: {', '.join(fresh)}.")
    return found + _changes(now, before)


def _changes(now: pd.DataFrame, before: pd.DataFrame) -> list[str]:
    latest = before.sort_values("run_id").drop_duplicates(CASE, keep="last")
    both = now.merge(latest[[*CASE, "status"]], on=CASE, suffixes=("", "_before"))
    broken = both[both["status"].isin(FAILURES) & (both["status_before"] == "ok")]
    mended = both[(both["status"] == "ok") & both["status_before"].isin(FAILURES)]
    added = now[~now.set_index(CASE).index.isin(latest.set_index(CASE).index)]
    groups = (
        (broken, "Wrong or failed now, ok before"),
        (mended, "Ok again"),
        (added, "Never measured on this machine before"),
    )
    return [f"{words}: {counted(len(rows), 'case')} ({_who(rows)})." for rows, words in groups if len(rows)]


def _who(rows: pd.DataFrame) -> str:
    pairs = sorted({f"{row.gate} by {row.implementation}" for row in rows.itertuples() if not is_missing(row.gate)})
    return ", ".join(pairs[:4]) + (f" and {len(pairs) - 4} more" if len(pairs) > 4 else "")

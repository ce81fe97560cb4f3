"""Overview: what is slower, wrong, failed, undecided or stale, what the newest runs and the last A/Bs say, what is new."""

import shlex
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from dashboard import elements, overview_tiles
from dashboard.filters import BESIDE, Filters
from dashboard.loading import Store
from dashboard.overview_rows import (
    MOST_ASKED,
    STALE_DAYS,
    Ab,
    disturbed_cases,
    failed_cases,
    last_abs,
    listed_runs,
    longer_than_before,
    newest_commit,
    pairs,
    what_is_new,
)
from gatebench.analyze.verdicts import LOST
from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.report.ci.words import QUANTITIES, change_text, percent, verdict_word
from gatebench.report.quantities import is_missing
from gatebench.store.read import WORKER
from gatebench.words import counted

LEADS = (
    ("winner_map", "What is fastest at a T and H?", "grid_on"),
    ("stability", "Which gate keeps its gradients?", "trending_down"),
    ("compare", "How sure is a difference?", "balance"),
)
MOST_NEWS = 5  # machines of which it is told what is new
_INTEREST = (*LOST, "slower", "inconclusive", "faster", "new", "gone")  # of verdicts; `same` is counted only


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar for machines, then show tiles, the last A/Bs, what is new, what failed, newest runs, what is stale."""
    machines = filters.many("machine", "Machines", list(dict.fromkeys(store.runs["machine"])))
    runs = store.runs[store.runs["machine"].isin(machines)]
    elements.header("Overview", filters.notes)
    last, longer = last_abs(store, runs), longer_than_before(store, runs)
    failed, measured = failed_cases(store, runs), pairs(store, runs, datetime.now(UTC))
    disturbed, commit = disturbed_cases(store, runs), newest_commit(runs)
    overview_tiles.show(overview_tiles.tiles(last, longer, failed, disturbed, measured, commit))
    show_leads()
    say_what_cannot_be_read(runs)
    show_runs(runs, filters)
    show_abs(last)
    show_longer(longer)
    show_news(store, runs.drop_duplicates("machine"))
    show_failed(failed, runs)
    show_stale(measured)
    command = shlex.join(["gatebench", "compare", runs["run_id"].iloc[0]]) + elements.store_option()
    elements.ways_out(command, runs.drop(columns=["path", "run_key", "place"]), "runs", filters)


def read_ahead(store: Store) -> None:
    """Ask what the page asks of all machines: the answers are kept, and the page opened next has them at once."""
    for ask in (last_abs, longer_than_before, failed_cases, disturbed_cases):
        ask(store, store.runs)
    pairs(store, store.runs, datetime.now(UTC))
    for run in store.runs.drop_duplicates("machine").head(MOST_NEWS).itertuples():
        what_is_new(store, run)


def show_leads() -> None:
    """Lead to the pages that answer what people come with."""
    with st.container(horizontal=True):
        for page, label, icon in LEADS:
            elements.link(f"views/{page}.py", label, {}, icon=f":material/{icon}:", linked=BESIDE)


def say_what_cannot_be_read(runs: pd.DataFrame) -> None:
    """Say that the tiles do not count the runs whose measurements cannot be read."""
    broken = runs[runs["unreadable"]]
    if len(broken):
        names = ", ".join(broken["label"].head(3)) + (" …" if len(broken) > 3 else "")
        count = counted(len(broken), "run")
        st.warning(elements.plain(f"The measurements of {count} cannot be read; no tile counts them: {names}."))


def show_runs(runs: pd.DataFrame, filters: Filters) -> None:
    """List the newest run of each machine and suite with its counts; a row leads to the page Run."""
    newest = listed_runs(runs)
    st.subheader("Newest runs", anchor=False)
    failed = newest[["failed", "timeout", "out_of_memory"]].sum(axis=1)
    table = pd.DataFrame({
        "date (UTC)": newest["date"], "machine": newest["machine"], "suite": newest["suite"].fillna("none"),
        "wrong": newest["wrong"], "failed": failed, "ok": newest["ok"],
        "status": newest["status"].mask(newest["unreadable"], "unreadable"), "cases": newest["cases"],
        "not here": newest[["unsupported", "unavailable"]].sum(axis=1),
        "commit": newest["git_sha"].str[:10].fillna("unknown") + newest["git_dirty"].map({True: "+"}).fillna(""),
        "kind": [kind(run) for run in newest.itertuples()],
    })  # fmt: skip
    elements.table(table, pick=("newest_run", list(newest["run_id"])))
    asked = f" (of {COMMAND_LINE_SUITE} up to {MOST_ASKED})" if (newest["suite"] == COMMAND_LINE_SUITE).any() else ""
    st.caption(
        f"The newest of each machine, suite and kind{asked}, of {counted(len(runs), 'run')} in all. Failed: also timed out and out of "
        "memory. Not here: unsupported, or unavailable on this machine. +: with uncommitted changes."
    )
    labels = dict(zip(newest["run_id"], newest["label"], strict=True))
    run_id = filters.pick("newest_run", "Look into a run (or click on its row)", list(newest["run_id"]), labels)
    if run_id is not None:
        elements.link("views/run.py", "Open it on the page Run", {"run": run_id}, icon=":material/receipt_long:")


def kind(run) -> str:
    """Return what a run is: run, A/B, calibration; committed as a reference; measured otherwise than by workers."""
    purpose = {"ab": "A/B", "calibrate": "calibration"}.get(run.purpose, run.purpose)
    words = [purpose, "reference" if run.folder == "reference" else "", "" if run.harness == WORKER else run.harness]
    return ", ".join(word for word in words if word)


def show_abs(last: list[Ab]) -> None:
    """Show what the last A/Bs judged: what changed or could not be decided as rows, what stayed the same as a count."""
    st.subheader("Last A/B verdicts", anchor=False)
    if not last:
        st.markdown("No A/B in what is chosen. It measures two versions of the code in one job, and judges each case:")
        elements.command("gatebench ab main quick" + elements.store_option())
        return
    for ab in last:
        st.markdown(
            f"**{elements.plain(ab.run.label)}**, {elements.plain(ab.run.machine)}: {elements.plain(summed_up(ab))}"
        )
        for line in ab.unfit:
            st.warning(elements.plain(line), icon=":material/rule:")
    rows = pd.concat([verdict_rows(ab) for ab in last])
    if rows.empty:
        st.markdown("Nothing changed, and nothing was left undecided.")
        return
    elements.table(rows)
    st.caption(
        "What stayed the same is not listed. Change: head / base - 1, plus is slower or more, with its interval; what is "
        "counted exactly has none. n: pairs of blocks. Decided: faster, slower or same, at the level set before."
    )


def summed_up(ab: Ab) -> str:
    """Return an A/B in one line: its sides, how many cases came out how, how many were decided."""
    if ab.problem:
        return ab.problem
    base, head = (version(ab.sides[side]) for side in ("base", "head"))
    counts = ", ".join(f"{count} {word}" for word, count in ab.found["counts"].items())
    share = percent(ab.found["decided_share"])
    decided = f"decided {ab.found['decided']} of {ab.found['decidable']} ({share})"
    return f"{base} against {head}: {counted(ab.found['cases'], 'case')} in time: {counts}; {decided}."


def version(side: dict) -> str:
    """Return what a side of an A/B is called: what was given, and the commit."""
    commit = f" {side['sha'][:10]}" if side["sha"] else ""
    return f"{side['given']}{commit}{'+' if side['dirty'] else ''}"


def verdict_rows(ab: Ab) -> pd.DataFrame:
    """Return what changed or was not decided in an A/B as text, the worst first."""
    shown = ab.verdicts[ab.verdicts["verdict"].isin(_INTEREST)]
    shown = shown.sort_values("verdict", key=lambda column: column.map(_INTEREST.index), kind="stable")
    return pd.DataFrame(
        [
            {
                "case": row.case_id,
                "verdict": verdict_word(row.quantity, row.verdict),
                "decided": "yes" if row.decided else "no",
                "change (interval)": change_text(row.change, row.ci_low, row.ci_high),
                "n": "–" if is_missing(row.blocks) else str(int(row.blocks)),
                "quantity": QUANTITIES.get(row.quantity, row.quantity),
                "reason": "" if is_missing(row.reason) else row.reason,
                "A/B": ab.run.label,
            }
            for row in shown.itertuples()
        ]
    )  # fmt: skip


def show_longer(longer: pd.DataFrame) -> None:
    """Show how many cases took longer or less long than in the run before, by machine and suite."""
    st.subheader("Newest runs against the ones before", anchor=False)
    if longer.empty:
        st.markdown("No machine has two runs of one suite that share a case.")
        return
    table = pd.DataFrame({
        "machine": longer["machine"], "run": longer["label"], "run before": longer["label_before"],
        "cases in both": longer["compared"], "took longer": longer["slower"], "took less": longer["faster"],
        "median change": ["–" if is_missing(share) else percent(share, sign=True) for share in longer["median"]],
    })  # fmt: skip
    elements.wrapped(table)
    st.caption(
        "Took longer, took less: the 95 % interval of the case's change lies above or below 0, without a correction for how "
        "many cases there are. No verdict: where nearly all cases moved by the median change, the machine did, not the code."
    )


def show_news(store: Store, newest: pd.DataFrame) -> None:
    """Say per machine what its newest run holds that no earlier one held."""
    st.subheader("What is new", anchor=False)
    for run in newest.head(MOST_NEWS).itertuples():
        found = what_is_new(store, run)
        lines = "\n".join(f"- {elements.plain(line)}" for line in found or ["Nothing new since the run before."])
        st.markdown(f"**{elements.plain(run.machine)}**, {elements.plain(run.label)}\n{lines}")
    if len(newest) > MOST_NEWS:
        st.caption(f"{len(newest) - MOST_NEWS} more machines: choose them in the sidebar.")


def show_failed(failed: pd.DataFrame, runs: pd.DataFrame) -> None:
    """List what is wrong or failed with its reasons; say so where nothing is."""
    st.subheader("Wrong or failed, and why", anchor=False)
    if not (runs["cases"] > 0).any():
        st.markdown("Nothing was timed; the page Stability shows the runs.")
    elif failed.empty:
        st.markdown("None: every case that could run where it was measured last ran, and its results are right.")
    else:
        elements.wrapped(failed_alike(failed))
        st.caption("Of each case and machine the newest measurement; of an A/B the head's.")
    st.caption("Cases that an implementation never supports, or not on this machine, count as no failure.")


def failed_alike(failed: pd.DataFrame) -> pd.DataFrame:
    """Return what failed as text, a row for what has one reason, whatever the gate, mode and dtype: most cases first."""
    alike = failed.groupby(["status", "machine", "implementation", "reason"], sort=False)
    shown = alike.agg(cases=("cases", "sum"), gates=("gate", _listed), modes=("modes", _listed), dtypes=("dtype", _listed), last=("date", "max"))  # fmt: skip
    shown = shown.reset_index().sort_values("cases", ascending=False, kind="stable", ignore_index=True)
    shown = shown.assign(status=shown["status"].str.replace("_", " "), modes=shown["modes"].str.replace("_", " + "))
    return shown.rename(columns={"last": "last measured (UTC)"})


def _listed(values: pd.Series) -> str:
    """Return names, each once, without what is unknown; a value may hold several, joined by commas."""
    return ", ".join(dict.fromkeys(name for value in values.dropna() for name in str(value).split(", ")))


def show_stale(measured: pd.DataFrame) -> None:
    """List what has not been measured for long, the oldest first."""
    st.subheader("Stale", anchor=False)
    old = measured[measured["stale"]].sort_values("days", ascending=False, kind="stable")
    if old.empty:
        st.markdown(f"Nothing: whatever was ever measured was measured in the last {STALE_DAYS} days.")
        return
    table = pd.DataFrame({
        "gate": old["gate"], "implementation": old["implementation"], "machine": old["machine"], "cases": old["cases"],
        "last measured (UTC)": old["date"], "days ago": old["days"].astype(int), "commit": old["git_sha"].str[:10].fillna("unknown"),
    })  # fmt: skip
    elements.wrapped(table)

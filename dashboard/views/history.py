"""History: how one suite's cases moved from commit to commit, where two methods agree that they changed, what failed."""

import shlex

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.filters import Filters, ordered
from dashboard.history_rows import Lines, SuiteRuns, read_lines, read_suite, runs_with_history
from dashboard.loading import Store
from dashboard.raw_samples import show_samples
from dashboard.slices import MODES
from gatebench.analyze.change_points import LEAST_POINTS
from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.report.figures.history import (
    change_words,
    history_figure,
    value_words,
    version,
)
from gatebench.report.figures.history_grid import MOST_PANELS, history_grid
from gatebench.report.names import case_labels, date_label, natural, place_label
from gatebench.report.quantities import is_missing
from gatebench.words import counted

USUAL = "native or eager"
CASE, TO_RUN = "case", "to_run"  # the picks of a line and of one of its runs
POINT = ["case_id", "harness", "environment_class", "kind", "segment", "run_id"]  # what names a point
STEP = ["change", "change_low", "change_high", "p_value"]
KIND_WORDS = {"relative": "to a reference of the same run", "ab": "head against base", "time": "plain time"}


def page(store: Store, filters: Filters) -> None:
    """Ask the sidebar for suite, machine, gate, mode and reference, then show what moved."""
    runs = runs_with_history(store)
    suite, chosen = choose(store, filters, runs) if len(runs) else (None, None)
    elements.header("History", filters.notes)
    if chosen is None or suite is None:
        what = "of this suite on this machine can be read" if len(runs) else "of a suite in this store has a time"
        elements.nothing(f"No run {what}.", "gatebench run quick" + elements.store_option())
        return
    name, lines, words, query = chosen
    for problem in suite.problems:
        st.warning(elements.plain(problem), icon=":material/broken_image:")
    st.caption(
        elements.plain(f"{name} · {' · '.join(words)} · {len(suite.facts)} run{'' if len(suite.facts) == 1 else 's'}")
    )
    if lines.series.empty and lines.failed.empty:
        st.info("Nothing of what is chosen has a time in these runs.", icon=":material/info:")
    else:
        show_lines(lines, filters, store)
    show_environments(suite)
    command = shlex.join(["gatebench", "history", name, *query]) + elements.store_option()
    elements.ways_out(command, shown_data(lines), "history", filters)


def choose(store: Store, filters: Filters, runs: pd.DataFrame) -> tuple[SuiteRuns | None, tuple | None]:
    """Let the sidebar choose; returns the suite's runs, and (name, lines, words for a caption, options of the command)."""
    counts = runs["suite"].value_counts()
    # Most runs, most history; but what was asked for without a suite is something else each time.
    names = sorted(counts.index, key=lambda name: (name == COMMAND_LINE_SUITE, -counts[name], natural(name)))
    name = filters.one("suite", "Suite", names)
    runs = runs[runs["suite"] == name].assign(device=lambda rows: rows["device_name"].fillna("unknown machine"))
    runs = filters.slice(runs, "history_machine", "Machine", "device", always=True, order=ordered(*dict.fromkeys(runs["device"])))  # fmt: skip
    suite = read_suite(store, runs)
    if suite is None:
        return None, None
    rows = filters.slice(suite.measured, "gate", "Gate", "gate", always=True)
    rows = filters.slice(rows, "mode", "Mode", "mode", always=True, order=MODES)
    gate, mode = rows[["gate", "mode"]].iloc[0]
    every = sorted(set(rows["implementation"]))
    reference = filters.one("reference", "Divided by the time of", [USUAL, *every])
    lines = read_lines(store, suite, gate, mode, None if reference == USUAL else reference)
    kinds = sorted(set(lines.points["kind"]), key=ordered(*KIND_WORDS))
    kind = filters.one("kind", "Points", kinds, always=False, words=KIND_WORDS) if kinds else None
    kept = filters.many("implementation", "Implementations", every)
    words = [str(runs["device"].iloc[0]), gate, mode.replace("_", " + "), *([KIND_WORDS[kind]] if kind else [])]
    query = ["-g", gate, "-m", mode, *([] if len(kept) == len(every) else ["-i", ",".join(kept)])]
    query += [] if reference == USUAL else ["--baseline", reference]
    return suite, (name, _only(lines, kind, kept), words, query)


def _only(lines: Lines, kind: str | None, implementations: list[str]) -> Lines:
    """Return the lines of one kind of point and of some implementations."""
    tables = [
        table[(table["kind"] == kind) & table["implementation"].isin(implementations)] for table in (lines.points, lines.series)
    ]  # fmt: skip
    changed = lines.changed[(lines.changed["kind"] == kind) & lines.changed["case_id"].isin(set(tables[0]["case_id"]))]
    failed = lines.failed[lines.failed["implementation"].isin(implementations)]
    return Lines(tables[0], changed, failed, tables[1])


def show_lines(lines: Lines, filters: Filters, store: Store) -> None:
    """Show the chosen case large, the others small, and a row for each."""
    cases = by_interest(lines)
    moved, searched = lines.changed["case_id"].nunique(), lines.series["outcome"].ne("too few points").any()
    told = (
        f"{moved} of {counted(len(cases), 'case')} moved.** Shown first: what moved most."
        if searched
        else f"Whether any of {counted(len(cases), 'case')} moved cannot be told: each has fewer than {LEAST_POINTS} points.**"
    )
    st.markdown(f"**{told}")
    case = filters.pick(CASE, "Case (or click on its panel or row)", cases) or cases[0]
    show_case(lines, case, case_labels(cases)[case], filters, store)
    others = [name for name in cases if name != case]
    if others:
        st.subheader("The other cases", anchor=False)
        grid = history_grid(lines.points, lines.changed, others)
        alt = "the other cases, each relative to its first point"
        elements.figure(grid, "history_grid", alt, (CASE, lambda point: point["customdata"][2]))
        more = len(others) - MOST_PANELS
        st.caption("Each relative to its own first point." + (f" {more} more are in the table." if more > 0 else ""))
    if len(lines.series):
        table = numbers(lines)
        elements.table(table.drop(columns="case_id"), pick=(CASE, list(table["case_id"])))
        st.caption(
            "Changed: two methods (PELT, and a weighted step fit with an F-test) agree within one point; in brackets the 95 % "
            f"interval, given the place. No change is looked for in fewer than {LEAST_POINTS} points, nor across environments."
        )


def by_interest(lines: Lines) -> list[str]:
    """Return the cases, those that changed most first, then those with most points, then those that only failed."""
    sizes = lines.changed["change"].abs().groupby(lines.changed["case_id"]).max().to_dict()
    counts = lines.points["case_id"].value_counts().to_dict()
    every = dict.fromkeys([*lines.points["case_id"], *lines.failed["case_id"]])
    return sorted(every, key=lambda case: (-sizes.get(case, 0.0), -counts.get(case, 0), natural(case)))


def show_case(lines: Lines, case: str, name: str, filters: Filters, store: Store) -> None:
    """Show one case over commits, its changes in words, and the way to a run."""
    points, changed, failed = (table[table["case_id"] == case] for table in (lines.points, lines.changed, lines.failed))
    st.subheader(elements.plain(name), anchor=False)
    chart = history_figure(points, changed, failed)
    elements.figure(chart, "history", f"{case} over commits", (TO_RUN, lambda point: point["customdata"][1]))
    st.caption(
        "A point: the runs of one commit, mean of logs; band: 95 % interval, as far as the figure goes; a click opens the newest run's raw samples. Commits stand in the order in which they were "
        "measured: the dashboard asks no repository for their dates."
    )
    for step in changed.itertuples():
        before = version(step.before_git_sha, str(step.before_run_id))
        text = f"{change_words(step.change, step.low, step.high)}: between {before} and {version(step.git_sha, str(step.run_id))}"
        st.markdown("- " + elements.plain(text + f" (p = {step.p_value:.1g})"))
    show_run(case, {*points["run_id"], *failed["run_id"]}, filters, store)


def show_run(case: str, ids: set[str], filters: Filters, store: Store) -> None:
    """Let a click on a point or the box choose one of the case's runs; show its raw samples, and the way to its page."""
    runs = store.runs[store.runs["run_id"].isin(ids)]
    labels = dict(zip(runs["run_id"], runs["label"], strict=True))
    run_id = filters.pick(TO_RUN, "Look into a run of this case (or click on its point)", list(runs["run_id"]), labels)
    if run_id is None:
        return
    show_samples(runs[runs["run_id"] == run_id].iloc[0], case)
    target = {"run": labels[run_id], "case": case}
    elements.link("views/run.py", "Open it on the page Run", target, icon=":material/receipt_long:")


def shown_data(lines: Lines) -> pd.DataFrame:
    """Return the points and failures as rows to download: times in ns, else shares of the reference's or base's time.

    Columns beside those of analyze.history: status and reason; change, change_low, change_high (new level / old - 1) and
    p_value at the first point after a change.
    """
    points = lines.points.drop(columns=["log", "standard_error"]).assign(status="ok", reason=None)
    steps = lines.changed.rename(columns={"low": "change_low", "high": "change_high"})
    points = points.merge(steps[[*POINT, *STEP]], on=POINT, how="left")
    plain = (points["kind"] == "time").all()
    names = ("point_ns", "ci_low_ns", "ci_high_ns") if plain else ("relative_time", "ci_low", "ci_high")
    points = points.rename(columns=dict(zip(("value", "low", "high"), names, strict=True)))
    return pd.concat([points, lines.failed]) if len(lines.failed) else points


def numbers(lines: Lines) -> pd.DataFrame:
    """Return a row per line of history as text: newest value with interval, n, what is known of changes; and its case_id."""
    names = case_labels(list(dict.fromkeys(lines.series["case_id"])))
    steps = lines.changed.sort_values("change", key=lambda column: column.abs(), ascending=False)
    largest = steps.drop_duplicates(["case_id", "harness", "environment_class"]).set_index(["case_id", "harness", "environment_class"])  # fmt: skip
    rows = []
    for row in lines.series.itertuples():
        key = (row.case_id, row.harness, row.environment_class)
        step = largest.loc[key] if key in largest.index else None
        outcome = (
            f"{change_words(step['change'], step['low'], step['high'])} at {version(step['git_sha'], step['run_id'])}"
            if step is not None
            else {"too few points": f"too few points ({row.searched} of {LEAST_POINTS})"}.get(row.outcome, row.outcome)
        )
        rows.append({
            "case_id": row.case_id, "case": names[row.case_id], "environment": place_label(row.environment_class),
            "newest (95 %)": value_words(row.kind, row.value, row.low, row.high), "changed": outcome,
            "points (n)": row.points, "changes": row.changes,
            "divided by": "–" if is_missing(row.reference) else str(row.reference)[:12],
        })  # fmt: skip
    table = pd.DataFrame(rows).sort_values("changes", ascending=False, kind="stable")
    return table.drop(columns="environment") if table["environment"].nunique() == 1 else table


def show_environments(suite: SuiteRuns) -> None:
    """List the environment classes with what differs from the one before, where there are several."""
    if len(suite.environments) < 2:
        return
    st.subheader("Environments", anchor=False)
    rows = [
        {
            "environment": place_label(entry["environment_class"]), "since (UTC)": date_label(entry["since"]), "runs": entry["runs"],
            "what differs from the one before": "; ".join(
                f"{row['what']} {row['before']} → {row['now']}" for row in entry["differs"]
            ) or ("the first" if number == 0 else "not told"),
        }
        for number, entry in enumerate(suite.environments)
    ]  # fmt: skip
    elements.wrapped(pd.DataFrame(rows))
    st.caption("A new environment starts a new line: no change is looked for across it.")

"""Print the history of a suite: a row per case, what changed and where, and how the environment changed."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from gatebench.analyze.change_points import LEAST_POINTS
from gatebench.analyze.history import SERIES, changes, history, series
from gatebench.comparable import comparable_facts, differences
from gatebench.errors import StoreError, UserError, unknown
from gatebench.report.choosing import Choice, choose_rows, expand_gates
from gatebench.report.ci.escapes import escaped
from gatebench.report.ci.words import change_text
from gatebench.report.names import date_label, place_label
from gatebench.report.quantities import is_missing, significant, time_text
from gatebench.report.run_facts import part, place, sound_environment
from gatebench.report.table import Block
from gatebench.report.terminal import print_block, print_json, print_line
from gatebench.store.read import Results, Run
from gatebench.words import counted

CommitTimes = Callable[[Iterable[str]], Mapping[str, str]]
_WORDS = {
    "relative": "time as a share of {reference}'s in the same run, below 1 is faster",
    "ab": "head against its base in the same job",
    "time": "plain time, for there is no reference in the same run: other jobs, other times",
}


def print_history(
    results: Results, suite: str, choice: Choice, baseline: str | None, commit_times: CommitTimes, as_json: bool
) -> None:
    """Print the history of one suite in a store; raises UserError for a suite or names that the store does not hold.

    commit_times: from commits to their dates, as far as the repository at hand knows them.
    """
    runs = of_suite(results, suite)
    facts = run_facts(runs.folders, commit_times)
    measurements = without_controls(runs)
    if baseline is not None and baseline not in set(measurements["implementation"]):
        raise unknown("--baseline", "implementation of this suite's runs", baseline, measurements["implementation"].unique())  # fmt: skip
    gates = expand_gates(choice, runs.folders)
    points = choose_rows(history(facts, measurements, runs.samples, runs.verdicts, baseline), gates, choice)
    changed = changes(points)
    lines = series(points, changed)
    environments = environment_changes(runs.folders)
    for problem in runs.problems:
        print(escaped(problem), file=sys.stderr)
    if as_json:
        tables = {"series": lines, "changes": changed, "points": points}
        rows = {name: _plain_times(table).to_dict("records") for name, table in tables.items()}
        print_json({"suite": suite, "runs": facts.to_dict("records"), "environments": environments, **rows})
        return
    for block in history_blocks(lines, changed):
        print_block(block)
    if len(environments) > 1:
        print_block(_environment_block(environments))
    _print_footer(suite, runs, lines)


def of_suite(results: Results, suite: str) -> Results:
    """Return the part of a store that holds one suite's runs, so that no other run is read.

    Calibrations are left out: both sides are the same code. A run of two versions whose plan cannot be read is left out and
    named in `problems`. Raises UserError where no run is left.
    """
    names = {run.run_id: (run.manifest.get("suite") or {}).get("name") for run in results.folders}
    if suite not in names.values():
        raise unknown("history", "suite of this store", suite, {str(name) for name in names.values() if name})
    kept, problems = [], list(results.problems)
    for run in results.folders:
        if names[run.run_id] != suite or run.purpose == "calibrate":
            continue
        try:
            if run.purpose == "ab":
                run.plan()
            kept.append(run)
        except StoreError as error:
            problems.append(str(error))
    if not kept:
        accepted = "runs of `gatebench run` and `gatebench ab` have one"
        raise UserError("history", f"no run of suite {suite} has a history", accepted, "; ".join(problems))
    return Results(tuple(kept), problems)


def run_facts(runs: Iterable[Run], commit_times: CommitTimes) -> pd.DataFrame:
    """Return what analyze.history needs of each run: its version of the code, when that was, and its environment class."""
    rows = [version_facts(run.run_id, run.manifest, run.plan() if run.purpose == "ab" else {}) for run in runs]
    times = commit_times(row["git_sha"] for row in rows if row["git_sha"])
    return pd.DataFrame([{**row, "commit_utc": times.get(row["git_sha"])} for row in rows])


def version_facts(run_id: str, manifest: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return one run's row for analyze.history, without the commit's date; plan: of an A/B run, else empty."""
    sides = plan.get("sides") or {}
    code = sides.get("head") or part(manifest, "git")  # of an A/B run what it measured, not who measured it
    listed = manifest.get("plugins")
    found = [plugin for plugin in listed if isinstance(plugin, Mapping)] if isinstance(listed, list) else []
    plugins = sorted(str(plugin.get("sha256") or plugin.get("version")) for plugin in found)
    return {
        "run_id": run_id, "created_utc": manifest.get("created_utc"), "git_sha": code.get("sha"), "git_dirty": code.get("dirty"),
        "base_sha": (sides.get("base") or {}).get("sha"), "environment_class": place(run_id, manifest),
        "plugins": hashlib.sha256(" ".join(plugins).encode()).hexdigest()[:8] if plugins else None,
    }  # fmt: skip


def without_controls(runs: Results) -> pd.DataFrame:
    """Return the measurements without an A/B's controls: nobody's code is measured by them."""
    controls = {(run.run_id, case) for run in runs.folders if run.purpose == "ab" for case in run.plan()["controls"]}
    keys = zip(runs.measurements["run_id"], runs.measurements["case_id"], strict=True)
    return runs.measurements.loc[[key not in controls for key in keys]]  # without .loc an empty list means columns


def environment_changes(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Return each environment class, oldest first: its first run, how many, and what differs from the one before it."""
    first: dict[str, Run] = {}
    counts: dict[str, int] = {}
    for run in runs:
        name = place(run.run_id, run.manifest)
        first.setdefault(name, run)
        counts[name] = counts.get(name, 0) + 1
    return environments_of((run.run_id, run.manifest, counts[name]) for name, run in first.items())


def environments_of(firsts: Iterable[tuple[str, Mapping[str, Any], int]]) -> list[dict[str, Any]]:
    """Return the rows of `environment_changes`, from each class's first run, its manifest, and how many runs the class has."""
    found: list[dict[str, Any]] = []
    before: Mapping[str, Any] | None = None
    for run_id, manifest, runs in firsts:
        environment = sound_environment(manifest)
        facts = comparable_facts(environment)
        differs = [] if before is None else differences(before, facts)
        found.append({
            "environment_class": place(run_id, manifest), "device_name": environment.get("device_name"),
            "since": manifest.get("created_utc"), "run_id": run_id, "runs": runs,
            "differs": [{"what": what, "before": old, "now": new} for what, old, new in differs],
        })  # fmt: skip
        before = facts
    return found


def history_blocks(lines: pd.DataFrame, changed: pd.DataFrame) -> list[Block]:
    """Return a Block per environment class, way of measuring and kind of point: a row per case."""
    found = []
    steps = {key: list(group.itertuples()) for key, group in changed.groupby(SERIES, dropna=False)}
    keys = ["environment_class", "harness", "kind"]
    for (environment, harness, kind), group in lines.groupby(keys, sort=False, dropna=False):
        rows = [
            (row.case_id, f"{row.points}", _value(row), _outcome(row, steps.get(tuple(getattr(row, name) for name in SERIES), [])))
            for row in group.itertuples()
        ]  # fmt: skip
        references = ", ".join(dict.fromkeys(str(name)[:12] for name in group["reference"].dropna()))
        title = f"environment {place_label(environment)}: {_WORDS[kind].format(reference=references or 'its base')}"
        title += "" if harness == "worker" else f", harness {harness}"
        names = {tuple(getattr(row, name) for name in SERIES) for row in group.itertuples()}
        notes = dict.fromkeys(_where(step) for name in names for step in steps.get(name, []))
        header = ("case", "points", "newest", "changed")
        found.append(Block(title, header, tuple(rows), tuple(sorted(notes)), numbers=False, unfolded=True))
    return found


def _value(row: Any) -> str:
    """Return the newest point: a share of the reference's time, a change against the base, or a time."""
    doubt = " !" if row.inconclusive else ""
    if row.kind == "ab":
        verdict = "" if is_missing(row.verdict) else f" {row.verdict}"
        return change_text(row.value - 1, row.low - 1, row.high - 1) + verdict + doubt
    if row.kind == "time":
        return time_text(row.value) + doubt
    interval = "" if is_missing(row.low) else f" [{significant(row.low, 2)}, {significant(row.high, 2)}]"
    return f"{significant(row.value)}{interval}{doubt}"


def _outcome(row: Any, steps: list[Any]) -> str:
    if steps:
        return "; ".join(
            f"{change_text(step.change, step.low, step.high)} at {_version(step.git_sha, step.run_id)}"
            for step in steps
        )
    return f"too few points ({row.searched} of {LEAST_POINTS})" if row.outcome == "too few points" else "no"


def _version(sha: Any, run_id: str) -> str:
    return f"run {run_id[-4:]}" if is_missing(sha) else f"{sha[:9]}"


def _where(step: Any) -> str:
    """Say between which versions and runs a change lies."""
    before, after = _version(step.before_git_sha, step.before_run_id), _version(step.git_sha, step.run_id)
    return f"{after}: run {step.run_id}; the version measured before it is {before}, run {step.before_run_id}"


def _environment_block(environments: list[dict[str, Any]]) -> Block:
    rows = []
    for entry in environments:
        differs = "; ".join(f"{row['what']} {row['before']} → {row['now']}" for row in entry["differs"])
        first = "the first" if entry is environments[0] else "not told"
        rows.append(
            (place_label(entry["environment_class"]), date_label(entry["since"]), f"{entry['runs']}", differs or first)
        )
    header = ("environment", "since", "runs", "what differs from the one before")
    notes = ("a new environment starts a new line of history: no change is looked for across it",)
    return Block("Environments", header, tuple(rows), notes, numbers=False)


def _plain_times(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose times are text, as JSON wants them."""
    return table.assign(time_utc=table["time_utc"].astype(str)) if "time_utc" in table else table


def _print_footer(suite: str, runs: Results, lines: pd.DataFrame) -> None:
    counts = lines["outcome"].value_counts()
    words = ", ".join(f"{counts[name]} {name}" for name in ("changed", "no change", "too few points") if name in counts)
    count = counted(len(runs.folders), "run")
    print_line(f"suite {suite}: {count}; of {len(lines)} lines of history {words or 'none'}")
    print_line("changed: PELT and a weighted step fit agree within one point; [ ] 95 % interval, given the place")
    if (lines["kind"] == "relative").any():
        print_line("where the reference itself became slower, all that is divided by it seems faster")
    if lines["inconclusive"].any():
        print_line("! inconclusive: others disturbed over a fifth of its samples")

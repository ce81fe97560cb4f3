"""The two sides of the page Compare: what the sidebar asks for each kind of them, and what comes of it."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from dashboard import compare_rows, elements
from dashboard.compare_rows import narrow
from dashboard.filters import Filters, ordered
from dashboard.loading import Store
from dashboard.slices import DTYPES, choose_run, command_of_run
from gatebench.analyze.compare import choose_baseline
from gatebench.analyze.sides import Sides, of_dtypes, of_implementations, of_runs, of_versions
from gatebench.analyze.verdicts import controls
from gatebench.errors import StoreError
from gatebench.report.ci.words import QUANTITIES
from gatebench.report.two_runs import ACROSS, WARNING
from gatebench.store.read import read_run

KINDS = {
    "implementation": "implementations", "run": "runs", "commit": "commits", "dtype": "dtypes", "machine": "machines",
}  # fmt: skip
_ALIKE = ["place", "harness", "purpose"]  # of runs whose times can be compared
_MEASURE_AB = "gatebench ab main quick"
TWO_RUNS = "two runs"  # in place of an A/B run
_VERDICTS = "Verdicts are those that the A/B stored: a sign-flip test over paired blocks, A the base and B the head."


@dataclass(frozen=True)
class Comparison:
    """Two sides as chosen: their names, their runs (rows of Store.runs), what the numbers are worth, and the command."""

    sides: Sides
    names: tuple[str, str]
    runs: tuple[pd.Series, pd.Series]
    command: str
    worth: str = ""
    quantity: str = "time"
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nothing:
    """Why there are no two such sides in this store, and the command that changes it."""

    what: str
    remedy: str


def choose(store: Store, filters: Filters) -> Comparison | Nothing:
    """Let the sidebar choose what kind the sides are of, and the sides."""
    kind = filters.one("sides", "Sides by", list(KINDS), words=KINDS)
    runs = compare_rows.measured_runs(store)
    if runs.empty:
        return Nothing("No run in this store has a measurement.", "gatebench run quick")
    return _CHOOSERS[kind](store, filters, runs)


def _implementations(store: Store, filters: Filters, runs: pd.DataFrame) -> Comparison | Nothing:
    run = choose_run(filters, compare_rows.last(runs, compare_rows.counted(store, runs, "implementation") < 2))
    rows = compare_rows.measurements(store, run["run_id"])
    rows = filters.slice(rows, "side", "Side", "side", order=ordered("run", "head", "base"))
    timed = rows[rows["time_ns"].notna()]
    if timed.empty:
        return Nothing("Nothing in this run has a time.", f"gatebench compare {run['run_id']}")
    names = sorted(set(timed["implementation"]), key=ordered(choose_baseline(timed)))
    a = filters.one("baseline", "A: baseline", names)
    # The one with the most times first; those that never ran here are offered too, for their reasons.
    counts = rows.assign(timed=rows["time_ns"].notna()).groupby("competitor", sort=False)["timed"].sum()
    others = [str(name) for name in counts.sort_values(ascending=False, kind="stable").index if name != a]
    if not others:
        what = f"This run has one implementation, {a}; a second one is needed."
        return Nothing(elements.plain(what), "gatebench run quick")
    b = filters.one("competitor", "B", others)
    narrowed = narrow(filters, [(rows, store.rows("blocks", run["run_id"]))], without=("implementation",))
    ((kept, blocks),) = narrowed.frames
    other = rows.loc[rows["competitor"] == b, ["implementation", "implementation_options"]].fillna("{}").iloc[0]
    sides = of_implementations(kept, blocks, a, (other.iloc[0], other.iloc[1]))
    command = command_of_run(run, "--baseline", a, "-i", a, "-i", other.iloc[0], *narrowed.words())
    worth = "Speed-ups are over paired blocks: both sides were measured in the same rounds of the same run."
    return Comparison(sides, (a, b), (run, run), command, worth)


def _dtypes(store: Store, filters: Filters, runs: pd.DataFrame) -> Comparison | Nothing:
    several = runs[compare_rows.counted(store, runs, "dtype") > 1]
    if several.empty:
        return Nothing(
            "No run in this store was measured in two dtypes.", "gatebench run -g gru --dtype float32,bfloat16"
        )
    run = choose_run(filters, several)
    rows = compare_rows.measurements(store, run["run_id"])
    dtypes = sorted(set(rows.loc[rows["time_ns"].notna(), "dtype"]), key=DTYPES)
    a = filters.one("dtype_a", "A: dtype", dtypes)
    b = filters.one("dtype_b", "B: dtype", [name for name in dtypes if name != a])
    narrowed = narrow(filters, [(rows, store.rows("blocks", run["run_id"]))], without=("dtype",))
    ((kept, blocks),) = narrowed.frames
    command = command_of_run(run, "--metrics", "time", *narrowed.words())
    worth = "Speed-ups are over blocks of the same processes; within a block the two dtypes were measured one after the other."
    return Comparison(of_dtypes(kept, blocks, a, b), (a, b), (run, run), command, worth)


def _runs(store: Store, filters: Filters, runs: pd.DataFrame) -> Comparison | Nothing:
    paired = runs[runs.groupby(_ALIKE, dropna=False)["run_id"].transform("size") > 1]
    if paired.empty:
        what = "This store has no two runs of one machine. Measure once more, then compare:"
        return Nothing(what, "gatebench run quick")
    b = _choose_run(filters, "run", "B: run", paired)
    a = _choose_run(filters, "run_a", "A: run before", _nearest_first(paired[_alike(paired, b, _ALIKE)], b))
    return _two_runs(store, filters, a, b, across=False)


def _machines(store: Store, filters: Filters, runs: pd.DataFrame) -> Comparison | Nothing:
    paired = runs[runs.groupby(["harness", "purpose"])["place"].transform("nunique") > 1]
    if paired.empty:
        what = "This store has runs of one machine only. Measure on another one, and bring its run here:"
        return Nothing(what, "gatebench import FILE")
    b = _choose_run(filters, "run", "B: run", paired)
    others = paired[_alike(paired, b, ["harness", "purpose"]) & ~_alike(paired, b, ["place"])]
    a = _choose_run(filters, "machine_a", "A: run of another machine", _nearest_first(others, b))
    return _two_runs(store, filters, a, b, across=True)


def _commits(store: Store, filters: Filters, runs: pd.DataFrame) -> Comparison | Nothing:
    compared = [run for _, run in runs[runs["purpose"] == "ab"].iterrows()]
    words = {run["run_id"]: f"A/B {run['label']}" for run in compared} | {TWO_RUNS: "two runs of two commits"}
    chosen = filters.one("ab", "Measured by", list(words), words=words, always=bool(compared))
    if chosen != TWO_RUNS:
        return _versions(store, filters, next(run for run in compared if run["run_id"] == chosen))
    # The newest run of each commit on each machine, with a second commit to compare it with.
    place = [*_ALIKE, "suite"]
    newest = runs[runs["git_sha"].notna() & (runs["purpose"] == "run")].drop_duplicates(
        [*place, "git_sha", "git_dirty"]
    )
    pairs = newest[newest.groupby(place, dropna=False)["git_sha"].transform("nunique") > 1]
    if pairs.empty:
        what = "This store has no A/B run, and no two commits measured with one suite on one machine."
        return Nothing(what, _MEASURE_AB)
    b = _choose_run(filters, "commit_b", "B: commit", pairs, commits=True)
    others = pairs[_alike(pairs, b, place) & (pairs["git_sha"] != b["git_sha"])]
    a = _choose_run(filters, "commit_a", "A: commit before", _nearest_first(others, b), commits=True)
    return _two_runs(store, filters, a, b, across=False, commits=True)


def _versions(store: Store, filters: Filters, run: pd.Series) -> Comparison | Nothing:
    command = command_of_run(run)
    try:
        plan = read_run(Path(run["path"])).plan()
    except StoreError as error:
        return Nothing(elements.plain(str(error)), _MEASURE_AB)
    judged = store.rows("verdicts", run["run_id"])
    quantities = [name for name in QUANTITIES if len(judged) and name in set(judged["quantity"])]
    if not quantities:
        return Nothing("This A/B run has no verdicts.", command)
    quantity = filters.one("quantity", "Quantity", quantities, words=QUANTITIES)
    rows = compare_rows.measurements(store, run["run_id"])
    narrowed = narrow(filters, [(rows, pd.DataFrame())])
    ((kept, _),) = narrowed.frames
    shown = judged[judged["case_id"].isin(set(kept["case_id"]))] if narrowed.chosen else judged
    sides = of_versions(shown, rows, quantity, plan["controls"])
    names = tuple(_version(plan["sides"][side]) for side in ("base", "head"))
    return Comparison(sides, names, (run, run), command, _VERDICTS, quantity, tuple(controls(plan, judged)))


def _version(side: dict) -> str:
    commit = f" {side['sha'][:10]}" if side["sha"] else ""
    return f"{side['given']}{commit}{' with uncommitted changes' if side['dirty'] else ''}"


def _two_runs(
    store: Store, filters: Filters, a: pd.Series, b: pd.Series, across: bool, commits: bool = False
) -> Comparison:
    frames = [(compare_rows.measurements(store, run["run_id"]), store.rows("blocks", run["run_id"])) for run in (a, b)]
    narrowed = narrow(filters, frames)
    across_machines = ["--across-machines"] if across else []
    words = ["gatebench", "compare", a["run_id"], b["run_id"], *across_machines, *narrowed.words()]
    names = tuple(_commit_name(dict(run)) if commits else run["label"] + _where(dict(run), across) for run in (a, b))
    return Comparison(
        of_runs(*narrowed.frames, across), names, (a, b), shlex.join(words), ACROSS if across else WARNING
    )


def _where(run: Mapping, across: bool) -> str:
    return f" on {run['machine']}" if across else _commit(run)


def _commit(run: Mapping) -> str:
    sha = run["git_sha"]
    return f", commit {_short_sha(run)}" if isinstance(sha, str) else ""


def _short_sha(run: Mapping) -> str:
    return f"{str(run['git_sha'])[:10]}{'+' if run['git_dirty'] is True or run['git_dirty'] == 1 else ''}"


def _commit_name(run: Mapping) -> str:
    return f"{_short_sha(run)}, {run['label']}, {run['machine']}"


def _alike(runs: pd.DataFrame, run: pd.Series, columns: list[str]) -> pd.Series:
    """Return which other runs have the same in these columns; what is not known is alike to what is not known."""
    found = runs["run_id"] != run["run_id"]
    for column in columns:
        found &= runs[column].fillna("") == (run[column] if isinstance(run[column], str) else "")
    return found


def _nearest_first(runs: pd.DataFrame, run: pd.Series) -> pd.DataFrame:
    """Return runs, first those of the same suite before this one, newest first; then other suites, then later ones."""
    suite = run["suite"] if isinstance(run["suite"], str) else ""
    order = runs.assign(later=runs["run_id"] > run["run_id"], other=runs["suite"].fillna("") != suite)
    return order.sort_values(["later", "other", "run_id"], ascending=[True, True, False]).drop(
        columns=["later", "other"]
    )


def _choose_run(filters: Filters, key: str, label: str, runs: pd.DataFrame, commits: bool = False) -> pd.Series:
    named = runs[["label", "machine", "git_sha", "git_dirty"]].to_dict("records")  # by far faster than rows as Series
    names = [_commit_name(run) if commits else run["label"] + _where(run, key == "machine_a") for run in named]
    run_id = filters.one(key, label, list(runs["run_id"]), words=dict(zip(runs["run_id"], names, strict=True)))
    return runs[runs["run_id"] == run_id].iloc[0]


_CHOOSERS = {
    "implementation": _implementations, "run": _runs, "commit": _commits, "dtype": _dtypes, "machine": _machines,
}  # fmt: skip

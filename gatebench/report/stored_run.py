"""Print one stored run: its table, a row per case, its stability; as text or JSON."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.text import Text

from gatebench.analyze.compare import compare, pay_back_calls
from gatebench.errors import UserError, unknown
from gatebench.report.stability_blocks import failures, stability_blocks, stability_json
from gatebench.report.table import Block, blocks, fastest, long_table
from gatebench.report.terminal import console, print_block, print_json
from gatebench.selection import FAMILY, expand_families, matches_glob
from gatebench.store.read import WORKER, Results, load

HARNESSES = {
    "pytest": "one process for all, case by case",
    "inline": "one process for all",
    "imported": "measured elsewhere by other means",
}
_MANY_TABLES = 4  # more of them scroll out of sight: a summary follows


@dataclass(frozen=True)
class View:
    """What of a run is shown, and how. Hiding rows changes no number of the others."""

    baseline: str | None = None
    gates: tuple[str, ...] = ()
    implementations: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    glob: str = ""
    long: bool = False
    metrics: tuple[str, ...] = ()
    as_json: bool = False


def print_run(folder: Path, view: View, fresh: bool = False) -> Results:
    """Print the table of a run folder and return what was read; raises UserError for names that the run lacks.

    fresh: the run has just ended, so a baseline that came to nothing is replaced by the default one, with a note.
    """
    results = load(folder)
    measurements, samples, stability = results.measurements, results.samples, results.stability
    if results.problems:
        raise UserError(*results.problems[0].split(": ", 1))
    timed = measurements.loc[measurements["time_ns"].notna(), "implementation"]
    baseline = view.baseline
    if baseline is not None and baseline not in set(timed):
        if not fresh:
            raise unknown("--baseline", "timed implementation of this run", baseline, timed.unique())
        print(f"--baseline: {baseline} has no time in this run; the default baseline stands in", file=sys.stderr)
        baseline = None
    gates = _expand(view.gates, results)
    compared = compare(measurements, samples, baseline)
    compared = _chosen(compared.assign(pay_back_calls=pay_back_calls(compared)), gates, view)
    if gates or len(compared) < len(measurements):
        stability = stability[stability["gate"].isin([*gates, *compared["gate"]])]
    if view.as_json:
        rows = compared.to_dict("records")
        print_json({"run_id": results.folders[0].run_id, "measurements": rows, **stability_json(stability)})
        return results
    if not len(measurements):
        _print_stability_blocks(stability)
    elif view.long or view.metrics:
        print_block(long_table(compared, view.metrics))
    else:
        tables = blocks(compared, samples, stability)
        for block in tables:
            print_block(block)
        if len(tables) > _MANY_TABLES:
            print_block(fastest(compared))
        if len(failed := failures(stability)):
            print_block(Block("Stability that came to nothing", (), (), failed))
    _print_footer(results, compared)
    return results


def print_stability(folder: Path, as_json: bool) -> Results:
    """Print the stability table of a run folder and return what was read."""
    results = load(folder)
    if as_json:
        print_json({"run_id": results.folders[0].run_id, **stability_json(results.stability)})
        return results
    _print_stability_blocks(results.stability)
    _print_footer(results, results.measurements)
    return results


def _print_stability_blocks(stability: pd.DataFrame) -> None:
    for block in stability_blocks(stability):
        print_block(block)


def _expand(gates: tuple[str, ...], results: Results) -> tuple[str, ...]:
    """Return the gates' names; `family:<name>` stands for the run's gates of that family."""
    families = {gate["name"]: gate["family"] for gate in results.folders[0].gates()}
    choices = [*families, *(FAMILY + family for family in sorted(set(families.values())))]
    return tuple(expand_families(gates, families, lambda name: unknown("-g", "gate of this run", name, choices)))


def _chosen(compared: pd.DataFrame, gates: tuple[str, ...], view: View) -> pd.DataFrame:
    """Return the rows that the view shows; raises UserError for a name that the run does not hold."""
    chosen = compared
    for flag, column, wanted in (("-i", "implementation", view.implementations), ("-m", "mode", view.modes)):
        for name in wanted:
            if name not in set(compared[column]):
                raise unknown(flag, f"{column} of this run", name, compared[column].unique())
        if wanted:
            chosen = chosen[chosen[column].isin(wanted)]
    if gates:
        chosen = chosen[chosen["gate"].isin(gates)]
    if view.glob:
        chosen = chosen[[matches_glob(case_id, view.glob) for case_id in chosen["case_id"]]]
        if chosen.empty:
            raise UserError("-k", f"{view.glob!r} matches no case of this run", "a glob on case ids", "see --long")
    return chosen.reset_index(drop=True)


def _print_footer(results: Results, shown: pd.DataFrame) -> None:
    run = results.folders[0]
    counts = shown["status"].value_counts()
    words = ", ".join(f"{count} {str(status).replace('_', ' ')}" for status, count in counts.items())
    hidden = len(results.measurements) - len(shown)
    words = words or ("no case is left" if hidden else "stability only")
    words += f" ({hidden} more hidden)" if hidden else ""
    out = console()
    if shown["time_ns"].notna().any():
        legend = "* fastest   = tied with it   ~ unsettled, or machine busy   [ ] 95 % interval over blocks"
        out.print(Text(legend + ("   ? one block: ties unknown" if (shown["blocks"] == 1).any() else "")))
    elif len(shown):
        out.print(Text("Nothing was timed: the reasons are above."))
    elapsed = run.manifest.get("elapsed") or {}
    took = f", in {elapsed['total_s']:.0f} s" if elapsed else ""
    if elapsed and len(results.measurements):
        took += f", {elapsed['compile_s']:.0f} s of them compiling"
    out.print(Text(f"run {run.run_id}: {words}{took}"))
    harness = results.runs["harness"].iloc[0]
    if harness != WORKER:
        out.print(
            Text(
                f"harness {harness}: {HARNESSES.get(harness, 'measured otherwise')}; not comparable with runs of `gatebench run`"
            )
        )
    if run.manifest["status"] == "partial":
        rest = (
            f"`gatebench run --resume {run.run_id}` measures the rest" if harness == WORKER else "the rest is missing"
        )
        out.print(Text(f"interrupted: {rest}"))
    out.print(Text(f"stored in {_relative(run.path)}"))


def _relative(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

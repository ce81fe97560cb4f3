"""Print one stored run: its table, a row per case, its stability; as text or JSON."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from gatebench.analyze.compare import compare, geometric_means, pay_back_calls
from gatebench.errors import UserError, unknown
from gatebench.report.ab_run import ab_document, print_ab
from gatebench.report.calibration import print_calibration
from gatebench.report.choosing import Choice, choose_rows, expand_gates
from gatebench.report.ci.annotations import run_annotations
from gatebench.report.ci.junit import run_junit
from gatebench.report.ci.outputs import Outputs, write_outputs
from gatebench.report.means import check_groups, means_block
from gatebench.report.stability_blocks import failures, stability_blocks, stability_json
from gatebench.report.stored_markdown import page_of_results
from gatebench.report.table import Block, blocks, fastest, long_table, wide_legend
from gatebench.report.terminal import print_block, print_json, print_line, relative
from gatebench.store.read import WORKER, Results, Run, load

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
    by: tuple[str, ...] = ()  # columns to group geometric means by, in place of the tables


def print_run(folder: Path, view: View, fresh: bool = False) -> Results:
    """Print the table of a run folder and return what was read; raises UserError for names that the run lacks.

    fresh: the run has just ended, so a baseline that came to nothing is replaced by the default one, with a note.
    """
    results = load(folder)
    results.require("measurements", "samples", "stability")
    measurements, samples, stability = results.measurements, results.samples, results.stability
    if results.folders[0].purpose != "run":
        _print_alike(results.folders[0], view)
        return results
    timed = measurements.loc[measurements["time_ns"].notna(), "implementation"]
    baseline = view.baseline
    if baseline is not None and baseline not in set(timed):
        if not fresh:
            raise unknown("--baseline", "timed implementation of this run", baseline, timed.unique())
        print(f"--baseline: {baseline} has no time in this run; the default baseline stands in", file=sys.stderr)
        baseline = None
    by = check_groups(view.by)
    choice = Choice(view.gates, view.implementations, view.modes, view.glob)
    gates = expand_gates(choice, results.folders)
    compared = compare(measurements, samples, baseline)
    compared = choose_rows(compared.assign(pay_back_calls=pay_back_calls(compared)), gates, choice)
    if gates or len(compared) < len(measurements):
        stability = stability[stability["gate"].isin([*gates, *compared["gate"]])]
    if view.as_json:
        means = geometric_means(compared, samples, by).to_dict("records") if by else []
        grouped = {"by": by, "geometric_means": means} if by else {}
        rows = compared.to_dict("records")
        print_json({"run_id": results.folders[0].run_id, "measurements": rows, **grouped, **stability_json(stability)})
        return results
    shown: list[Block] = []
    if not len(measurements):
        shown += stability_blocks(stability)
    elif view.long or view.metrics:
        shown.append(long_table(compared, view.metrics))
    elif not by:
        shown += blocks(compared, samples, stability)
        if len(shown) > _MANY_TABLES:
            shown.append(fastest(compared))
        if len(failed := failures(stability)):
            shown.append(Block("Stability that came to nothing", (), (), failed))
    if by:
        shown.append(means_block(compared, samples, by))
    for block in shown:
        print_block(block)
    legend = _legend(compared) if view.long or not by else "[ ] 95 % interval over blocks"
    _print_footer(results, compared, f"{legend}\n{wide_legend(shown)}".strip())
    return results


def _print_alike(run: Run, view: View) -> None:
    """Print a run that compares no implementations: of two versions of the code, or of one against itself."""
    for flag, given in (("--baseline", view.baseline), ("-g", view.gates), ("-i", view.implementations), ("-m", view.modes), ("-k", view.glob)):  # fmt: skip
        if given:
            what = f"run {run.run_id} compares no implementations ({run.purpose})"
            raise UserError(flag, what, "it goes with runs of `gatebench run`", f"drop {flag}")
    if run.purpose == "ab":
        print_ab(run, ab_document(run), view.long, view.as_json)
    else:
        print_calibration(run, view.as_json)


def write_run_outputs(results: Results, outputs: Outputs) -> None:
    """Write the Markdown and JUnit of a run that were asked for."""
    manifest, measurements = results.folders[0].manifest, results.measurements

    write_outputs(
        outputs,
        lambda: page_of_results(results),
        lambda: run_junit(measurements, manifest),
        lambda: run_annotations(measurements),
    )


def print_stability(folder: Path, as_json: bool) -> Results:
    """Print the stability table of a run folder and return what was read."""
    results = load(folder)
    if as_json:
        print_json({"run_id": results.folders[0].run_id, **stability_json(results.stability)})
        return results
    for block in stability_blocks(results.stability):
        print_block(block)
    _print_footer(results, results.measurements, "")
    return results


def _legend(shown: pd.DataFrame) -> str:
    """Return what the marks of a table mean; those that are rare only where they stand."""
    legend = "* fastest   = tied with it   ~ unsettled, or machine busy   [ ] 95 % interval over blocks"
    legend += "   ? one block: ties unknown" if (shown["blocks"] == 1).any() else ""
    if shown["inconclusive"].any():
        legend += "\n! inconclusive: others disturbed over a fifth of its samples; it is nobody's win or loss"
    return legend


def _print_footer(results: Results, shown: pd.DataFrame, legend: str) -> None:
    run = results.folders[0]
    counts = shown["status"].value_counts()
    words = ", ".join(f"{count} {str(status).replace('_', ' ')}" for status, count in counts.items())
    hidden = len(results.measurements) - len(shown)
    words = words or ("no case is left" if hidden else "stability only")
    words += f" ({hidden} more hidden)" if hidden else ""
    timed = shown["time_ns"].notna().any()
    if legend and timed:
        for line in legend.splitlines():
            print_line(line)
    elif len(shown) and not timed:
        print_line("Nothing was timed: the reasons are above.")
    elapsed = run.manifest.get("elapsed") or {}
    took = f", in {elapsed['total_s']:.0f} s" if elapsed else ""
    if elapsed and len(results.measurements):
        took += f", {elapsed['compile_s']:.0f} s of them compiling"
    print_line(f"run {run.run_id}: {words}{took}")
    harness = results.runs["harness"].iloc[0]
    if harness != WORKER:
        how = HARNESSES.get(harness, "measured otherwise")
        print_line(f"harness {harness}: {how}; not comparable with runs of `gatebench run`")
    if run.manifest["status"] == "partial":
        rest = (
            f"`gatebench run --resume {run.run_id}` measures the rest" if harness == WORKER else "the rest is missing"
        )
        print_line(f"interrupted: {rest}")
    print_line(f"stored in {relative(run.path)}")

"""`gatebench compare RUN [RUN_B]`: the table of a stored run, or what changed from one run to another."""

import sys
from typing import Annotated, Any

import typer

from gatebench.cli import options
from gatebench.errors import UserError


def command(
    run: Annotated[str, typer.Argument(help="A run id or a unique part of it, a run folder, or `latest`.")] = "latest",
    other: Annotated[
        str | None, typer.Argument(metavar="[RUN_B]", help="A second run: its change against the first.")
    ] = None,
    baseline: options.Baseline = None,
    gate: options.Gates = None,
    implementation: options.Implementations = None,
    mode: options.Modes = None,
    glob: options.Glob = "",
    store: options.Store = None,
    long: options.Long = False,
    metrics: options.Metrics = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Group geometric means, e.g. gate or family,mode.")
    ] = None,
    across_machines: Annotated[
        bool,
        typer.Option("--across-machines", help="Show two runs of two environment classes, as speeds of two machines."),
    ] = False,
    recompute: Annotated[
        bool,
        typer.Option(
            "--recompute", help="Compute an A/B's verdicts again from its plan and samples; 2 where they differ."
        ),
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Compare implementations inside a stored run: speed-ups with intervals, ties, errors, gradient lines.

    -g, -i, -m and -k choose which cases are shown; they change no case's numbers. Lines below a table sum up what it shows.
    Of two runs: the change of each case from the first to the second. Stored runs cannot gate: see `gatebench ab`.
    """  # fmt: skip
    from gatebench.report.ab_run import print_recomputed
    from gatebench.report.stored_run import View, print_run
    from gatebench.report.two_runs import print_two_runs
    from gatebench.store.read import find_run

    found = find_run(options.store_path(store), run)
    chosen = options.names(gate), options.names(implementation), options.names(mode)
    view = View(baseline, *chosen, glob, long, options.names(metrics), as_json, options.names(by))
    if recompute:
        chooses = {
            "a second run": other,
            "--baseline": baseline,
            "--by": by,
            "-g": gate,
            "-i": implementation,
            "-m": mode,
            "-k": glob,
        }
        for flag, given in chooses.items():
            if given:
                raise UserError(
                    "--recompute", f"given together with {flag}", "it goes with one run and --store", f"drop {flag}"
                )
        sys.exit(print_recomputed(found))
    if other is None:
        _refuse({"--across-machines": across_machines}, "one run", "it goes with two", "give a second run")
        print_run(found.path, view)
    else:
        _refuse({"--baseline": baseline, "--metrics": metrics}, "two runs", "it goes with one", "leave it out")
        print_two_runs(found, find_run(options.store_path(store), other), view, across_machines)


def _refuse(given: dict[str, Any], runs: str, accepted: str, next_step: str) -> None:
    """Raise UserError for an option that says nothing about so many runs."""
    for flag, value in given.items():
        if value:
            raise UserError(flag, f"given with {runs}", accepted, next_step)

"""`gatebench history SUITE`: what changed from commit to commit, in the runs that a store holds."""

from typing import Annotated

import typer

from gatebench.cli import options


def command(
    suite: Annotated[str, typer.Argument(help="The name of a suite of which the store holds runs, e.g. quick.")],
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", help="What times are divided by. (default: native or eager, whichever most runs timed)"
        ),
    ] = None,
    gate: options.Gates = None,
    implementation: options.Implementations = None,
    mode: options.Modes = None,
    glob: options.Glob = "",
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Show per case what changed over the stored runs of a suite, and at which commit, relative to a reference of the same run.

    A change is told where two methods find it at the same point, from five points on; never across two machines or sets of
    libraries. Commits are ordered by their dates where the repository here knows them, else by the time of the run.
    """  # fmt: skip
    from functools import partial
    from pathlib import Path

    from gatebench.report.choosing import Choice
    from gatebench.report.history import print_history
    from gatebench.run.environment import commit_times
    from gatebench.store.read import load

    chosen = options.names(gate), options.names(implementation), options.names(mode)
    choice = Choice(*chosen, glob, "this suite's runs")
    dates = partial(commit_times, Path.cwd())
    print_history(load(options.store_path(store)), suite, choice, baseline, dates, as_json)

"""`gatebench compare RUN`: the table of a stored run."""

from typing import Annotated

import typer

from gatebench.cli import options


def command(
    run: Annotated[str, typer.Argument(help="A run id or a unique part of it, a run folder, or `latest`.")] = "latest",
    baseline: options.Baseline = None,
    gate: options.Gates = "",
    implementation: options.Implementations = "",
    mode: options.Modes = "",
    glob: options.Glob = "",
    store: options.Store = None,
    long: options.Long = False,
    metrics: options.Metrics = "",
    by: Annotated[str, typer.Option("--by", help="Group geometric means, e.g. gate or family,mode.")] = "",
    as_json: options.Json = False,
) -> None:
    """Compare implementations inside a stored run: speed-ups with intervals, ties, errors, gradient lines.

    -g, -i, -m and -k choose which cases are shown; they change no case's numbers. Lines below a table sum up what it shows.
    """
    from gatebench.report.stored_run import View, print_run
    from gatebench.store.read import find_run

    found = find_run(options.store_path(store), run)
    chosen = options.names(gate), options.names(implementation), options.names(mode)
    print_run(found.path, View(baseline, *chosen, glob, long, options.names(metrics), as_json, options.names(by)))

"""`gatebench calibrate`: what this machine's noise lets `ab` detect, case by case."""

import sys
from typing import Annotated

import typer

from gatebench.cli import options


def command(
    suite: Annotated[str | None, typer.Argument(help="A suite file, or the name of a shipped suite.")] = None,
    gate: options.Gates = None,
    implementation: options.Implementations = None,
    mode: options.Modes = None,
    glob: options.Glob = "",
    dtype: options.Dtypes = None,
    plugin: options.Plugins = None,
    build: options.Build = None,
    blocks: Annotated[int, typer.Option(min=2, help="Blocks of fresh processes; more tell the spread better.")] = 12,
    no_wait: options.NoWait = False,
    store: options.Store = None,
    as_json: options.Json = False,
) -> None:
    """Measure the code at hand against itself, and print the noise: what `ab` can detect here, and what makes it worse.

    `ab` in the same store and on the same machine takes more blocks for the cases whose spread asks for them.
    Exit codes: 0, 2 bad usage, 4 another job measures and --no-wait is given, 130 interrupted (what was measured is kept).
    """
    from gatebench.report.calibration import print_calibration
    from gatebench.run.ab.calibrate import run_calibration
    from gatebench.run.ab.job import AbRequest
    from gatebench.run.progress import for_terminal
    from gatebench.store.read import read_run
    from gatebench.suites import Narrowing

    narrowing = Narrowing(
        gates=options.names(gate), implementations=options.names(implementation), modes=options.names(mode),
        dtypes=options.names(dtype), glob=glob,
    )  # fmt: skip
    request = AbRequest(suite=suite, narrowing=narrowing, plugins=tuple(plugin or ()), build=build, wait=not no_wait)
    outcome = run_calibration(
        request, blocks, options.store_path(store), for_terminal(), lambda text: print(text, file=sys.stderr)
    )
    print_calibration(read_run(outcome.folder), as_json)
    sys.exit(130 if outcome.interrupted else 0)

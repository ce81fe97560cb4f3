"""`gatebench check`: does an implementation keep all the rules? The conformance kit, in worker processes."""

import sys
from typing import Annotated

import typer

from gatebench.cli import options


def command(
    target: Annotated[str, typer.Argument(help="A plugin file, or the name of an implementation.")],
    gate: Annotated[
        list[str] | None, typer.Option("--gate", "-g", help="Gates, comma-separated; all it does unless given.")
    ] = None,
    fast: Annotated[
        bool, typer.Option("--fast", help="The most telling checks only; stops at the first failure.")
    ] = False,
    only: Annotated[list[str] | None, typer.Option(help="Ids of checks, comma-separated.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    plugin: options.Plugins = None,
    option: options.Options = None,
    as_json: options.Json = False,
) -> None:
    """Check an implementation against the conformance kit, one gate after the other.

    Exit codes: 0 all rules are kept, 2 bad usage, 3 a check failed.
    """
    from pathlib import Path

    from gatebench.cases import DEVICES
    from gatebench.conformance.kit import CHECKS
    from gatebench.report.checks import print_checks
    from gatebench.run.checker import check_ids, find_targets, run_checks
    from gatebench.run.discover import discover
    from gatebench.run.progress import for_terminal

    options.known_names("--device", "device", device, DEVICES)
    ids = check_ids(fast, options.names(only))
    files = [*(plugin or []), *([Path(target)] if target.endswith(".py") else [])]
    targets = find_targets(discover(files), target, options.names(gate), options.options_by_name(option))
    found = run_checks(targets, ids, device=device, threads=threads, stop_at_first=fast, progress=for_terminal())
    results = list(found)
    print_checks(results, {id: (check.sentence, check.hint) for id, check in CHECKS.items()}, as_json)
    sys.exit(3 if any(result.status == "failed" for result in results) else 0)

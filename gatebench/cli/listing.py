"""`gatebench list`: gates, implementations and suites, with the reason for what is unavailable."""

from typing import Annotated

import typer

from gatebench.cli import options


def command(
    what: Annotated[str, typer.Argument(help="gates, implementations, suites, all, or one gate's name.")] = "all",
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Which implementation computes which gate here, and why not.")
    ] = False,
    plugin: options.Plugins = None,
    as_json: options.Json = False,
) -> None:
    """List gates, implementations and suites; of one gate its formula, tensors, options and reference code."""
    from gatebench.errors import unknown
    from gatebench.report.listings import print_catalogue, print_coverage, print_gate
    from gatebench.run.discover import discover

    kinds = ("all", "gates", "implementations", "suites")
    catalogue = discover(plugin or [])
    if what in catalogue.gates:
        print_gate(catalogue.gates[what], as_json)
        return
    if what not in kinds:
        raise unknown("list", "kind or gate", what, [*kinds, *catalogue.gates])
    if coverage:
        print_coverage(catalogue, as_json)
    else:
        print_catalogue(catalogue, what, as_json)

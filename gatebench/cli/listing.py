"""`gatebench list`: gates, implementations and suites, with the reason for what is unavailable."""

from typing import Annotated

import typer

from gatebench.cli import options


def command(
    what: Annotated[str, typer.Argument(help="gates, implementations, suites, or all.")] = "all",
    coverage: Annotated[
        bool, typer.Option("--coverage", help="Which implementation computes which gate here, and why not.")
    ] = False,
    plugin: options.Plugins = None,
    as_json: options.Json = False,
) -> None:
    """List gates, implementations and suites."""
    from gatebench.errors import unknown
    from gatebench.report.listings import print_catalogue, print_coverage
    from gatebench.run.discover import discover

    kinds = ("all", "gates", "implementations", "suites")
    if what not in kinds:
        raise unknown("list", "kind", what, kinds)
    catalogue = discover(plugin or [])
    if coverage:
        print_coverage(catalogue, as_json)
    else:
        print_catalogue(catalogue, what, as_json)

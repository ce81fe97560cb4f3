"""`gatebench report`: a page of what was measured before, made from its numbers alone."""

from pathlib import Path
from typing import Annotated

import typer

from gatebench.cli import options
from gatebench.errors import UserError


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[FILE|RUN]", help="What `gatebench ab --json` printed, or a run id, folder or `latest`."
        ),
    ] = "latest",
    other: Annotated[
        str | None, typer.Argument(metavar="[RUN_B]", help="A second run: what changed from the first to it.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", help="Write one HTML file that needs no server; `-` for stdout.")
    ] = None,
    markdown: options.Markdown = None,
    png: Annotated[Path | None, typer.Option("--png", help="Write a picture of each figure into this folder.")] = None,
    across_machines: Annotated[
        bool,
        typer.Option("--across-machines", help="Show two runs of two environment classes, as speeds of two machines."),
    ] = False,
    store: options.Store = None,
) -> None:
    """Write the report of a stored run, of two, or of a JSON file that another job wrote.

    The HTML is one file with figures and tables, to be opened from a disk or kept by a job: it asks no host for anything.
    A JSON file is checked by its schema, and all text in it is shown as code: a job that may write comments can render
    what a stranger's job measured. Exit codes: 0, 2 bad usage, or a file that breaks the schema.
    """
    from gatebench.report.stored_report import Wanted, write_report

    wanted = Wanted(html, markdown, png)
    wanted.check()
    if across_machines and other is None:
        raise UserError("--across-machines", "given with one run", "it goes with two", "give a second run")
    write_report(source, other, options.store_path(store), wanted, across_machines)

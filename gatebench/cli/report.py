"""`gatebench report`: a page of what was measured before, made from its numbers alone."""

from typing import Annotated

import typer

from gatebench.cli import options


def command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[FILE|RUN]", help="What `gatebench ab --json` printed, or a run id, folder or `latest`."
        ),
    ] = "latest",
    markdown: options.Markdown = None,
    store: options.Store = None,
) -> None:
    """Write the report of a stored run, or of a JSON file that another job wrote.

    A JSON file is checked by its schema, and all text in it is shown as code: a job that may write comments can render
    what a stranger's job measured. Exit codes: 0, 2 bad usage, or a file that breaks the schema.
    """
    from gatebench.errors import UserError
    from gatebench.report.ci.outputs import Outputs, write_outputs
    from gatebench.report.stored_markdown import markdown_of_source

    if markdown is None:
        raise UserError("report", "no output is asked for", "--markdown FILE is accepted", "`--markdown -` prints it")
    outputs = Outputs(markdown)
    outputs.check()
    text = markdown_of_source(source, options.store_path(store))
    # Annotations belong to the job that measured.
    write_outputs(outputs, lambda: text, str, list)

"""`gatebench export`: a stored run for other tools, as pytest-benchmark's JSON or as CSV."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatebench.cli import options
from gatebench.errors import UserError, unknown

FORMATS = ("pytest-benchmark", "csv")
CSV_TABLES = ("measurements", "samples", "accuracy", "stability", "verdicts")


def command(
    run: Annotated[str, typer.Argument(help="A run id or a unique part of it, a run folder, or `latest`.")] = "latest",
    to: Annotated[str, typer.Option("--to", help="pytest-benchmark or csv.")] = "pytest-benchmark",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The file to write. (default: stdout)")] = None,
    table: Annotated[
        str | None,
        typer.Option("--table", help="For csv: measurements (the default), samples, accuracy, stability, verdicts."),
    ] = None,
    store: options.Store = None,
) -> None:
    """Write a run as pytest-benchmark's JSON, for its `compare` and what else reads it, or one of its tables as CSV."""
    from gatebench.analyze.statistics import kept_times
    from gatebench.report.files import write_file
    from gatebench.store.exchange import csv_text, pytest_benchmark_text
    from gatebench.store.read import Results, find_run

    for flag, value, choices in (("--to", to, FORMATS), ("--table", table or CSV_TABLES[0], CSV_TABLES)):
        if value not in choices:
            raise unknown(flag, "format" if flag == "--to" else "table", value, choices)
    if table is not None and to != "csv":
        raise UserError("--table", f"given together with --to {to}", "accepted: with --to csv", "drop it")
    found = find_run(options.store_path(store), run)
    if to == "csv":
        text = csv_text(found, table or CSV_TABLES[0])
    else:
        results = Results((found,))
        results.require("samples")
        times = kept_times(results.samples)
        text = pytest_benchmark_text(found, times) + "\n"
    if output is None:
        sys.stdout.write(text)
    else:
        write_file("-o", output, text)

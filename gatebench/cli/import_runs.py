"""`gatebench import`: pytest-benchmark's JSON becomes a run of the store."""

from pathlib import Path
from typing import Annotated

import typer

from gatebench.cli import options
from gatebench.words import counted


def command(
    file: Annotated[Path, typer.Argument(help="JSON of pytest-benchmark, or of `gatebench export`.")],
    store: options.Store = None,
) -> None:
    """Store benchmarks that pytest-benchmark wrote as a run, marked harness = imported."""
    from gatebench.run.imported import import_run
    from gatebench.store.exchange_read import read_document

    document = read_document(file)
    folder = import_run(document, options.store_path(store))
    print(f"{counted(len(document.benchmarks), 'benchmark')} of {document.file} stored as run {folder.name}")
    print(f"next: gatebench compare {folder.name} --long" + (f" --store {store}" if store else ""))

"""Print on stdout: tables, 100 columns wide where it is no terminal, and JSON where a program reads it."""

import json
import math
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatebench.report.quantities import is_missing
from gatebench.report.table import Block

WIDTH = 100
_UNFOLDED = 10_000


def console() -> Console:
    """Return the console of stdout; COLUMNS, else 100 columns, where it is no terminal."""
    columns = os.environ.get("COLUMNS", "")
    wide = int(columns) if columns.isascii() and columns.isdigit() and int(columns) > 0 else WIDTH
    return Console(highlight=False, width=None if sys.stdout.isatty() else wide, soft_wrap=False)


def print_json(value: Any) -> None:
    """Print JSON; non-finite numbers are the strings "inf", "-inf", "nan"."""
    print(json.dumps(_plain(value), indent=1, allow_nan=False, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if value is None or is_missing(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    return str(value) if isinstance(value, Path) else value


def print_block(block: Block) -> None:
    """Print one table and the lines below it."""
    out = console()
    if block.title:
        out.print(Text(block.title, style="bold"))
    if block.header:
        table = _table(block)
        if block.unfolded:
            out.width = max(out.width, out.measure(table, options=out.options.update(width=_UNFOLDED)).maximum)
        out.print(table)
    for note in block.notes:
        out.print(Text(f"  {note}"))
    out.print()


def _table(block: Block) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for number, name in enumerate(block.header):
        table.add_column(
            Text(name), justify="right" if block.numbers and number else "left", overflow="fold", no_wrap=number == 0
        )
    for row in block.rows:
        table.add_row(*(Text(cell) for cell in row))
    return table

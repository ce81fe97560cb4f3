"""Print on stdout: tables, 100 columns wide where it is no terminal, and JSON where a program reads it; a bar on stderr."""

import json
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatebench.report.ci.escapes import escaped
from gatebench.report.quantities import is_missing
from gatebench.report.table import Block

WIDTH = 100
_UNFOLDED = 10_000
_BEYOND_ASCII = re.compile(r"[^\n -~]")


def console() -> Console:
    """Return the console of stdout; COLUMNS, else 100 columns, where it is no terminal."""
    columns = os.environ.get("COLUMNS", "")
    wide = int(columns) if columns.isascii() and columns.isdigit() and int(columns) > 0 else WIDTH
    return Console(highlight=False, width=None if sys.stdout.isatty() else wide, soft_wrap=False)


@contextmanager
def bar(words: str) -> Iterator[Callable[[int, int], None]]:
    """Show on stderr, where that is a terminal, how far something is; yields what is called with what is done, and what there is."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(words, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def tell(words: str) -> None:
    """Say something on stderr, where that is a terminal: somebody waits."""
    if sys.stderr.isatty():
        Console(stderr=True, highlight=False).print(escaped(words), markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON; non-finite numbers are the strings "inf", "-inf", "nan"."""
    text = json.dumps(_plain(value), indent=1, allow_nan=False, ensure_ascii=False)
    print(_BEYOND_ASCII.sub(lambda found: _json_letter(found[0]), text))


def _json_letter(letter: str) -> str:
    """Return a letter inside JSON as it is, or as JSON's own escape where a terminal would act upon it."""
    return letter if escaped(letter) == letter else json.dumps(letter)[1:-1]


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


def print_line(text: str) -> None:
    """Print a line below all tables; names that others chose cannot steer the terminal."""
    console().print(_text(text))


def _text(text: str, style: str = "") -> Text:
    return Text(escaped(text), style=style)


def print_block(block: Block) -> None:
    """Print one table and the lines below it."""
    out = console()
    if block.title:
        out.print(_text(block.title, style="bold"))
    for part in _parts(block, out):
        out.print(part)
    for note in block.notes:
        _print_note(_text(note), out, folded=not block.unfolded or bool(block.header))
    out.print()


def _print_note(note: Text, out: Console, folded: bool) -> None:
    """Print a line below a table, indented where it is folded, too; unfolded, the terminal itself breaks it."""
    for line in note.wrap(out, out.width - 2) if folded else [note]:
        line.rstrip()
        out.print(Text("  ") + line, soft_wrap=not folded)


def _parts(block: Block, out: Console) -> list[Table]:
    """Return the table; one of numbers that is too wide in parts of as many columns as fit, its names in each."""
    columns = len(block.header)
    if block.unfolded:
        out.width = max(out.width, _width(_table(block, range(columns)), out))
    if not block.header or not block.numbers:
        return [_table(block, range(columns))] if block.header else []
    names = range(block.names)
    parts, first = [], block.names
    while first < columns:
        last = columns
        # A single column that is too wide is folded by the table itself.
        while last > first + 1 and _width(_table(block, [*names, *range(first, last)]), out) > out.width:
            last -= 1
        parts.append(_table(block, [*names, *range(first, last)]))
        first = last
    return parts


def _width(table: Table, out: Console) -> int:
    return out.measure(table, options=out.options.update(width=_UNFOLDED)).maximum


def _table(block: Block, columns: Iterable[int]) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    columns = list(columns)
    for number in columns:
        justify = "left" if number < block.names or not block.numbers else "right"
        table.add_column(_text(block.header[number]), justify=justify, overflow="fold", no_wrap=number == 0)
    for row in block.rows:
        table.add_row(*(_text(row[number]) for number in columns))
    return table


def relative(path: Path) -> str:
    """Return a path as it is from here, where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)

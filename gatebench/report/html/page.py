"""Write a report as one HTML file: it opens from a disk, asks no host for anything, and stays below 8 MB."""

import html
import json
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.resources import files

from gatebench.report.ci.escapes import clean, shorten
from gatebench.report.html.content import Part, Report, Section
from gatebench.report.html.plots import packed_figure, packed_plotly
from gatebench.report.table import Block

Progress = Callable[[int, int], None]

# Plotly itself takes 2 MB when packed; with these budgets a page stays below 8 MB: rows, notes and lines are charged one by
# one, and what is beside them (a title, a caption, a header) may go beyond the last bytes once.
FIGURE_BYTES = 2_400_000
TABLE_BYTES = 2_600_000  # rows
TEXT_BYTES = 800_000  # titles, captions, notes, suites
_TEXT_BYTES = 1_000  # of one cell, title or note; a name of 10 kB keeps its ends
_LEFT_OUT = "The figure is left out to keep this file small: `gatebench dashboard` shows it."
_CUT = "{} of {} rows are left out to keep this file small: `gatebench compare --long` and `gatebench export --to csv` have them all."
_LINES_CUT = "{} of {} lines are left out to keep this file small."
_BLOCKS_CUT = "{} of {} tables are left out to keep this file small: `gatebench compare` prints them."
_PARTS_CUT = "{} of {} parts are left out to keep this file small: `gatebench dashboard` shows them."
_CODE = re.compile(r"`([^`]+)`")
# Nothing may be loaded from anywhere; scripts and styles are those of the page itself.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)


def html_page(report: Report, progress: Progress = lambda done, parts: None) -> str:
    """Return the page; all text of a store is shown as it is, and never acted upon.

    progress: called with how many of how many parts are written.
    """
    writer = _Writer(sum(len(section.parts) for section in report.sections), progress)
    sections = [
        _section(section, parts) for section, parts in zip(report.sections, _written(report, writer), strict=True)
    ]
    links = "".join(f'<a href="#{section.anchor}">{_text(section.title)}</a>' for section in report.sections)
    lead = "".join(f"<p>{_text(line)}</p>" for line in report.lead)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{_attribute(_short(report.title))} | GateBench</title>
<style>{_asset("report.css")}</style>
</head>
<body>
<header><h1>{_text(report.title)}</h1>{lead}</header>
<nav aria-label="Contents">{links}</nav>
<main>
{"".join(sections)}</main>
{"".join(writer.packed)}<script type="text/plain" id="plotly">{packed_plotly() if writer.packed else ""}</script>
<script>{_asset("report.js")}</script>
</body>
</html>
"""


def _written(report: Report, writer: "_Writer") -> list[list[str]]:
    """Return each section's parts. They are written in turn, first the first ones: what has no room is the end of all sections."""
    parts: list[list[str]] = [[] for _ in report.sections]
    for number in range(max((len(section.parts) for section in report.sections), default=0)):
        for section, written in zip(report.sections, parts, strict=True):
            if number < len(section.parts):
                waiting = sum(len(some) < len(each.parts) for each, some in zip(report.sections, parts, strict=True))
                written.append(writer.part(section.parts[number], 1 / waiting))
    return parts


def _section(section: Section, parts: list[str]) -> str:
    """Return a section around its parts as written, empty where there was no room for them."""
    notes = "".join(f"<p>{_text(note)}</p>" for note in section.notes)
    choices = _attribute(json.dumps([_short(name) for name in section.choices], ensure_ascii=False))
    left_out = _paragraph(_PARTS_CUT.format(parts.count(""), len(parts))) if "" in parts else ""
    return (
        f'<section id="{section.anchor}" data-choices="{choices}"><h2>{_text(section.title)}</h2>'
        f'<p class="question">{_text(section.question)}</p>{notes}<div class="choices"></div>\n{"".join(parts)}{left_out}</section>\n'
    )


class _Writer:
    """Writes parts, and keeps count of what they take: what has no room is left out, figures, rows, notes and lines."""

    def __init__(self, parts: int, progress: Progress) -> None:
        self.packed: list[str] = []
        self._parts, self._progress, self._done = parts, progress, 0
        self._figure_room = FIGURE_BYTES
        self._table_room, self._text_room = TABLE_BYTES, TEXT_BYTES

    def part(self, part: Part, share: float = 1.0) -> str:
        """Return a part, nothing where there is no room left; its figure goes to `packed`.

        share: of the text's room that is left, what its notes and lines may fill; the rest is for the sections that wait.
        """
        self._done += 1
        self._progress(self._done, self._parts)
        if self._text_room <= 0:
            return ""
        kept = int(self._text_room * (1 - share))
        self._text_room -= kept
        keys = {_short(name): _short(value) for name, value in part.keys.items()}
        title = f"<h3>{_text(part.title)}</h3>" if part.title else ""
        data = f' data-keys="{_attribute(json.dumps(keys, ensure_ascii=False))}"' if keys else ""
        above = f'<div class="part"{data}>{title}{self._figure(part)}'
        self._text_room -= len(above.encode())
        opened = self._blocks(part.opened, folded=False)
        shown = self._blocks(part.blocks, folded=part.folded or part.drawing is not None)
        self._text_room += kept
        return f"{above}{opened}{shown}</div>\n"

    def _figure(self, part: Part) -> str:
        if part.drawing is None:
            return _paragraph(part.caption) if part.caption else ""
        if 100 * self._figure_room < FIGURE_BYTES:  # hardly any would fit: none is made
            return _paragraph(_LEFT_OUT)
        figure = part.drawing.make()
        packed = packed_figure(figure)
        if len(packed) > self._figure_room:
            return _paragraph(_LEFT_OUT)
        self._figure_room -= len(packed)
        name = f"figure-{len(self.packed)}"
        self.packed.append(f'<script type="text/plain" id="{name}">{packed}</script>\n')
        height = int(figure.layout.height or 450)
        return (
            f'<figure><div class="box"><div class="plot" data-figure="{name}" role="img" aria-label="{_attribute(_short(part.drawing.alt))}" '
            f'style="height:{height}px"></div></div><figcaption>{_text(part.caption)}</figcaption></figure>'
        )  # fmt: skip

    def _blocks(self, blocks: Sequence[Block], folded: bool) -> str:
        found = []
        for block in blocks:
            if self._text_room <= 0:
                break
            before = self._table_room + self._text_room
            found.append(self._block(block, folded))
            charged = before - self._table_room - self._text_room  # rows, notes and lines; the rest is charged here
            self._text_room -= len(found[-1].encode()) - charged
        missing = len(blocks) - len(found)
        return "".join(found) + (_paragraph(_BLOCKS_CUT.format(missing, len(blocks))) if missing else "")

    def _block(self, block: Block, folded: bool) -> str:
        if not block.header:
            return self._lines(block)
        rows, left_out = self._rows(block)
        table = f'<div class="box"><table>{_head(block)}<tbody>{rows}</tbody></table></div>{self._notes(block.notes, left_out)}'
        if folded:
            return f"<details><summary>{_text(block.title)} ({len(block.rows)})</summary>{table}</details>"
        return (f"<h3>{_text(block.title)}</h3>" if block.title else "") + table

    def _rows(self, block: Block) -> tuple[str, tuple[str, ...]]:
        found, self._table_room = _fitting((_row(row, block) for row in block.rows), self._table_room)
        missing = len(block.rows) - len(found)
        return "".join(found), (_CUT.format(missing, len(block.rows)),) if missing else ()

    def _lines(self, block: Block) -> str:
        """Return a block without a table: lines, those that are one text as such, behind its title."""
        if not block.unfolded:
            return (f"<h3>{_text(block.title)}</h3>" if block.title else "") + self._notes(block.notes)
        found, self._text_room = _fitting(
            (html.escape(_harmless(line)) + "\n" for line in block.notes), self._text_room
        )
        missing, text = len(block.notes) - len(found), "".join(found).removesuffix("\n")
        pre = f"<pre>{text}</pre>"
        pre += _paragraph(_LINES_CUT.format(missing, len(block.notes))) if missing else ""
        return f"<details><summary>{_text(block.title)}</summary>{pre}</details>" if block.title else pre

    def _notes(self, notes: Sequence[str], always: Sequence[str] = ()) -> str:
        """Return notes as a list, as many as there is room for, and what is said in any case."""
        found, self._text_room = _fitting(map(_note, notes), self._text_room)
        missing = len(notes) - len(found)
        cut = (_LINES_CUT.format(missing, len(notes)),) if missing else ()
        items = "".join([*found, *map(_note, (*cut, *always))])
        return f'<ul class="notes">{items}</ul>' if items else ""


def _fitting(texts: Iterable[str], room: int) -> tuple[list[str], int]:
    """Return the first texts, as many as there is room for in bytes of UTF-8, and the room that is left."""
    found = []
    for text in texts:
        size = len(text.encode())
        if size > room:
            break
        room -= size
        found.append(text)
    return found, room


def _paragraph(text: str) -> str:
    return f'<p class="caption">{_text(text)}</p>'


def _head(block: Block) -> str:
    cells = (f'<th scope="col"{_aligned(block, place)}>{_text(name)}</th>' for place, name in enumerate(block.header))
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


def _row(row: Iterable[str], block: Block) -> str:
    cells = []
    for place, cell in enumerate(row):
        tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
        cells.append(f"<{tag}{scope}{_aligned(block, place)}>{_text(cell)}</{tag}>")
    return f"<tr>{''.join(cells)}</tr>"


def _aligned(block: Block, place: int) -> str:
    return ' class="n"' if block.numbers and place >= block.names else ""


def _note(note: str) -> str:
    return f"<li>{_text(note)}</li>"


def _text(text: str) -> str:
    """Return text for an element: one line, nothing hidden, no mark-up but for what stands between backticks, as code."""
    return _CODE.sub(r"<code>\1</code>", html.escape(_short(text), quote=False))


def _attribute(text: str) -> str:
    return html.escape(text, quote=True)


def _short(text: str) -> str:
    return shorten(clean(str(text)), _TEXT_BYTES)


def _harmless(line: str) -> str:
    """Return a line with its indentation."""
    space = len(line) - len(line.lstrip(" "))
    return " " * space + _short(line)


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")

"""Pages of Markdown of bounded size: text, tables, and folded tables that are cut from the end. For GitHub's own flavour."""

from collections.abc import Sequence
from dataclasses import dataclass

MOST_BYTES = 60_000  # GitHub takes comments of 65,536 characters, and step summaries of 1 MiB
_NOTE = "\n{} row{} cut to stay under {} kB.\n"


@dataclass(frozen=True)
class Section:
    """A table with its title and what stands below it; all text is Markdown already. Columns after `names` are numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    below: str = ""
    folded: bool = False
    names: int = 1


def table(header: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> str:
    """Return a table; columns after the first `names` are aligned right."""
    rule = ["---" if number < names else "--:" for number in range(len(header))]
    return "\n".join(_line(cells) for cells in (header, rule, *rows))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def page(opening: str, sections: Sequence[Section], most_bytes: int = MOST_BYTES) -> str:
    """Return the opening and as many rows of the sections as fit, in their order, and how many rows were cut.

    opening: always whole; the caller bounds it.
    """
    every = sum(len(section.rows) for section in sections)
    room = most_bytes - _size(opening) - _size(_cut(every, most_bytes)) - 1
    parts, shown = [opening], 0
    for section in sections:
        rows, cost = _fitting(section, room)
        if (section.rows and not rows) or cost > room:
            break
        parts.append(_text(section, rows))
        room -= cost
        shown += len(rows)
        if len(rows) < len(section.rows):
            break
    return "\n".join(parts) + (_cut(every - shown, most_bytes) if shown < every else "")


def _fitting(section: Section, room: int) -> tuple[tuple[tuple[str, ...], ...], int]:
    """Return the rows of a section that fit, and the bytes that it then takes."""
    cost = _size(_text(section, ())) + 1
    count = 0
    for row in section.rows:
        size = _size(_line(row)) + 1
        if cost + size > room:
            break
        cost += size
        count += 1
    return section.rows[:count], cost


def _text(section: Section, rows: Sequence[Sequence[str]]) -> str:
    below = f"\n{section.below}\n" if section.below else ""
    body = (f"{table(section.header, rows, section.names)}\n" if section.header else "") + below
    if section.folded:
        return f"<details><summary>{section.title} ({len(section.rows)})</summary>\n\n{body}\n</details>\n"
    return f"#### {section.title}\n\n{body}" if section.title else body


def _size(text: str) -> int:
    return len(text.encode())


def _cut(count: int, most_bytes: int) -> str:
    return _NOTE.format(count, " was" if count == 1 else "s were", most_bytes // 1000)

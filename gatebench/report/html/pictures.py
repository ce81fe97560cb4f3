"""Pictures of all figures of a report, each with its caption, named after what it shows."""

import re
from pathlib import Path

from gatebench.report.ci.escapes import clean
from gatebench.report.figure_files import with_caption, write_pictures
from gatebench.report.html.content import Report

_LONGEST = 100  # letters of a file's name


def write_report_pictures(flag: str, folder: Path, report: Report) -> int:
    """Write a PNG per figure into a folder and return how many; raises UserError where no browser draws them, or they cannot be written."""
    figures, taken = {}, set()
    for section in report.sections:
        for part in section.parts:
            if part.drawing is not None:
                name = _file_name(part.drawing.name, taken)
                figures[name] = with_caption(part.drawing.make(), f"{clean(part.title)}. {part.caption}")
    write_pictures(flag, folder, figures)
    return len(figures)


def _file_name(text: str, taken: set[str]) -> str:
    """Return a name of letters, digits and signs that every file system takes, and that no other picture has."""
    plain = re.sub(r"[^A-Za-z0-9_.=-]+", "-", text.replace(" = ", "")).strip("-.")
    if len(plain) > _LONGEST:  # at the end of a word
        plain = plain[:_LONGEST].rpartition("-")[0] or plain[:_LONGEST]
    plain = plain or "figure"
    name, number = f"{plain}.png", 1
    while name.lower() in taken:
        number += 1
        name = f"{plain}-{number}.png"
    taken.add(name.lower())
    return name

"""Where a job's outputs go: Markdown to a file and GitHub's job summary, JUnit to a file, annotations to the log."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatebench.errors import UserError
from gatebench.report.files import check_file, write_file

STDOUT = Path("-")


@dataclass(frozen=True)
class Outputs:
    """What the user asked for beside the terminal's tables; a Markdown of `-` goes to stdout. as_json: so does JSON."""

    markdown: Path | None = None
    junit: Path | None = None
    as_json: bool = False

    def check(self) -> None:
        """Raise UserError for what cannot be written: better now than after the run."""
        if self.as_json and self.markdown == STDOUT:
            raise UserError("--markdown", "- is given together with --json", "stdout takes one of them", "name a file")
        if self.junit == STDOUT:
            raise UserError("--junit", "- is no file", "a file is accepted", "e.g. --junit gatebench.xml")
        for flag, path in (("--markdown", self.markdown), ("--junit", self.junit)):
            if path is not None and path != STDOUT:
                check_file(flag, path)


def write_outputs(
    outputs: Outputs, markdown: Callable[[], str], junit: Callable[[], str], annotations: Callable[[], Sequence[str]]
) -> None:
    """Write what was asked for; each text is made only where it is. Raises UserError where a file cannot be written.

    Markdown that was asked for goes to $GITHUB_STEP_SUMMARY, too; annotations go to stderr inside GitHub Actions.
    """
    if outputs.markdown is not None:
        text = markdown()
        if outputs.markdown == STDOUT:
            print(text)
        else:
            write_file("--markdown", outputs.markdown, text)
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            _append("GITHUB_STEP_SUMMARY", Path(summary), text + "\n")
    if outputs.junit is not None:
        write_file("--junit", outputs.junit, junit())
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in annotations():
            print(line, file=sys.stderr)


def _append(where: str, path: Path, text: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        what = f"{path.name} cannot be written: {error.strerror}"
        raise UserError(where, what, "a file that can be written is accepted", "choose another") from error

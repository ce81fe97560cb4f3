"""Where a job's outputs go: Markdown to a file and GitHub's job summary, JUnit to a file, annotations to the log."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gatebench.errors import UserError

STDOUT = Path("-")


@dataclass(frozen=True)
class Outputs:
    """What the user asked for beside the terminal's tables; a Markdown of `-` goes to stdout."""

    markdown: Path | None = None
    junit: Path | None = None

    def check(self) -> None:
        """Raise UserError for a folder that does not exist: better now than after the run."""
        for flag, path in (("--markdown", self.markdown), ("--junit", self.junit)):
            if path is not None and path != STDOUT and not path.absolute().parent.is_dir():
                raise UserError(
                    flag, f"no folder {path.parent}", "a file in a folder that exists is accepted", "make it"
                )


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
            _write("--markdown", outputs.markdown, text, "w")
        if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            _write("GITHUB_STEP_SUMMARY", Path(summary), text + "\n", "a")
    if outputs.junit is not None:
        _write("--junit", outputs.junit, junit(), "w")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        for line in annotations():
            print(line, file=sys.stderr)


def _write(where: str, path: Path, text: str, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        what = f"{path.name} cannot be written: {error.strerror}"
        raise UserError(where, what, "a file that can be written is accepted", "choose another") from error

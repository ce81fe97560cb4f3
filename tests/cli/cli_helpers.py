"""Call the command line in this process, and check what bad input must look like."""

import re
import sys
from dataclasses import dataclass

import pytest

from gatebench.cli import main as command_line

# <where>: <what>; <accepted or next step>[; <next step>]
LINE = re.compile(r"^[^;]+?: [^;]+(; .+)+$")


@dataclass(frozen=True)
class Answer:
    """What a call printed, and its exit code."""

    code: int
    out: str
    err: str


def call(capsys, monkeypatch, *arguments):
    """Run `gatebench <arguments>` in this process."""
    monkeypatch.setattr(sys, "argv", ["gatebench", *map(str, arguments)])
    monkeypatch.setattr(command_line.signal, "signal", lambda number, handler: None)  # pytest's own handlers stay
    with pytest.raises(SystemExit) as left:
        command_line.main()
    captured = capsys.readouterr()
    return Answer(int(left.value.code or 0), captured.out, captured.err)


def one_line(answer, *parts):
    """Check that an answer is exit 2, nothing on stdout and one well-formed line on stderr; returns the line."""
    assert (answer.code, answer.out) == (2, ""), answer
    lines = answer.err.splitlines()
    assert len(lines) == 1, answer.err
    assert LINE.match(lines[0]), lines[0]
    assert "Traceback" not in lines[0]
    for part in parts:
        assert part in lines[0], lines[0]
    return lines[0]

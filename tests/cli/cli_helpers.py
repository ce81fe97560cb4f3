"""Call the command line in this process, and check what bad input must look like."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import gatebench
from gatebench.cli import main as command_line

ROOT = Path(gatebench.__file__).resolve().parents[1]
FLAGS = ("-g", "glu", "-i", "eager", "--batch", "1", "--seq-len", "2", "--hidden-size", "4", "--threads", "1")
HEAD = 'schema = "gatebench-suite/1"\n'
GROUP = """
[[cases]]
why = "a test"
gates = ["glu"]
implementations = ["eager"]
threads = [1]
batch = [1]
seq_len = [2]
hidden_size = [4]
"""
STABILITY = '[stability]\nwhy = "a test"\ngates = ["lstm"]\nseq_len = [4]\nhidden_size = [2]\n'
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


def suite(text, name="s.toml"):
    """Write a suite into the current folder and return its name."""
    Path(name).write_text(text)
    return name

"""What reaches the terminal: names that others chose steer nothing, and ordinary text stays as it is."""

import ast
import json
import re
import sys
from pathlib import Path

import pytest
from hostile import HOSTILE

from gatebench.report import terminal
from gatebench.report.ci.escapes import escaped
from gatebench.report.table import Block
from gatebench.report.terminal import bar, print_block, print_json, print_line, tell

# Escape, bell, 8-bit CSI, backspace and delete; marks that turn or hide text; what no encoding can hold.
STEERING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
NAMES = {**HOSTILE, "title": "evil\x1b]0;owned\x07\x1b[31mx", "c1": "evil\x9b2J\x90q\x9c", "back": "evil\x08\x7f\u2028"}
ORDINARY = "σ ⊙ × é 中文 🙂 – [bold]x[/bold] [/b] \\x1b"


@pytest.mark.parametrize("name", NAMES)
def test_no_name_steers_the_terminal(capsys, name):
    text = NAMES[name]
    print_block(Block(text, ("case", text), ((text, text),), (text,)))
    print_line(text)
    assert text != escaped(text) or not STEERING.search(text)
    printed = capsys.readouterr().out
    assert not STEERING.search(printed)
    assert printed.count("evil") >= 5


@pytest.mark.parametrize("name", NAMES)
def test_json_holds_the_name_itself_and_steers_nothing(capsys, name):
    print_json({NAMES[name]: [NAMES[name]]})
    printed = capsys.readouterr().out
    assert not STEERING.search(printed)
    assert json.loads(printed) == {NAMES[name]: [NAMES[name]]}


def test_hidden_characters_are_shown_as_python_writes_them():
    assert escaped("a\x1b[31m\x07\u202e\x9b\n\ud800") == "a\\x1b[31m\\x07\\u202e\\x9b\\n\\ud800"
    assert escaped("a\tb\xa0c") == "a\tb\xa0c"


def test_ordinary_text_stays_as_it_is(capsys):
    print_block(Block(ORDINARY, ("case", "value"), (("a", ORDINARY),), (ORDINARY,)))
    print_line(ORDINARY)
    assert capsys.readouterr().out.count(ORDINARY) == 4
    print_json(ORDINARY)
    assert capsys.readouterr().out == json.dumps(ORDINARY, ensure_ascii=False) + "\n"


def test_nothing_but_the_terminal_prints_with_rich():
    """Who prints through `print_line` and `print_block` cannot forget to escape."""
    package = Path(terminal.__file__).parent
    users = [path.name for path in package.rglob("*.py") if any(name.startswith("rich") for name in _imported(path))]
    assert users == ["terminal.py"]


def _imported(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)] + [
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    ]


def test_a_bar_is_shown_on_a_terminals_stderr_only(capsys, monkeypatch):
    with bar("Writing") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with bar("Writing") as progress:
        progress(1, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "Writing" in err
    assert "1/2" in err


@pytest.mark.parametrize("waits", [True, False])
def test_what_was_written_is_told_at_a_terminal_only(capsys, monkeypatch, waits):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: waits)
    tell("Wrote out[1]\x1b.html")
    answer = capsys.readouterr()
    assert (answer.out, answer.err) == ("", f"{escaped(chr(27)).join(('Wrote out[1]', '.html'))}\n" if waits else "")

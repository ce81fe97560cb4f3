"""What every page is made of."""

import html
import io
import re

import pandas as pd
import pyarrow.parquet as pq
import pytest
from markdown_it import MarkdownIt

from dashboard import elements
from dashboard.elements import plain

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.mark.parametrize("text", ["-5 %", "1.5 µs", "+3", "2026-10-02", "=3", "12 cases"])
def test_numbers_stay_as_they_are(text):
    assert plain(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "first\n- second", "first\n\n    code", "    code", "\tcode", "first\n===", "first\n---", "- a", "+ a", "* a", "1. a", "12) a",
        "# a", "> a", "---", "- - -", "***", "a\n# b", "a\r\n1. b", "```\na\n```", "~~~\na", "~~a~~", "`a`", "a|b\n-|-\nc|d", "&lt;b&gt; &copy;",
        "<b>a</b>", "[a](b)", "![a](b)", "**a** __b__", "\\\\", "a\\\nb", "-5 %", "1.5 µs", "+3", "1.",
    ],
)  # fmt: skip
def test_plain_text_is_one_paragraph_as_it_is(text):
    for before, after in (("", ""), ("- ", ""), ("**a** ", " b"), ("above\n", "")):
        shown = MARKDOWN.render(before + plain(text) + after)
        wanted = MARKDOWN.render(before + "word" + after)
        assert re.findall(r"<[^>]*>", shown) == re.findall(r"<[^>]*>", wanted)
        assert " ".join(text.split()) in html.unescape(re.sub(r"<[^>]*>", "", shown))


def test_flags_of_which_some_are_not_known_stay_flags_in_a_parquet_file():
    frame = pd.DataFrame({"dirty": [True, None, False], "mixed": [1, "a", None]}, dtype=object)
    table = pq.read_table(io.BytesIO(elements.parquet_of(frame)))
    assert table.to_pydict() == {"dirty": [True, None, False], "mixed": ["1", "a", None]}


def test_each_line_of_a_command_runs_where_the_dashboard_was_started(monkeypatch):
    shown = []
    monkeypatch.setattr(elements, "PROGRAM", ".venv/bin/gatebench")
    monkeypatch.setattr(elements.st, "code", lambda text, **_: shown.append(text))
    elements.command("gatebench stability gru\ngatebench stability lstm --store 'gatebench '")
    assert shown == [".venv/bin/gatebench stability gru\n.venv/bin/gatebench stability lstm --store 'gatebench '"]

"""One HTML page of hand-made sections: what is packed in it, what it leaves out, and hostile text."""

import json
import re

import plotly.graph_objects as go
import pytest
from html_elements import Elements, page_of, part

from gatebench.report.html import page as pages
from gatebench.report.html.content import Part, Report, Section
from gatebench.report.html.page import html_page
from gatebench.report.html.plots import packed_figure, packed_plotly, unpacked
from gatebench.report.table import Block
from tests.report.hostile import HOSTILE


def test_a_figure_is_packed_as_rounded_numbers_and_without_plotlys_template():
    figure = go.Figure().add_scatter(x=[1, 2, 3], y=[1 / 3, float("inf"), 2.0], name="</script>")
    found = json.loads(unpacked(packed_figure(figure)))
    assert found["data"][0]["y"] == [0.333333, None, 2]
    assert found["data"][0]["name"] == "</script>"
    assert "template" not in found["layout"]
    assert packed_figure(figure) == packed_figure(figure)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed_figure(figure))


def test_plotly_is_there_once_and_only_where_a_figure_is():
    assert "Plotly" in unpacked(packed_plotly())
    assert page_of(Section("a", "A", "?", [part(1), part(2)])).packed["plotly"] == packed_plotly()
    assert "plotly" not in page_of(Section("a", "A", "?")).packed


def test_a_part_says_what_it_was_chosen_by_and_folds_its_numbers():
    found = page_of(Section("a", "A", "?", [part(1, blocks=(Block("Numbers", ("T", "time"), (("1", "2 ns"),)),))], ("Gate",)))  # fmt: skip
    (shown,) = [json.loads(element["data-keys"]) for element in found.all("div") if "data-keys" in element]
    assert shown == {"Gate": "g1"}
    assert [json.loads(section["data-choices"]) for section in found.all("section")] == [["Gate"]]
    assert len(found.all("details")) == len(found.all("table")) == 1
    assert {"Numbers (1)", "2 ns", "a caption"} <= set(found.words)


def test_what_has_no_room_is_left_out_and_said(monkeypatch):
    size = len(packed_figure(part(1).drawing.make()))
    monkeypatch.setattr(pages, "FIGURE_BYTES", size + 1)
    row = '<tr><th scope="row">a</th></tr>'
    monkeypatch.setattr(pages, "TABLE_BYTES", 2 * len(row))
    table = Block("Numbers", ("x",), (("a",),) * 3)
    found = page_of(Section("a", "A", "?", [part(1), part(2), Part("b", blocks=(table,))]))
    assert set(found.packed) == {"figure-0", "plotly"}
    assert sum("The figure is left out to keep this file small" in word for word in found.words) == 1
    assert "1 of 3 rows are left out to keep this file small: " in "".join(found.words)
    assert len(found.all("tr")) == 3  # the header, and two


def test_no_section_takes_the_room_of_the_others(monkeypatch):
    parts = [part(number) for number in range(4)]
    monkeypatch.setattr(pages, "FIGURE_BYTES", int(3.5 * len(packed_figure(parts[0].drawing.make()))))
    row = '<tr><th scope="row">a</th></tr>'
    monkeypatch.setattr(pages, "TABLE_BYTES", 3 * len(row))
    tables = [Part("b", blocks=(Block(f"rows {number}", ("x",), (("a",),)),)) for number in range(4)]
    sections = (Section("first", "A", "?", [*parts, *tables]), Section("second", "B", "?", [part(9), tables[0]]))
    first, second = (Elements(text) for text in html_page(Report("a run", (), sections)).split('id="second"'))
    plots = [[found for found in half.all("div") if found.get("class") == "plot"] for half in (first, second)]
    assert [len(found) for found in plots] == [2, 1]
    assert "1 of 1 rows are left out" not in "".join(second.words)
    assert len({found["data-figure"] for half in plots for found in half}) == 3


def test_budgets_are_bytes_and_parts_without_room_are_left_out_and_counted(monkeypatch):
    monkeypatch.setattr(pages, "TABLE_BYTES", 100)
    wide = Block("Numbers", ("x",), (("µ" * 40,),) * 2)  # 80 bytes, and 30 of tags
    assert "2 of 2 rows are left out" in "".join(page_of(Section("a", "A", "?", [Part("b", blocks=(wide,))])).words)
    monkeypatch.setattr(pages, "TEXT_BYTES", 1)
    found = page_of(Section("a", "A", "?", [Part("one"), Part("two"), Part("three")]))
    assert "one" in found.words
    assert "two" not in found.words
    assert "2 of 3 parts are left out to keep this file small" in "".join(found.words)


LONG = {
    "notes": Block("notes", (), (), tuple(f"{number} " + "n" * 990 for number in range(12_000))),
    "notes of a table": Block("rows", ("x",), (("a",),), tuple(f"{number} " + "n" * 990 for number in range(12_000))),
    "text": Block("suite", (), (), tuple(f"{number} " + "t" * 90 for number in range(120_000)), unfolded=True),
}


@pytest.mark.parametrize("name", LONG)
def test_notes_and_lines_of_one_part_take_the_room_of_text_and_no_more(name):
    block = LONG[name]
    text = html_page(Report("a run", (), (Section("a", "A", "?", [Part("p", blocks=(block,))]),)))
    assert len(text.encode()) < pages.TEXT_BYTES + 100_000
    found = Elements(text)
    said = re.search(rf"(\d+) of {len(block.notes)} lines are left out to keep this file small", "".join(found.words))
    assert said is not None
    shown = "".join(found.words).count("nnn" * 330) or "".join(found.words).count("ttt" * 30)
    assert shown == len(block.notes) - int(said[1]) > 500


def test_a_page_of_many_small_tables_stays_small_and_says_so():
    tables = tuple(Block(f"table {number}", ("x",), ()) for number in range(12_000))
    text = html_page(Report("a run", (), (Section("a", "A", "?", [Part("p", blocks=tables)]),)))
    assert len(text.encode()) < pages.TEXT_BYTES + 100_000
    found = Elements(text)
    left_out = len(tables) - len(found.all("table"))
    assert f"{left_out} of 12000 tables are left out to keep this file small: " in "".join(found.words)


def test_a_long_first_part_leaves_room_for_every_later_part_of_every_section():
    lines = Block("lines", (), (), tuple(f"{number} " + "n" * 990 for number in range(3000)))
    first = Section("first", "A", "?", [Part("", blocks=(lines,)), Part("more of A", blocks=(lines,))])
    few = Block("", (), (), tuple(f"note {number}" for number in range(20)))
    others = [
        Section(f"s{number}", f"S{number}", "?", [Part(f"{number}-{place}", blocks=(few,)) for place in range(3)])
        for number in range(7)
    ]
    words = page_of(first, *others).words
    assert "parts are left out" not in "".join(words)
    assert {"more of A", *(f"{number}-{place}" for number in range(7) for place in range(3))} <= set(words)
    assert words.count("note 19") == 21
    assert sum("of 3000 lines are left out" in word for word in words) == 2


@pytest.mark.parametrize("name", HOSTILE)
def test_text_of_a_store_is_shown_and_never_acted_upon(name):
    evil = HOSTILE[name] + " " + "x" * 10_000
    block = Block(evil, (evil,), ((evil,),), (evil,))
    hostile = Part(
        evil, {evil: evil, "Gate": evil}, part().drawing, evil, (block, Block(evil, (), (), (evil,), unfolded=True))
    )
    section = Section("a", evil, evil, [hostile], (evil,), (evil,))
    text = html_page(Report(evil, (evil,), (section,)))
    found, plain = Elements(text), page_of(Section("a", "t", "?", [Part("t", {"Gate": "g"}, part().drawing, "c", (Block("t", ("h",), (("r",),), ("n",)), Block("t", (), (), ("n",), unfolded=True)))], (), ("n",)))  # fmt: skip
    tags = [tag for tag, _ in found.tags if tag not in ("code", "p")]
    assert tags == [tag for tag, _ in plain.tags if tag not in ("code", "p")]
    assert "evil" in "".join(found.words)
    hidden = "".join(found.words) + "".join(value for _, attributes in found.tags for value in attributes.values() if value)  # fmt: skip
    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069\u200b-\u200f\x00\x1b]", hidden.replace(found.packed["plotly"], "")
    )
    assert len(text) < len(packed_plotly()) + 60_000

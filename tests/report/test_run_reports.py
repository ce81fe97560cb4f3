"""A plain run for CI: its Markdown shows what the terminal shows, failures first; its JSON keeps the documented schema."""

import importlib.util
import json
import re
from pathlib import Path

import pytest
from hostile import HOSTILE
from markdown_it import MarkdownIt

from gatebench.analyze.compare import compare, pay_back_calls
from gatebench.report.ci.markdown import MOST_BYTES
from gatebench.report.ci.run_markdown import run_markdown
from gatebench.report.ci.schemas import first_fault, schema
from gatebench.report.stored_run import View, print_run
from gatebench.report.table import Block, blocks
from gatebench.store.read import load
from gatebench.store.schema import TABLES
from tests.synthetic import Plan, write_store

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One synthetic run with failures of each kind."""
    store = tmp_path_factory.mktemp("results")
    (run_id,) = write_store(store, Plan(gates=("lstm", "glu"), seq_lens=(64, 128), hidden_sizes=(64, 128)))
    return store / "runs" / run_id


def frames(folder):
    """Return (compared, samples, stability, manifest)."""
    results = load(folder)
    compared = compare(results.measurements, results.samples)
    return compared.assign(pay_back_calls=pay_back_calls(compared)), results.samples, results.stability, results.folders[0].manifest  # fmt: skip


def tables(text):
    """Return every table of a page as rows of the text that a reader sees."""
    found, cell = [], False
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(text):
        if token.type == "table_open":
            found.append([])
        elif token.type == "tr_open":
            found[-1].append([])
        elif cell:
            found[-1][-1].append("".join(child.content for child in token.children))
        cell = token.type in ("th_open", "td_open")
    return found


def test_the_tables_are_those_of_the_terminal_after_the_failures(folder):
    compared, samples, stability, manifest = frames(folder)
    text = run_markdown(compared, samples, stability, manifest)
    failed, *shown = tables(text)
    expected = [[list(block.header), *map(list, block.rows)] for block in blocks(compared, samples, stability)]
    assert shown[: len(expected)] == expected
    assert failed[0] == ["case", "what"]
    assert len(failed) == 11
    assert sum(len(rows) - 1 for rows in (failed, *shown[len(expected) :])) == compared["status"].isin(["wrong", "failed", "timeout", "out_of_memory"]).sum()  # fmt: skip
    assert re.match(r"\*\*GateBench: \d+ wrong, \d+ unavailable, \d+ timeout, \d+ out of memory, \d+ ok\*\*", text)
    assert "geometric mean over" in text
    assert f"run `{manifest['run_id']}`" in text


def test_the_page_of_a_large_run_stays_small_and_says_what_was_cut(folder):
    compared, samples, stability, manifest = frames(folder)
    whole = run_markdown(compared, samples, stability, manifest)
    text = run_markdown(compared, samples, stability, manifest, 5000)
    cut = int(re.search(r"^(\d+) rows were cut to stay under 5 kB\.$", text, re.M).group(1))
    assert len(text.encode()) <= 5000 < len(whole.encode()) <= MOST_BYTES
    assert sum(len(rows) - 1 for rows in tables(text)) + cut == sum(len(rows) - 1 for rows in tables(whole))


def outside_code(page):
    """Return what of a page is foreign text outside code, a link, an image or HTML."""
    parsed = MarkdownIt("commonmark", {"html": True}).enable("table").parse(page)
    every = [token for line in parsed for token in (line, *(line.children or ()))]
    foreign = [
        token for token in every if "evil" in token.content and token.type not in ("code_inline", "fence", "inline")
    ]
    return foreign + [token for token in every if token.type in ("link_open", "image", "html_inline")]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_others_stand_in_code(folder, name):
    compared, samples, stability, manifest = frames(folder)
    text = HOSTILE[name].replace("\ud800", "")  # which no store can hold
    compared = compared.assign(gate=text, kernel=text, device_name=text)
    compared["reason"] = compared["reason"].where(compared["status"] == "ok", text)
    compared["implementation"] = compared["implementation"].where(compared["implementation"] != "numba", text)
    manifest = {**manifest, "environment": {"device_name": text}, "suite": {"name": text}}
    page = run_markdown(compared, samples, stability, manifest)
    assert outside_code(page) == []


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_a_stability_run_stand_in_code_too(folder, name):
    compared, samples, stability, manifest = frames(folder)
    text = HOSTILE[name].replace("\ud800", "")
    named = stability.assign(
        init=stability["init"] + text, inputs=text, label=stability["label"].where(stability["metric"] != "class", text)
    )
    page = run_markdown(compared.iloc[:0], samples, named, manifest)
    assert outside_code(page) == []
    assert "evil" in page


def test_numbers_stand_as_they_are_and_any_other_cell_in_code(folder, monkeypatch):
    cells = (
        "1.42× [1.38, 1.46] *? ~",
        "318 µs =",
        "1.42× [wide] ~!",
        "3 µs !",
        "not measured",
        "–",
        "www.evil.com",
        "[1](//evil.com)",
    )
    block = Block("title", ("name", *map(str, range(len(cells)))), (("lstm", *cells),))
    monkeypatch.setattr("gatebench.report.ci.run_markdown.blocks", lambda *_: [block])
    page = run_markdown(*frames(folder))
    assert (
        r"| `lstm` | 1.42× [1.38, 1.46] \*? \~ | 318 µs = | 1.42× [wide] \~! | 3 µs ! | not measured | – | `www.evil.com` | `[1](//evil.com)` |"
        in page
    )


def test_every_mark_of_a_table_is_explained(folder, monkeypatch):
    page = run_markdown(*frames(folder))
    assert "! inconclusive: others disturbed over a fifth of its samples." in page
    assert "[wide]" not in page
    block = Block("title", ("name", "speed-up"), (("lstm", "1.42× [wide]"),))
    monkeypatch.setattr("gatebench.report.ci.run_markdown.blocks", lambda *_: [block])
    assert "[wide] an interval whose ends are more than twentyfold apart" in run_markdown(*frames(folder))


def test_a_run_without_cases_has_a_page(folder):
    compared, samples, stability, manifest = frames(folder)
    text = run_markdown(compared.iloc[:0], samples.iloc[:0], stability, {**manifest, "status": "partial"})
    assert "ok**" in text
    assert "interrupted: not all was measured" in text
    assert len(tables(text)) >= 1
    assert run_markdown(compared.iloc[:0], samples, stability.iloc[:0], manifest).startswith("**GateBench: nothing was measured**")  # fmt: skip


def test_the_printed_json_keeps_the_schema_of_runs(folder, capsys):
    print_run(folder, View(as_json=True))
    value = json.loads(capsys.readouterr().out)
    assert len(value["measurements"]) > 10
    assert first_fault(value, "run") is None
    fields = schema("run")["$defs"]["measurement"]["properties"]
    assert set(value["measurements"][0]) == set(fields)
    assert {column.name for column in TABLES["measurements"]} < set(fields)
    del value["measurements"][0]["speedup"]
    assert "speedup" in first_fault(value, "run")


def test_the_page_of_json_is_as_new_as_the_schemas():
    spec = importlib.util.spec_from_file_location("docs_json_page", DOCS / "json_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = (DOCS / "json.md").read_text(encoding="utf-8")
    assert text == module.page(), "run docs/json_page.py"
    fields = re.findall(r"^\| `([\w.\[\]]+)` \| ([^|]+) \| ([^|]+) \|$", text, re.M)
    assert len(fields) > 80
    assert [path for path, kind, meaning in fields if not kind.strip() or not meaning.strip()] == []


def test_the_schemas_are_schemas():
    from jsonschema import Draft202012Validator

    for name in ("ab", "run"):
        Draft202012Validator.check_schema(schema(name))

"""The report as one HTML file: its sections, what is packed in it, hostile names, and its size."""

import json
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import plotly.graph_objects as go
import pytest

from gatebench.errors import StoreError, UserError
from gatebench.report.html import page as pages
from gatebench.report.html.content import Drawing, Part, Report, Section
from gatebench.report.html.document import run_report, two_runs_report
from gatebench.report.html.page import html_page
from gatebench.report.html.plots import packed_figure, packed_plotly, unpacked
from gatebench.report.html.slices import BlocksByCase, slices
from gatebench.report.table import Block
from gatebench.store.read import find_run
from tests.report.hostile import HOSTILE
from tests.report.stored_ab import SAME, SUSPECT, write_ab
from tests.synthetic import Plan, write_store

SMALL = Plan(gates=("lstm", "gru"), seq_lens=(64, 128), hidden_sizes=(64, 128), modes=("forward",))
SECTIONS = ["Summary", "Compare", "Trade-off", "Scaling", "Winner map", "Stability", "Coverage", "Environment"]


class Elements(HTMLParser):
    """What a browser would find: tags with attributes, and the text outside scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.packed, self._inside = [], [], {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self._inside = (tag, attributes.get("id")) if tag in ("script", "style") else self._inside

    def handle_endtag(self, tag):
        self._inside = None if tag in ("script", "style") else self._inside

    def handle_data(self, data):
        if self._inside is None:
            self.words.append(data)
        elif self._inside[1]:
            self.packed[self._inside[1]] = data

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """A store with two runs of one machine; in the second, numba takes a fifth longer."""
    from dataclasses import replace

    found = tmp_path_factory.mktemp("html") / "results"
    write_store(found, replace(SMALL, runs=2, suites=("quick",), steps={"numba": (1, 1.2)}, series=True))
    return found


@pytest.fixture(scope="module")
def text(store):
    return html_page(run_report(find_run(store, "latest")))


def page_of(*sections, title="a run"):
    return Elements(html_page(Report(title, (), sections)))


def part(number=1, **more):
    figure = go.Figure().add_scatter(x=[1, 2], y=[number, float("nan")])
    return Part("a part", {"Gate": f"g{number}"}, Drawing(lambda: figure, "alt", "name"), "a caption", **more)


def test_a_page_has_every_section_with_its_question_and_its_figures(text):
    found = Elements(text)
    assert [section["id"] for section in found.all("section")] == [name.lower().replace(" ", "-") for name in SECTIONS]
    assert [link["href"] for link in found.all("a")] == [f"#{section['id']}" for section in found.all("section")]
    assert "What should I use at (T, H)?" in found.words
    plots = [element for element in found.all("div") if element.get("class") == "plot"]
    assert all(plot["aria-label"] and plot["role"] == "img" for plot in plots)
    assert {plot["data-figure"] for plot in plots} | {"plotly"} == set(found.packed)
    # 2 gates, each: against T at the smaller H, against H at the smaller T (nobody asked for the corner); a map by time
    # alone and over each number of calls; the errors at one shape, for all have the same number of times at three.
    alts = [plot["aria-label"] for plot in plots]
    assert sum(alt.startswith("time of one call against") for alt in alts) == 4
    assert sum(alt.startswith("fastest implementation") for alt in alts) == 2 * 4


def test_a_page_loads_nothing_and_may_not(text):
    found = Elements(text)
    assert [tag for tag, attributes in found.tags for name in attributes if name in ("src", "srcset")] == []
    assert not found.all("link")
    assert {attributes["href"][0] for attributes in found.all("a")} == {"#"}
    (policy,) = [meta["content"] for meta in found.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy


def test_a_page_tells_no_path(store, text):
    assert str(store) not in text
    assert str(store.parent.name) not in text


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


def test_a_hostile_run_has_a_page_without_a_tag_of_its_own(store, tmp_path):
    from gatebench.store.write import write_run

    run = find_run(store, "latest")
    evil = HOSTILE["html"]
    tables = {}
    for name in ("measurements", "samples", "accuracy", "stability"):
        frame = pd.read_parquet(run.path / f"{name}.parquet").astype(object)
        frame = frame.where(frame.notna(), None)
        for column in {"gate", "implementation", "reason", "tensor", "init"} & set(frame):
            frame[column] = pd.Series(
                [None if value is None else f"{value}{evil}" for value in frame[column]], dtype=object
            )
        tables[name] = frame.to_dict("records")
    manifest = dict(run.manifest) | {"suite": {"name": evil, "text": evil}, "environment": {"device_name": evil}}
    gates = [{"name": f"{gate['name']}{evil}", "family": "recurrent"} for gate in run.gates()]
    folder = tmp_path / "runs" / run.run_id
    write_run(tmp_path / "_staging" / run.run_id, folder, manifest, gates, tables)
    found = Elements(html_page(run_report(find_run(tmp_path, "latest"))))
    assert len(found.all("script")) == len(found.packed) + 1
    assert not found.all("img")


def test_two_runs_show_changes_first_and_both_environments(store):
    before, after = (find_run(store, run.name) for run in sorted((store / "runs").iterdir()))
    report = two_runs_report(before, after, False)
    assert [section.title for section in report.sections] == [
        "Compare", "Summary (B)", "Trade-off (B)", "Scaling (B)", "Winner map (B)", "Stability (B)", "Coverage (B)", "Environment",
    ]  # fmt: skip
    (changed,) = report.sections[0].parts
    cases = next(block for block in changed.blocks if block.title == "Cases")
    numba = [row for row in cases.rows if "numba" in row[1]]
    assert numba
    assert all(row[2].startswith("+") for row in numba)  # a fifth slower
    facts = report.sections[-1].parts[0].blocks[0]
    assert facts.header == ("what", "A", "B", "")
    assert next(row for row in facts.rows if row[0] == "run") == ("run", before.run_id, after.run_id, "differs")
    assert "differs" not in next(row for row in facts.rows if row[0] == "processor")


def test_two_machines_are_refused_unless_asked_for(tmp_path):
    ids = write_store(tmp_path, Plan(runs=2, gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), machines=("EPYC", "M3"), stability=False))  # fmt: skip
    before, after = (find_run(tmp_path, name) for name in ids)
    with pytest.raises(
        UserError, match=r"^report: two environment classes \(device_name EPYC and M3\); .*--across-machines"
    ):
        two_runs_report(before, after, False)
    compare = two_runs_report(before, after, True).sections[0]
    assert any("speeds of two machines" in note for note in compare.notes)


def test_an_ab_shows_its_stored_verdicts_and_not_its_controls(tmp_path):
    run = find_run(tmp_path, str(write_ab(tmp_path)))
    report = run_report(run)
    found = Elements(html_page(report))
    assert "Did anything become slower or wrong, and can I believe it?" in found.words
    assert len(found.all("pre")) == 1  # the commands that measure and compute it again, not folded: nothing names them
    assert len(found.all("details")) == len(found.all("summary")) == "".join(found.words).count("Cases (")
    compare = report.sections[1]
    time = next(part for part in compare.parts if part.keys == {"Quantity": "time"})
    rows = {row[1]: row for block in time.blocks if block.title == "Cases" for row in block.rows}
    assert len(rows) == 2
    stored = pd.read_parquet(run.path / "verdicts.parquet").query("quantity == 'time'").set_index("case_id")
    assert [row[3] for row in rows.values()] == stored.loc[[SAME, SUSPECT], "verdict"].tolist()
    assert "gatebench:control" not in html_page(report).split('id="scaling"')[1].split('id="environment"')[0]


def test_a_run_of_stability_alone_says_that_nothing_was_timed(tmp_path, store):
    run = find_run(store, "latest")
    shutil.copytree(run.path, tmp_path / "runs" / run.run_id)
    manifest = json.loads((run.path / "manifest.json").read_text())
    for name in ("measurements", "samples", "accuracy"):
        (tmp_path / "runs" / run.run_id / f"{name}.parquet").unlink()
        del manifest["files"][f"{name}.parquet"]
    (tmp_path / "runs" / run.run_id / "manifest.json").write_text(json.dumps(manifest))
    report = run_report(find_run(tmp_path, "latest"))
    notes = {section.title: section.notes for section in report.sections}
    assert notes["Compare"] == ("Nothing was timed in this run.",)
    assert notes["Coverage"] == ("Nothing was measured that names a gate.",)
    assert any(part.drawing for part in next(s for s in report.sections if s.title == "Stability").parts)
    assert "Nothing was timed in this run." in Elements(html_page(report)).words


def test_a_calibration_and_a_run_that_cannot_be_read_are_refused(tmp_path, store):
    with pytest.raises(UserError, match="is a calibration"):
        run_report(find_run(tmp_path, str(write_ab(tmp_path, purpose="calibrate"))))
    run = find_run(store, "latest")
    shutil.copytree(run.path, tmp_path / "broken" / "runs" / run.run_id)
    (tmp_path / "broken" / "runs" / run.run_id / "accuracy.parquet").write_bytes(b"nothing")
    with pytest.raises(StoreError, match=r"accuracy\.parquet cannot be read"):
        run_report(find_run(tmp_path / "broken", "latest"))


def test_slices_differ_in_what_is_chosen_and_keep_the_order_of_the_suite(store):
    run = find_run(store, "latest")
    measurements = pd.read_parquet(run.path / "measurements.parquet")
    found = slices(pd.concat([measurements, measurements.assign(mode="backward", batch=2)]))
    assert [each.title for each in found] == [
        f"{gate} · {mode} · float32 · cpu, 2 threads · B = {batch} · I = H"
        for gate in ("lstm", "gru") for mode, batch in (("forward", 16), ("backward", 2))
    ]  # fmt: skip
    assert sum(len(each.rows) for each in found) == 2 * len(measurements)
    assert slices(measurements.assign(seq_len=None)) == []


def test_samples_of_cases_are_those_of_the_whole_table():
    samples = pd.DataFrame({"case_id": ["a", "b", "a", "c"], "wall_ns": [1, 2, 3, 4]})
    assert BlocksByCase(samples).of(pd.DataFrame({"case_id": ["a", "c", "d"]}))["wall_ns"].tolist() == [1, 3, 4]
    assert BlocksByCase(samples[:0]).of(pd.DataFrame({"case_id": ["a"]})).empty


@pytest.mark.slow
def test_two_thousand_cases_stay_below_eight_megabytes(tmp_path):
    plan = Plan(gates=("lstm", "gru", "rnn_tanh", "glu", "swiglu", "mgu", "sru"), seq_lens=(16, 32, 64, 128, 256, 512), hidden_sizes=(32, 64, 128, 256, 512, 1024), series=True)  # fmt: skip
    write_store(tmp_path, plan)
    report = run_report(find_run(tmp_path, "latest"))
    counts = next(block for block in report.sections[0].parts[0].blocks if block.title == "Outcomes")
    assert sum(map(int, counts.rows[0][1:])) > 1950
    text = html_page(report)
    assert len(text.encode()) < 8_000_000
    assert "left out to keep this file small" not in text


def test_progress_is_told_part_by_part():
    told = []
    section = Section("a", "A", "Why?", [Part("one"), Part("two")])
    html_page(Report("title", (), (section,)), lambda done, parts: told.append((done, parts)))
    assert told == [(1, 2), (2, 2)]

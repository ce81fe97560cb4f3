"""The report as one HTML file: its sections, what is packed in it, hostile names, and its size."""

import json
import shutil

import pandas as pd
import pytest
from html_elements import Elements

from gatebench.errors import StoreError, UserError
from gatebench.report.html.content import Part, Report, Section
from gatebench.report.html.document import run_report, two_runs_report
from gatebench.report.html.page import html_page
from gatebench.report.html.plots import unpacked
from gatebench.report.html.slices import BlocksByCase, slices
from gatebench.store.read import find_run
from tests.report.hostile import HOSTILE
from tests.report.stored_ab import SAME, SUSPECT, write_ab
from tests.synthetic import Plan, write_store

SMALL = Plan(gates=("lstm", "gru"), seq_lens=(64, 128), hidden_sizes=(64, 128), modes=("forward",))
OF_STABILITY = {  # an axis or a panel of each figure of stability but the sweep
    "norm / norm at the end", "half-life (steps)", "share of values", "index (1 is the largest)", "steps of training",
}  # fmt: skip
SECTIONS = ["Summary", "Compare", "Trade-off", "Scaling", "Winner map", "Stability", "Coverage", "Environment"]


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


def shown_in(packed):
    """Return a packed figure without the second entries of points: keys of clicks, which no text shows."""
    figure = json.loads(unpacked(packed))
    for trace in figure["data"]:
        trace["customdata"] = [each[0] if isinstance(each, list) else each for each in trace.get("customdata", [])]
    return json.dumps(figure)


def test_a_hostile_run_has_a_page_without_a_tag_of_its_own(store, tmp_path):
    from gatebench.store.write import write_run

    run = find_run(store, "latest")
    evil = HOSTILE["html"]
    tables = {}
    for name in ("measurements", "samples", "accuracy", "stability"):
        frame = pd.read_parquet(run.path / f"{name}.parquet").astype(object)
        frame = frame.where(frame.notna(), None)
        for column in {"gate", "implementation", "reason", "tensor", "init", "part"} & set(frame):
            frame[column] = pd.Series([f"{value}{evil}" if value else value for value in frame[column]], dtype=object)
        tables[name] = frame.to_dict("records")
    manifest = dict(run.manifest) | {"suite": {"name": evil, "text": evil}, "environment": {"device_name": evil}}
    gates = [{"name": f"{gate['name']}{evil}", "family": "recurrent"} for gate in run.gates()]
    folder = tmp_path / "runs" / run.run_id
    write_run(tmp_path / "_staging" / run.run_id, folder, manifest, gates, tables)
    found = Elements(html_page(run_report(find_run(tmp_path, "latest"))))
    assert len(found.all("script")) == len(found.packed) + 1
    assert not found.all("img")
    figures = [shown_in(packed) for name, packed in found.packed.items() if name.startswith("figure-")]
    assert {title for figure in figures for title in OF_STABILITY if f'"{title}"' in figure} == OF_STABILITY
    # Plotly takes links and more from the text that it draws: all of it is escaped.
    assert [figure for figure in figures for tag in ("<script", "<img", "</code", "<!--") if tag in figure] == []


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
    assert time.drawing is not None
    assert not any("diamond-wide" in str(trace.marker.symbol) for trace in time.drawing.make().data)
    assert "Diamonds" not in time.caption


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

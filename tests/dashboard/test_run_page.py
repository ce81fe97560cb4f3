"""The page Run: facts, raw samples, environment beside another run's, texts, downloads; on odd and hostile stores too."""

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from test_pages import texts, well

from dashboard import elements
from tests.synthetic import Plan, write_store

HOSTILE = "<img src=x onerror=alert(1)> **bold** `code` " + "x" * 10_000


def runs_of(store: Path) -> list[Path]:
    return sorted((store / "runs").iterdir())


def rewrite(folder: Path, **entries) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def tables(app) -> pd.DataFrame:
    """Return all tables of a page as rows of text, below each other."""
    frames = [element.value.set_axis(range(element.value.shape[1]), axis=1) for element in app.table]
    return pd.concat(frames).map(lambda cell: str(cell).replace("\\", ""))


@pytest.fixture
def two_runs(tmp_path):
    store = tmp_path / "results"
    write_store(
        store,
        Plan(
            runs=2,
            gates=("gru",),
            seq_lens=(64,),
            hidden_sizes=(64,),
            modes=("forward",),
            stability=False,
            failures=False,
        ),
    )
    return store


def test_the_facts_of_the_newest_run_are_shown(opened, two_runs):
    newest = runs_of(two_runs)[-1]
    rewrite(
        newest, elapsed={"total_s": 83.2, "compile_s": 30.0}, measure={"blocks": 3}, resumes="20260101T000000Z-0000",
        git={"sha": "abc123", "dirty": True},
    )  # fmt: skip
    app = opened(two_runs, "run")
    well(app, "run")
    facts = tables(app)
    found = dict(zip(facts[0], facts[1], strict=True))
    assert found["run"] == newest.name
    assert found["took"] == "83.2 s, of it 30.0 s compiling"
    assert found["resumes"] == "20260101T000000Z-0000"
    assert found["commit"] == "abc123 with uncommitted changes"
    assert found["measure"] == "blocks = 3"
    assert "rows, " in found["outcome"]
    assert "1 unavailable" in found["outcome"]
    assert f"gatebench compare {newest.name}" in texts(app)


def test_a_case_from_the_url_shows_its_raw_samples_and_how_alike_they_are(opened, one_run):
    samples = pd.read_parquet(next((one_run / "runs").iterdir()) / "samples.parquet")
    case = samples["case_id"].iloc[0]
    app = opened(one_run, "run", case=case)
    assert "raw samples" in texts(app).lower()
    assert len(app.get("plotly_chart")) == 2
    captions = " ".join(str(caption.value) for caption in app.caption)
    assert "n = 3 blocks" in captions
    assert "Autocorrelation" in captions


def test_no_case_is_shown_until_one_is_chosen_and_choosing_shows_it(opened, one_run):
    app = opened(one_run, "run")
    assert len(app.get("plotly_chart")) == 0
    box = app.selectbox(key="case")
    assert box.value is None
    app = box.select(box.options[0]).run()
    assert not app.exception
    assert len(app.get("plotly_chart")) == 2


def test_a_case_that_the_run_does_not_have_is_dropped_and_said(opened, one_run):
    app = opened(one_run, "run", case="nobody/knows")
    assert "case = `nobody/knows` does not exist here" in texts(app)
    assert app.selectbox(key="case").value is None


def test_dropped_samples_are_counted_with_their_reasons(opened, two_runs):
    path = runs_of(two_runs)[-1] / "samples.parquet"
    table = pq.read_table(path)
    frame = table.to_pandas()
    case = frame["case_id"].iloc[0]
    first = frame.index[frame["case_id"] == case][:2]
    frame["reason"] = frame["reason"].astype(object)
    frame.loc[frame["case_id"] == case, ["dropped", "reason"]] = [False, None]
    frame.loc[first, "dropped"] = True
    frame.loc[first, "reason"] = ["steal: 6 % of it", "steal: 20 % of it"]
    pq.write_table(type(table).from_pandas(frame, schema=table.schema, preserve_index=False), path)
    app = opened(two_runs, "run", case=case)
    assert "2 of 12 samples were dropped" in texts(app)
    assert (tables(app)[0] == "steal: 6 to 20 % of it").any()


def test_what_makes_two_environment_classes_differ_comes_first(opened, two_runs):
    old, new = runs_of(two_runs)
    environment = {
        "device_name": "EPYC",
        "system": "Linux 6.1",
        "cores": 2,
        "versions": {"torch": "2.1", "python": "3.11.1"},
    }
    rewrite(old, environment=environment, environment_class="a")
    other = environment | {"system": "Linux 6.2", "cores": 4, "versions": {"torch": "2.1", "python": "3.11.9"}}
    rewrite(new, environment=other, environment_class="b")
    app = opened(two_runs, "run")
    box = app.selectbox(key="other_run")
    app = box.select(box.options[0]).run()
    assert "differ by 1 of these facts" in texts(app)
    found = tables(app)
    found = found[found[2] != "nan"]
    assert found[found[0] == "cores"].iloc[0].tolist() == ["cores", "4", "2", "times are not comparable"]
    rest = found[found[0].isin(["system", "versions.python"])]
    assert rest[[0, 1, 2]].values.tolist() == [
        ["system", "Linux 6.2", "Linux 6.1"],
        ["versions.python", "3.11.9", "3.11.1"],
    ]


def test_alike_environments_are_said_to_be_the_same(opened, two_runs):
    app = opened(two_runs, "run")
    box = app.selectbox(key="other_run")
    app = box.select(box.options[0]).run()
    assert "the same in everything that was recorded" in texts(app)


def test_suite_and_plugins_are_shown_as_code(opened, two_runs):
    plugin = {
        "name": HOSTILE,
        "file": "my.py",
        "sha256": "f" * 64,
        "package": None,
        "version": None,
        "text": "import evil",
    }
    suite = {"name": "mine", "sha256": "0" * 64, "text": 'name = "mine" # ' + HOSTILE}
    rewrite(runs_of(two_runs)[-1], plugins=[plugin], suite=suite)
    app = opened(two_runs, "run")
    well(app, "run")
    codes = [code.value for code in app.code]
    assert any("import evil" in code for code in codes)
    assert any(HOSTILE in code for code in codes)
    assert not any(re.search(r"(?<!\\)<img", str(element.value)) for element in app.markdown)
    assert "file my.py, sha256 ffffffffffff" in texts(app)


@pytest.mark.parametrize(
    "entry",
    [
        {"suite": "text", "git": [], "plugins": {"a": 1}, "measure": 3, "elapsed": "long", "environment": None, "request": []},
        {"suite": None, "git": None, "plugins": None, "measure": None, "elapsed": None, "environment": {"versions": 3}},
        {"created_utc": 7, "status": None, "purpose": ["x"], "harness": None},
        {"environment": {"ceilings": [{"bytes": "big", "bytes_per_s": 1}, 3], "peaks": [{"flops_per_s": "fast"}], "caches": 7, "cuda": "x"}},
    ],
)  # fmt: skip
def test_a_manifest_of_another_shape_is_shown_as_far_as_it_goes(entry):
    from gatebench.report.run_facts import environment_differences, environment_table, plugins, run_facts, suite_text

    manifest = {"run_id": "r", "environment_class": "a", **entry}
    assert dict(run_facts(manifest))["run"] == "r"
    assert plugins(manifest) == []
    assert suite_text(manifest) == ""
    environment_table(manifest)
    assert environment_differences(manifest, {"environment_class": "b"}).iloc[0]["so"] == "times are not comparable"


def test_files_are_listed_and_each_table_can_be_downloaded(opened, two_runs):
    folder = runs_of(two_runs)[-1]
    app = opened(two_runs, "run")
    found = tables(app)
    assert found[found[0] == "measurements.parquet"].iloc[0][2] == "5"
    keys = {button.key for button in app.get("download_button")} if app.get("download_button") else set()
    assert {"csv_measurements", "parquet_samples"} <= keys
    from dashboard.views import run as page

    assert page._bytes(folder / "samples.parquet") == (folder / "samples.parquet").read_bytes()
    assert page._csv(folder, "measurements").count("\n") == 6


def test_a_download_of_a_file_that_went_away_says_so(tmp_path):
    from dashboard.views import run as page

    assert b"No such file" in page._bytes(tmp_path / "x.parquet")
    assert "manifest.json" in page._csv(tmp_path, "samples")


@pytest.mark.parametrize(("apart", "goes_on"), [(1.0, False), (10.0, True)])
def test_an_interval_wider_than_the_figure_is_said_to_go_on(opened, two_runs, apart, goes_on):
    path = runs_of(two_runs)[-1] / "samples.parquet"
    table = pq.read_table(path)
    samples = table.to_pandas()
    by_block = samples.assign(wall_ns=1e6 * apart ** samples["block"] * (1 + 0.1 * samples["round"]))
    pq.write_table(type(table).from_pandas(by_block, schema=table.schema, preserve_index=False), path)
    box = opened(two_runs, "run").selectbox(key="case")
    found = well(box.select(box.options[0]).run(), "run")
    assert "kept samples" in found
    assert ("the band of the interval goes on beyond the figure" in found) == goes_on


def test_a_run_without_samples_says_so(opened, two_runs):
    folder = runs_of(two_runs)[-1]
    (folder / "samples.parquet").write_bytes(b"PAR1")
    app = opened(two_runs, "run")
    found = well(app, "run")
    assert "The samples of this run cannot be read." in found
    assert "Nothing was timed" not in found


def test_a_run_that_looked_at_gradients_only_says_so_and_leaves_out_what_is_of_times(opened, tmp_path, monkeypatch):
    kept = {}
    monkeypatch.setattr(elements, "ways_out", lambda command, frame, name, filters: kept.update({name: frame}))
    store = tmp_path / "results"
    write_store(store, Plan(gates=("gru",), implementations=()))
    [folder] = runs_of(store)
    measure = {"blocks": 3, "sample_ms": 20.0, "timeout_s": 300.0, "memory_mb": 0, "error_limit": None}
    rewrite(folder, measure=measure, request={"why": "", "cases": [], "stability": [{}]}, purpose="run")
    app = opened(store, "run")
    page = well(app, "run")
    shown = app.table[0].value.map(lambda cell: cell.replace("\\", ""))
    facts = dict(zip(shown["what"], shown["value"], strict=True))
    assert facts["purpose"] == "run: looks at gradients only"
    assert facts["measure"] == "timeout_s = 300.0, memory_mb = 0"
    rows = len(pd.read_parquet(folder / "stability.parquet"))
    assert facts["outcome"].startswith(f"{rows} rows of gradients, ")
    assert facts["outcome"].endswith(" unsupported")  # gru has no forget gate
    assert "why" not in facts
    assert all(facts.values())
    assert "Nothing was timed in this run: it looked at gradients only." in page
    assert {button.key for button in app.get("download_button")} == {"csv_stability", "parquet_stability"}
    assert len(kept["stability"]) == rows
    assert "measurements" not in kept


def test_a_run_that_measured_nothing_says_so(opened, tmp_path):
    store = tmp_path / "results"
    write_store(store, Plan(gates=("gru",), implementations=(), stability=False))
    app = opened(store, "run")
    assert "Nothing was timed in this run." in well(app, "run")
    assert app.table[0].value["value"].iloc[-1] == "nothing was measured"
    assert not app.get("download_button")


@pytest.mark.parametrize(
    ("entries", "only"),
    [({}, True), ({"request": {"cases": [{"gates": ["gru"]}]}}, False), ({"purpose": "calibrate"}, False), ({"files": {}}, False), ({"files": {"measurements.parquet": {"rows": 3}, "stability.parquet": {"rows": 5}}}, False)],
)  # fmt: skip
def test_gradients_only_is_what_was_asked_for_no_case_and_stored_none(entries, only):
    from gatebench.report.run_facts import gradients_only

    files = {"measurements.parquet": {"rows": 0}, "stability.parquet": {"rows": 5}}
    assert gradients_only({"files": files, **entries}) is only


def test_the_data_are_the_measurements_and_those_of_a_chosen_case_its_samples(opened, two_runs, monkeypatch):
    kept = {}
    monkeypatch.setattr(elements, "ways_out", lambda command, frame, name, filters: kept.update({name: frame}))
    app = opened(two_runs, "run")
    assert set(kept["measurements"]["run_id"]) == {runs_of(two_runs)[-1].name}
    box = app.selectbox(key="case")
    well(box.select(box.options[0]).run(), "run")
    assert set(kept["samples"]["case_id"]) == {box.options[0]}
    assert "wall_ns" in kept["samples"]

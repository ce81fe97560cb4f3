"""The page History: what moved and where, over stores with a planted step, failures and a new environment."""

import json

import pyarrow.parquet as pq
import pytest
from test_pages import texts, well

from dashboard import elements
from gatebench.cases import COMMAND_LINE_SUITE
from tests.synthetic import Plan, write_store

COMMON = {"gates": ("gru",), "implementations": ("eager", "native", "numba"), "seq_lens": (64,), "hidden_sizes": (64,), "failures": False, "stability": False}  # fmt: skip
STEP = "gru/numba/T64-B16-I64-H64/float32/cpu-2/forward"
NAME = "numba, T64 B16 I64 H64"


@pytest.fixture
def moved(tmp_path):
    """A store whose numba is 30 % slower from the eighth of twelve runs on; one run was wrong, the last on other libraries."""
    store = tmp_path / "results"
    write_store(store, Plan(runs=12, suites=("nightly",), steps={"numba": (8, 1.3)}, blocks=4, **COMMON))
    runs = sorted((store / "runs").iterdir())
    manifest = json.loads((runs[-1] / "manifest.json").read_text())
    manifest |= {"environment_class": "other", "environment": manifest["environment"] | {"cores": 64}}
    (runs[-1] / "manifest.json").write_text(json.dumps(manifest))
    path = runs[2] / "measurements.parquet"
    table = pq.read_table(path)
    frame = table.to_pandas()
    frame["reason"] = frame["reason"].astype(object)
    frame.loc[frame["case_id"] == STEP, ["status", "reason"]] = ["wrong", "off <b>"]
    frame.loc[frame["case_id"] == STEP, ["time_ns", "ci_low_ns", "ci_high_ns"]] = None
    pq.write_table(type(table).from_pandas(frame, schema=table.schema, preserve_index=False), path)
    return store


def spec(app, number=0):
    return json.loads(app.get("plotly_chart")[number].proto.spec)


def test_what_moved_most_is_shown_first_with_its_size_place_failures_and_environment(opened, moved):
    app = opened(moved, "history")
    found = well(app, "history")
    assert "1 of 2 cases moved" in found
    assert NAME in found
    assert "slower by 29 % (26 to 33)" in found
    names = {trace.get("name") for trace in spec(app)["data"]}
    assert {"point", "new environment", "wrong"} <= names
    assert "cores None → 64" in "".join(str(table.value.to_dict()) for table in app.table).replace("\\", "")
    assert "gatebench history nightly -g gru -m forward" in found


def test_the_table_says_the_newest_value_with_interval_and_n(opened, moved):
    app = opened(moved, "history")
    rows = app.dataframe[0].value.set_index("case")
    line = rows.loc[NAME].iloc[0]
    assert line["changed"].startswith("slower by 29 % (26 to 33)")
    assert line["points (n)"] == 10  # twelve, without the wrong one and the one of the other environment
    assert " to " in line["newest (95 %)"]
    assert line["divided by"] == "native"


def test_a_case_from_the_url_is_shown_large(opened, moved):
    other = STEP.replace("numba", "eager")
    app = opened(moved, "history", case=other)
    well(app, "history")
    assert app.subheader[0].value == NAME.replace("numba", "eager")
    assert app.selectbox(key="case").value == other


def test_a_reference_can_be_chosen_and_is_in_the_command(opened, moved):
    app = opened(moved, "history")
    app = app.selectbox(key="reference").select("eager").run()
    assert "time / time of eager" in spec(app)["layout"]["yaxis"]["title"]["text"]
    assert "--baseline eager" in texts(app)
    assert app.query_params["reference"] == "eager"


def test_a_run_of_the_case_opens_its_raw_samples_and_leads_to_the_page_run(opened, moved):
    app = opened(moved, "history")
    box = app.selectbox(key="to_run")
    app = box.select(box.options[0]).run()
    found = well(app, "history")
    assert "n = 4 blocks" in found
    assert "Open it on the page Run" in str(app.get("page_link")[0].proto)
    assert app.query_params["to_run"] == [box.options[0]] or app.query_params["to_run"] == box.options[0]


def test_what_a_click_picks_is_what_the_boxes_offer(opened, moved):
    app = opened(moved, "history")
    runs = {run["run_id"] for run in map(json.loads, (path.read_text() for path in moved.glob("runs/*/manifest.json")))}
    clicked = [point for trace in spec(app)["data"] for point in trace.get("customdata") or ()]
    assert {point[1] for point in clicked} == runs  # a point each, and a mark of the run that was wrong
    assert {point[2] for point in clicked} == {STEP}
    small = [point for trace in spec(app, 1)["data"] for point in trace.get("customdata") or ()]
    assert {point[2] for point in small if any(point)} == set(app.selectbox(key="case").options) - {STEP}


def test_the_data_hold_every_point_change_and_failure_with_units(opened, moved, monkeypatch):
    kept = {}
    monkeypatch.setattr(elements, "ways_out", lambda command, frame, name, filters: kept.update({name: frame}))
    well(opened(moved, "history"), "history")
    frame = kept["history"]
    line = frame[(frame["case_id"] == STEP) & (frame["kind"] == "relative")]
    assert len(line) == 11  # ten, and the one of the other environment
    assert {"relative_time", "ci_low", "ci_high", "time_ns"} <= set(frame)
    assert line["change"].notna().sum() == 1
    assert line["change"].max() == pytest.approx(0.29, abs=0.02)
    assert frame.loc[frame["status"] == "wrong", "reason"].tolist() == ["off <b>"]
    well(opened(moved, "history", kind="plain time"), "history")
    assert {"point_ns", "ci_low_ns", "ci_high_ns"} <= set(kept["history"])
    assert elements.parquet_of(kept["history"])


def test_plain_times_can_be_chosen_where_both_exist(opened, moved):
    app = opened(moved, "history", kind="plain time")
    well(app, "history")
    assert "time of one call" in spec(app)["layout"]["yaxis"]["title"]["text"]


def test_a_suite_without_a_history_is_not_offered(opened, tmp_path):
    store = tmp_path / "results"
    write_store(store, Plan(suites=("quick",), **COMMON))
    write_store(store, Plan(runs=3, suites=("gradients",), gates=("gru",), implementations=(), seed=2))
    (calibrated,) = write_store(store, Plan(suites=("self",), seed=3, **COMMON))
    path = store / "runs" / calibrated / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"purpose": "calibrate"}))
    app = opened(store, "history")
    assert app.selectbox(key="suite").options == ["quick"]
    assert "No run" not in well(app, "history")


def test_one_run_has_too_few_points(opened, tmp_path):
    write_store(tmp_path / "results", Plan(suites=("nightly",), **COMMON))
    app = opened(tmp_path / "results", "history")
    assert "Whether any of 2 cases moved cannot be told: each has fewer than 5 points." in well(app, "history")
    assert app.dataframe[0].value["changed"].tolist() == ["too few points (1 of 5)"] * 2


def test_a_suite_of_the_url_that_does_not_exist_is_dropped_and_said(opened, moved):
    assert "suite = `nobody` does not exist here" in texts(opened(moved, "history", suite="nobody"))


def test_a_run_whose_samples_are_broken_is_said_and_the_others_are_shown(opened, moved):
    runs = sorted((moved / "runs").iterdir())
    (runs[4] / "samples.parquet").write_bytes(b"PAR1")
    app = opened(moved, "history")
    assert "samples.parquet cannot be read" in well(app, "history")
    rows = app.dataframe[0].value.set_index("case")
    assert rows.loc[NAME].iloc[0]["points (n)"] == 9


def test_a_calibration_is_no_history(opened, tmp_path):
    store = tmp_path / "results"
    write_store(store, Plan(suites=("nightly",), **COMMON))
    path = next((store / "runs").iterdir()) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"purpose": "calibrate"}))
    assert "No run of a suite in this store has a time." in well(opened(store, "history"), "history")


def test_runs_with_other_plugins_are_other_points(opened, tmp_path):
    store = tmp_path / "results"
    write_store(store, Plan(runs=3, suites=("nightly",), **COMMON))
    for number, folder in enumerate(sorted((store / "runs").iterdir())):
        about = json.loads((folder / "manifest.json").read_text())
        about |= {"git": {"sha": "a" * 40, "dirty": False}, "plugins": [{"name": "p", "sha256": f"{number // 2}"}]}
        (folder / "manifest.json").write_text(json.dumps(about))
    app = opened(store, "history")
    well(app, "history")
    assert set(app.dataframe[0].value["points (n)"]) == {2}  # two runs with the first plugin, one with the second


def test_what_was_asked_for_without_a_suite_comes_last(opened, tmp_path):
    for runs, suite in ((3, COMMAND_LINE_SUITE), (2, "nightly")):
        write_store(tmp_path / "results", Plan(runs=runs, suites=(suite,), seed=runs, **COMMON))
    assert opened(tmp_path / "results", "history").selectbox(key="suite").options == ["nightly", COMMAND_LINE_SUITE]

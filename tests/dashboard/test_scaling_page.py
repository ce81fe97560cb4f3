"""The page Scaling: growth, crossovers, what is held against the ceiling, and the command where sizes are too few."""

import json

import pytest
from test_pages import select, well

from dashboard import elements
from dashboard.views.scaling import case_of
from tests.synthetic import Plan, write_store

CEILINGS = {
    "device_name": "EPYC", "cores": 2,
    "ceilings": [{"bytes": 1e6, "bytes_per_s": 4e10}, {"bytes": "inf", "bytes_per_s": 1e10}],
    "peaks": [{"device": "cpu", "dtype": "float32", "flops_per_s": 1e10}],
}  # fmt: skip


def tables(app) -> list:
    return [table.value for table in app.table]


def test_growth_is_told_with_its_interval_and_how_much_it_rests_on(opened, one_run):
    app = opened(one_run, "scaling", fixed_h="128")
    well(app, "scaling")
    growth = tables(app)[0].set_index("implementation")
    assert growth.columns[0] == "time ∝ Tᵖ, p (95 %)"
    native = growth.loc["native"]
    assert native.iloc[0].startswith(("0.9", "1.0"))  # linear in T
    assert " to " in native.iloc[0]
    assert (native["sizes"], native["blocks"]) == ("3 (T = 64 to 256)", "3")
    few = opened(one_run, "scaling", fixed_h="64")  # at T = 256 memory is out
    assert set(tables(few)[0].iloc[:, 1]) == {"not fitted\\: fewer than 3 sizes"}


def test_lines_that_cross_are_listed(opened, tmp_path):
    # A step takes numba 1.5 µs and native 6 µs, a multiply 0.0125 and 0.0105 ns: native / numba is 1.165 at H = 128 and 0.846 at
    # 1024, so that straight lines cross at 128 · 8^0.476 = 344.
    plan = Plan(gates=("lstm",), seq_lens=(64,), hidden_sizes=(32, 128, 1024, 4096), failures=False, blocks=8)
    write_store(tmp_path / "results", plan)
    app = opened(tmp_path / "results", "scaling", axis="H", implementation=["native", "numba"])
    well(app, "scaling")
    found = tables(app)[1].iloc[0]
    assert (found.iloc[0], found.iloc[1]) == ("numba", "native")
    assert 250 < float(found["cross at H"].removeprefix("about ")) < 480


def test_batch_is_an_axis_beside_fixed_t_and_h(opened, one_run):
    app = opened(one_run, "scaling", axis="B")
    found = well(app, "scaling")
    assert not [box for box in app.selectbox if box.key == "batch"]
    assert {select(app, "fixed_t").value, select(app, "fixed_h").value} <= {"64", "128", "256"}
    assert "1 B has a time; a slope needs 3." in found
    assert any("--batch 16,32,64" in code.value for code in app.code)
    assert any("-B*-I*-H" in code.value for code in app.code)


@pytest.mark.parametrize("per", ["time per FLOP", "time per byte", "share of the ceiling"])
def test_what_a_run_cannot_be_divided_by_is_said_for_each_case(opened, one_run, per):
    app = opened(one_run, "scaling", per=per)
    found = well(app, "scaling")
    assert "no such number" in set(tables(app)[-1]["status"])
    if per == "share of the ceiling":
        assert "Not measured in this run" in found


def test_a_share_is_held_against_the_ceilings_that_the_run_measured(opened, tmp_path):
    store = tmp_path / "results"
    run_id = write_store(store, Plan(gates=("gru",), seq_lens=(64, 128, 256), hidden_sizes=(64,), failures=False))[0]
    path = store / "runs" / run_id / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"environment": CEILINGS}))
    app = opened(store, "scaling", per="share of the ceiling")
    found = well(app, "scaling")
    assert (
        "matrix product in float32 10.0 GFLOP/s a core, 2 cores; up to 0.954 MiB 40.0 GB/s, memory 10.0 GB/s" in found
    )
    assert "no such number" in set(tables(app)[-1]["status"])  # synthetic rows have no model of their FLOPs


def test_speed_ups_are_lines_too(opened, one_run):
    app = opened(one_run, "scaling", per="speed-up over the baseline", baseline="eager")
    found = well(app, "scaling")
    assert "speed-ups from paired blocks" in found
    assert any(column.startswith("speed-up over eager") for column in app.dataframe[0].value.columns)


CASE = "lstm/native/T128-B16-I64-H64/float32/cpu-2/forward"


def test_a_case_of_the_url_opens_its_raw_samples_and_stays_in_the_url(opened, one_run):
    app = opened(one_run, "scaling", fixed_h="64", case=CASE)
    found = well(app, "scaling")
    assert select(app, "case").value == CASE
    assert "n = 3 blocks" in found
    assert "case=lstm%2Fnative%2FT128" in found


def test_what_a_click_picks_is_what_the_box_offers(opened, one_run):
    app = opened(one_run, "scaling", fixed_h="64")
    points = [
        {"customdata": data} for trace in json.loads(app.get("plotly_chart")[0].proto.spec)["data"] for data in trace.get("customdata") or ()
    ]  # fmt: skip
    picked = [case for case in map(case_of, points) if case is not None]
    assert sorted(picked) == sorted(select(app, "case").options)
    assert len(picked) < len(points)  # of the strip below, which has no samples


@pytest.mark.parametrize(("per", "column"), [("time per call", None), ("time per step", "ns_per_step"), ("speed-up over the baseline", None)])  # fmt: skip
def test_the_data_hold_what_is_shown_and_what_is_missing(opened, one_run, monkeypatch, per, column):
    kept = {}
    monkeypatch.setattr(elements, "ways_out", lambda command, frame, name, filters: kept.update({name: frame}))
    well(opened(one_run, "scaling", fixed_h="64", per=per), "scaling")
    frame = kept["scaling"]
    row = frame[frame["case_id"] == CASE].iloc[0]
    assert (row["seq_len"], row["hidden_size"], row["blocks"]) == (128, 64, 3)
    assert row["ci_low_ns"] < row["time_ns"] < row["ci_high_ns"]
    assert row["speedup"] == 1.0  # the baseline itself
    if column:
        assert row[column] == pytest.approx(row["time_ns"] / 128)
        assert row[f"{column}_low"] == pytest.approx(row["ci_low_ns"] / 128)
    assert not {"value", "low", "high"} & set(frame)
    assert {"unavailable", "not measured"} <= set(frame["status"])
    assert elements.parquet_of(frame)

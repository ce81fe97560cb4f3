"""The stability page on a run without sweeps, spectra and training, on one with all, and on rows that came to nothing."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.synthetic import Plan, write_store

USUAL = ["What gradients do", "Gradient norm by lag", "Half-life and Lyapunov exponent", "Saturation by gate letter"]


@pytest.fixture
def opened(opened):
    """Return a function that opens the stability page over a store, with query parameters."""

    def open_page(store: Path, **query: str | list[str]) -> AppTest:
        app = opened(store, "stability", **query)
        assert not app.exception
        return app

    return open_page


def sections(app: AppTest) -> list[str]:
    return [heading.value for heading in app.subheader]


def captions(app: AppTest) -> str:
    return "\n".join(caption.value for caption in app.caption).replace("\\", "")


def table_with(app: AppTest, column: str) -> pd.DataFrame:
    return next(table.value for table in app.table if column in table.value)


def said(app: AppTest) -> str:
    """Return the command at the bottom, without the store."""
    return [code.value for code in app.code if code.language == "bash"][-1].partition(" --store ")[0]


def test_a_run_that_varies_nothing_has_neither_sweep_nor_spectra_nor_training(opened, tmp_path):
    plan = Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), stability_seq_lens=(64,))
    write_store(tmp_path / "results", plan)
    app = opened(tmp_path / "results")
    assert sections(app) == USUAL
    assert len(app.get("plotly_chart")) == 3
    assert said(app).endswith("--seq-len 64 --batch 4 --seeds 3")


def test_several_lengths_are_a_sweep_whatever_length_the_other_sections_show(opened, one_run):
    app = opened(one_run, seq_len="256")
    assert sections(app) == [*USUAL[:3], "Half-life and exponent against T (steps)", USUAL[3]]
    assert "T = 256" in captions(app)
    assert "--seq-len 64,256" in said(app)


def test_a_sweep_of_inits_is_shown_beside_theory_with_its_n(opened, full_run):
    app = opened(full_run, seq_len="64")
    assert sections(app) == [*USUAL[:3], "Half-life and exponent against forget bias b", "Spectra", USUAL[3]]
    assert len(app.get("plotly_chart")) == 5
    assert app.selectbox(key="against").options == ["forget_bias", "T"]
    assert "median over 3 seeds and their batch rows (12 rows a point)" in captions(app)
    assert "ln 2 / -ln σ(b)" in captions(app)
    assert "edge" not in captions(app)


def test_what_a_sweep_goes_along_is_chosen_and_kept_in_the_url(opened, full_run):
    app = opened(full_run, seq_len="64", against="T")
    assert not app.warning
    assert "Half-life and exponent against T (steps)" in sections(app)
    assert "--seq-len 64,256" in said(app)
    app.selectbox(key="against").select("forget_bias").run()
    assert "against" not in app.query_params
    assert "--seq-len 64 " in said(app)


def test_a_sweep_that_is_not_there_is_dropped_and_named(opened, one_run):
    app = opened(one_run, against="forget_bias")
    assert any("sweep against = `forget_bias` does not exist here" in warning.value for warning in app.warning)
    assert "against" not in app.query_params


def test_a_filter_that_leaves_one_number_leaves_no_sweep_of_it(opened, full_run):
    app = opened(full_run, init=["torch", "forget_bias=2"])
    assert "Half-life and exponent against T (steps)" in sections(app)
    assert not [box for box in app.selectbox if box.key == "against"]


def test_inits_are_offered_by_name_and_number(opened, full_run):
    numbers = [f"forget_bias={bias}" for bias in (0, 1, 2, 10)]
    assert opened(full_run).multiselect(key="init").options == ["torch", *numbers]


def test_spectra_have_a_row_per_case_and_say_what_is_not_resolved(opened, full_run):
    table = table_with(opened(full_run, seq_len="64"), "λ")
    assert list(table.columns) == ["gate", "init", "dtype", "λ", "D_KY", "ln σ", "ln|det|", "seeds"]
    assert len(table) == 8
    assert set(table["seeds"]) == {3}
    assert table["ln σ"].str.endswith("(2 unresolved)").all()


def test_training_has_curves_and_a_row_per_case(opened, full_run):
    app = opened(full_run, task="adding")
    assert sections(app) == [
        *USUAL[:3], "Half-life and exponent against steps of training", "What training does", USUAL[3],
    ]  # fmt: skip
    assert "adding task, after 40 of 40 steps of training" in captions(app)
    table = table_with(app, "loss").set_index("gate")
    assert re.fullmatch(r"1\.01 → 0\.03\d+", table.loc["lstm", "loss"])
    assert table.loc["lstm", "clipped"] == "30%"
    assert table.loc["gru", "steps not finite"] == "3"  # one of each seed
    assert said(app).endswith("--batch 4 --seeds 3 --task adding --after-steps 40 --clip THRESHOLD")


def test_training_steps_are_offered_where_gradients_were_looked_at(opened, full_run):
    app = opened(full_run, task="adding", train_step="20")
    assert app.selectbox(key="train_step").options == ["40", "20", "0"]
    assert "after 20 of 40 steps" in captions(app)
    assert "Half-life and exponent against steps of training" in sections(app)
    assert "training step = `7`" in opened(full_run, task="adding", train_step="7").warning[0].value


def test_the_command_asks_for_the_metrics_that_are_shown(opened, full_run):
    assert "--metric '*'" in said(opened(full_run, seq_len="64"))
    assert "--metric" not in said(opened(full_run, task="adding"))


def test_the_command_trains_and_measures_as_the_run_was_asked_to(opened, full_run, tmp_path):
    store = tmp_path / "results"
    shutil.copytree(full_run, store)
    path = next((store / "runs").iterdir()) / "manifest.json"
    part = {"gates": ["lstm", "gru"], "metrics": ["profile"], "tasks": ["adding"], "clip": 0.5, "learning_rate": 0.02}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"request": {"stability": [part]}}))
    found = said(opened(store, task="adding"))
    assert found.endswith("--metric profile --task adding --after-steps 40 --clip 0.5 --learning-rate 0.02")


def write_rows(store: Path, rows: pd.DataFrame) -> None:
    """Put rows, with the columns that they have, in place of the stability of a store's one run."""
    path = next((store / "runs").iterdir()) / "stability.parquet"
    schema = pq.read_schema(path)
    pq.write_table(pa.Table.from_pylist(rows.to_dict("records"), schema), path)
    st.cache_resource.clear()  # an edited run is seen after seconds only: run folders are never edited


def read_rows(store: Path) -> pd.DataFrame:
    return (
        pq.read_table(next((store / "runs").iterdir()) / "stability.parquet")
        .to_pandas()
        .astype(object)
        .replace({np.nan: None})
    )


@pytest.fixture
def small(tmp_path):
    """A store with one run: lstm and gru, two inits and dtypes, T = 64."""
    plan = Plan(seq_lens=(64,), hidden_sizes=(64,), stability_seq_lens=(64,), failures=False)
    write_store(tmp_path / "results", plan)
    return tmp_path / "results"


def test_sections_and_columns_of_what_was_not_measured_are_left_out(opened, small):
    rows = read_rows(small)
    write_rows(small, rows[rows["metric"].isin(["largest_lyapunov", "class"])])
    app = opened(small)
    assert sections(app) == [USUAL[0], USUAL[2]]
    assert list(app.table[0].value.columns) == ["gate", "init", "dtype", "class", "Lyapunov, nats/step", "seeds"]
    assert "bars from lower" not in captions(app)
    write_rows(small, rows[rows["metric"].str.startswith("saturation", na=False)])
    app = opened(small)
    assert sections(app) == USUAL[3:]
    assert not app.table


def test_a_false_plateau_is_told_beside_the_half_life_that_it_makes(opened, small):
    rows = read_rows(small)
    model = rows[(rows["gate"] == "gru") & (rows["metric"] == "class")].head(1).assign(dtype="bfloat16", label=None)
    more = [
        model.assign(metric="half_life", index=0, value=17000.0, unit="steps"),
        model.assign(metric="false_plateau", index=0, value=60.0, unit="steps"),
        model.assign(metric="reference_half_life", index=0, value=930.0, unit="steps"),
    ]
    write_rows(small, pd.concat([rows, *more]))
    app = opened(small)
    assert "Low precision" in sections(app)
    table = table_with(app, "false plateau, steps")
    assert list(table["false plateau, steps"]) == ["60 (1 of 1 rows)"]
    assert list(table["half-life in float64, steps"]) == ["930"]


def test_a_case_that_came_to_nothing_stands_among_those_without_a_value_alone(opened, small):
    rows = read_rows(small)
    other = rows["gate"] == "gru"
    kept = rows[~other | rows["metric"].str.startswith("saturation", na=False)]
    failed = rows[other].head(1).assign(status="unsupported", reason="it has no time", metric="class", value=None)
    write_rows(small, pd.concat([kept, failed]))
    app = opened(small)
    assert set(app.table[0].value["gate"]) == {"lstm"}
    assert list(app.table[1].value["gate"]) == ["gru"]


def test_the_finest_dtype_comes_first_and_gates_come_as_the_run_lists_them(opened, small):
    rows = read_rows(small)
    rows = rows[rows["init"] == "torch"]
    rows = rows[rows["dtype"] == "bfloat16"]
    every = [rows.assign(dtype=dtype) for dtype in ("float16", "bfloat16", "float64", "float32")]
    write_rows(small, pd.concat(every))
    app = opened(small)
    finest = ["float64", "float32", "bfloat16", "float16"]
    assert app.multiselect(key="chain_dtype").options == finest
    assert app.multiselect(key="gates").options == ["lstm", "gru"]
    assert list(app.table[0].value["dtype"]) == 2 * finest
    assert list(app.table[0].value["gate"]) == 4 * ["lstm"] + 4 * ["gru"]
    figure = json.loads(app.get("plotly_chart")[0].proto.spec)
    titles = [note["text"] for note in figure["layout"]["annotations"]]
    assert titles[:2] == ["lstm", "gru"]


def test_an_init_and_a_dtype_that_all_share_are_said_once(opened, small):
    app = opened(small, init="torch", chain_dtype="float32")
    assert list(app.table[0].value.columns)[:2] == ["gate", "class"]
    assert "init torch · float32 · T = 64" in captions(app)


def test_a_sweep_lists_gates_as_the_run_does(opened, full_run):
    figures = [json.loads(chart.proto.spec) for chart in opened(full_run, seq_len="64").get("plotly_chart")]
    names = [trace.get("name") for trace in figures[2]["data"] if trace.get("name") in ("lstm", "gru")]
    assert names == ["lstm", "gru"]


# --- what is shown at first, and when another run is chosen


@pytest.fixture
def two_runs(tmp_path):
    """A store with a run with T = 32 and 40, and one with 16 and 64, which is not shown at first."""
    plan = Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,))
    write_store(tmp_path / "results", replace(plan, stability_seq_lens=(32, 40)))
    write_store(tmp_path / "results", replace(plan, stability_seq_lens=(16, 64), seed=1))
    return tmp_path / "results"


def test_the_longest_t_and_the_last_step_are_shown_at_first(opened, full_run):
    app = opened(full_run, task="adding")
    assert "after 40 of 40 steps" in captions(app)
    assert "train_step" not in app.query_params
    app = opened(full_run)
    assert app.selectbox(key="seq_len").options == ["256", "64"]
    assert "T = 256" in captions(app)
    assert "seq_len" not in app.query_params


def test_another_run_shows_its_own_defaults_and_drops_what_it_lacks_without_a_word(opened, two_runs):
    app = opened(two_runs)
    assert "T = 40" in captions(app)
    app.selectbox(key="run").select_index(1).run()
    assert not app.warning
    assert "T = 64" in captions(app)
    app.selectbox(key="seq_len").select("16").run()
    app.selectbox(key="run").select_index(0).run()
    assert not app.warning
    assert "T = 40" in captions(app)


def test_a_value_of_an_opened_address_that_its_run_lacks_is_named(opened, two_runs):
    older = opened(two_runs).selectbox(key="run").options[1]
    app = opened(two_runs, run=older, seq_len="40")
    assert [warning.value for warning in app.warning] == ["T = `40` does not exist here and was dropped."]
    assert "T = 64" in captions(app)


def test_what_nobody_chose_is_dropped_without_a_word(opened, full_run):
    app = opened(full_run)
    assert "T = 256" in captions(app)
    app.selectbox(key="task").select("adding").run()
    assert not app.warning
    assert "T = 64" in captions(app)


# --- rows that came to nothing


def test_a_run_of_failures_alone_opens_with_its_reasons(opened, tmp_path):
    plan = Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), stability_seq_lens=(64,))
    write_store(tmp_path / "results", plan)
    app = opened(tmp_path / "results", init="forget_bias=1")
    assert set(table_with(app, "reason")["reason"]) == {"gru has no forget gate"}
    assert sections(app) == USUAL[:1]

"""The stability page on a run without sweeps, spectra and training, on one with all, and on rows that came to nothing."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.filters import Filters
from dashboard.stability_rows import choose
from gatebench.report.stability_series import sweep_table
from tests.synthetic import Plan, write_store

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
USUAL = ["What gradients do", "Gradient norm by lag", "Half-life and Lyapunov exponent", "Saturation by gate letter"]


@pytest.fixture
def opened(monkeypatch):
    """Return a function that opens the stability page over a store, with query parameters."""

    def open_page(store: Path, **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("GATEBENCH_STORE", str(store))
        app = AppTest.from_file(str(APP), default_timeout=60).run()
        app.switch_page("views/stability.py")
        app.query_params.update(query)
        app.run()
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
    return app.code[-1].value.partition(" --store ")[0]


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
    app = opened(full_run)
    assert sections(app) == [*USUAL[:3], "Half-life and exponent against forget bias b", "Spectra", USUAL[3]]
    assert len(app.get("plotly_chart")) == 5
    assert app.selectbox(key="against").options == ["forget_bias", "T"]
    assert "median over 3 seeds and their batch rows (12 rows a point)" in captions(app)
    assert "ln 2 / -ln σ(b)" in captions(app)
    assert "edge" not in captions(app)


def test_what_a_sweep_goes_along_is_chosen_and_kept_in_the_url(opened, full_run):
    app = opened(full_run, against="T")
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
    table = table_with(opened(full_run), "λ")
    assert list(table.columns) == ["gate", "init", "dtype", "λ", "D_KY", "ln σ", "ln|det|", "seeds"]
    assert len(table) == 8
    assert set(table["seeds"]) == {3}
    assert table["ln σ"].str.endswith("(2 unresolved)").all()


def test_training_has_curves_and_a_row_per_case(opened, full_run):
    app = opened(full_run, task="adding")
    assert sections(app) == [
        *USUAL[:3], "Half-life and exponent against steps of training", "What training does", USUAL[3],
    ]  # fmt: skip
    assert "adding task, after 0 of 40 steps of training" in captions(app)
    table = table_with(app, "loss").set_index("gate")
    assert re.fullmatch(r"1\.01 → 0\.03\d+", table.loc["lstm", "loss"])
    assert table.loc["lstm", "clipped"] == "30%"
    assert table.loc["gru", "steps not finite"] == "3"  # one of each seed
    assert said(app).endswith("--batch 4 --seeds 3 --task adding --after-steps 40 --clip THRESHOLD")


def test_training_steps_are_offered_where_gradients_were_looked_at(opened, full_run):
    app = opened(full_run, task="adding", train_step="20")
    assert app.selectbox(key="train_step").options == ["0", "20", "40"]
    assert "after 20 of 40 steps" in captions(app)
    assert "Half-life and exponent against steps of training" in sections(app)
    assert "training step = `7`" in opened(full_run, task="adding", train_step="7").warning[0].value


def test_the_command_asks_for_the_metrics_that_are_shown(opened, full_run):
    assert "--metric '*'" in said(opened(full_run))
    assert "--metric" not in said(opened(full_run, task="adding"))


def test_the_command_trains_and_measures_as_the_run_was_asked_to(opened, full_run, tmp_path):
    store = tmp_path / "results"
    shutil.copytree(full_run, store)
    path = next((store / "runs").iterdir()) / "manifest.json"
    part = {"gates": ["lstm", "gru"], "metrics": ["profile"], "tasks": ["adding"], "clip": 0.5, "learning_rate": 0.02}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"request": {"stability": [part]}}))
    found = said(opened(store, task="adding"))
    assert found.endswith("--metric profile --task adding --after-steps 40 --clip 0.5 --learning-rate 0.02")


# --- rows that came to nothing


class First(Filters):
    """Filters without a page: the first option, or what is given, e.g. task="adding"."""

    def __init__(self, **chosen: str) -> None:
        self.chosen = chosen

    def one(self, key, label, options, **more):
        return self.chosen.get(key, options[0])

    def many(self, key, label, options):
        return list(options)


@pytest.fixture
def rows():
    """Return rows with a task at two steps and two probes, and a failed case, which has neither."""
    case = {
        "gate": "lstm", "options": '{"num_layers": 2}', "init": "torch", "inputs": "task", "dtype": "float64", "seq_len": 8,
        "input_size": 2, "hidden_size": 4, "batch": 2, "seed": 0, "task": "adding", "status": "ok", "metric": "half_life",
        "probe": "ones", "train_step": 0.0, "value": 5.0, "index": None, "label": None,
    }  # fmt: skip
    told = [case | {"train_step": step, "probe": probe} for step in (0.0, 10.0) for probe in ("gaussian:0", "ones")]
    loss = case | {"metric": "train_loss", "train_step": 3.0}
    failed = case | {"init": "keras", "metric": "class", "status": "failed", "probe": None, "train_step": None}
    return pd.DataFrame([*told, loss, failed])


def test_what_came_to_nothing_is_shown_at_every_step_and_probe_and_hides_nothing(rows):
    for chosen in (choose(First(), rows), choose(First(train_step="10", probe="gaussian:0"), rows)):
        assert list(chosen.here()["status"]) == ["ok", "failed"]
    assert choose(First(), rows).at == {"seq_len": "8", "hidden_size": "4", "train_step": "0", "probe": "ones"}
    assert list(choose(First(), rows).here("train_step")["train_step"].dropna()) == [0, 10, 3]


def test_a_run_in_which_all_came_to_nothing_is_shown(rows):
    chosen = choose(First(), rows[rows["status"] != "ok"])
    assert list(chosen.here()["init"]) == ["keras"]
    assert chosen.axis is None


def test_a_sweep_goes_along_the_training_steps_of_the_chosen_probe(rows):
    chosen = choose(First(), rows)
    assert chosen.axis == "train_step"
    swept = chosen.sweep()
    assert set(swept.loc[swept["metric"] == "half_life", "train_step"]) == {0, 10}
    assert set(swept["probe"].dropna()) == {"ones"}
    assert set(sweep_table(swept, chosen.axis)["gate"]) == {"lstm (num_layers=2)"}


def test_a_run_of_failures_alone_opens_with_its_reasons(opened, tmp_path):
    plan = Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,), stability_seq_lens=(64,))
    write_store(tmp_path / "results", plan)
    app = opened(tmp_path / "results", init="forget_bias=1")
    assert set(table_with(app, "reason")["reason"]) == {"gru has no forget gate"}
    assert sections(app) == USUAL[:3]

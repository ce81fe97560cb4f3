"""Overview: what each tile counts and leads to, the last A/Bs, the newest runs, what is new, what is stale."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from gatebench.store.schema import FAILURES
from tests.report.stored_ab import SUSPECT, write_ab
from tests.synthetic import Plan, write_store

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
CELL = Plan(seq_lens=(64,), hidden_sizes=(64,), gates=("gru",), failures=False)


@pytest.fixture
def opened(monkeypatch):
    """Return a function that opens the page over a store, with query parameters.

    Not by way of another page, as all others: the first page's widgets would keep what the address does not say.
    """

    def open_page(store: Path, **query: str) -> AppTest:
        monkeypatch.setenv("GATEBENCH_STORE", str(store))
        app = AppTest.from_file(str(APP), default_timeout=60)
        app.query_params.update(query)
        app.run()
        assert not app.exception
        assert app.title[0].value == "Overview"
        return app

    return open_page


def tile(app: AppTest, label: str) -> str:
    return next(metric.value for metric in app.metric if metric.label == label)


def said(app: AppTest) -> str:
    kinds = (app.markdown, app.info, app.warning, app.caption, app.code, app.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def tables(app: AppTest) -> list[pd.DataFrame]:
    return [element.value for kind in (app.dataframe, app.table) for element in kind]


def with_column(app: AppTest, *names: str) -> pd.DataFrame:
    return next(table for table in tables(app) if set(names) <= set(table))


def test_the_head_of_an_ab_is_not_the_newest_commit(opened, tmp_path):
    write_store(tmp_path / "results", CELL)
    write_ab(tmp_path / "results", git={"sha": "c" * 40, "dirty": True})
    assert "Not at the newest commit, 0000000000: 2." in said(opened(tmp_path / "results"))  # the A/B's two


def test_what_was_measured_at_the_newest_commit_stays_so_after_an_ab_of_others(opened, tmp_path):
    write_ab(tmp_path / "results", run_id="20261120T101500Z-4f1c", purpose="run", git={"sha": "d" * 40, "dirty": False})
    write_ab(tmp_path / "results", git={"sha": "c" * 40, "dirty": False})
    assert "Not at the newest commit, dddddddddd: 0." in said(opened(tmp_path / "results"))


def test_the_tiles_count_what_the_newest_measurement_of_each_case_says(opened, three_runs):
    app = opened(three_runs)
    parts = [pq.read_table(path).to_pandas() for path in three_runs.glob("*/*/measurements.parquet")]
    rows = pd.concat(parts).assign(place=lambda frame: frame["run_id"].map(places(three_runs)))
    newest = rows.sort_values("run_id").drop_duplicates(["place", "case_id"], keep="last")
    counts = newest["status"].value_counts()
    assert tile(app, "Wrong") == str(counts["wrong"])
    assert tile(app, "Failed") == str(sum(counts.get(status, 0) for status in FAILURES if status != "wrong"))
    assert tile(app, "Slower") == tile(app, "Inconclusive") == "–"
    assert len(app.get("page_link")) > 2


def places(store: Path) -> dict[str, str]:
    """Return each run's environment class."""
    found = [json.loads(path.read_text()) for path in store.glob("*/*/manifest.json")]
    return {manifest["run_id"]: manifest["environment_class"] for manifest in found}


def test_only_the_chosen_machines_count(opened, three_runs):
    every, one = opened(three_runs), opened(three_runs, machine="M3")
    assert set(with_column(one, "kind", "commit")["machine"]) == {"M3"}
    assert int(tile(one, "Failed")) < int(tile(every, "Failed"))


def test_failures_come_with_reasons_and_committed_and_interrupted_runs_are_told(opened, three_runs):
    app = opened(three_runs)
    reasons = with_column(app, "reason", "last measured (UTC)")["reason"]
    assert any("31.2" in reason for reason in reasons)
    runs = with_column(app, "kind", "commit")
    assert set(runs["kind"]) == {"run", "run, reference"}
    assert list(runs["status"]).count("partial") == 1


def test_the_last_ab_is_shown_with_change_interval_n_and_whether_it_was_decided(opened, tmp_path):
    write_store(tmp_path / "results", CELL)
    write_ab(tmp_path / "results")
    app = opened(tmp_path / "results")
    assert (tile(app, "Slower"), tile(app, "Inconclusive")) == ("0", "1")
    table = with_column(app, "verdict", "decided")
    assert list(table["case"]) == [SUSPECT]
    row = table.iloc[0]
    assert (row["verdict"], row["decided"], row["n"]) == ("inconclusive", "no", "12")
    assert row["change (interval)"].startswith("+5.1 % [")
    assert "main bbbbbbbbbb against working tree cccccccccc+: 2 cases in time: 1 same, 1 inconclusive; decided 1 of 2" in said(app)  # fmt: skip


def test_a_case_that_two_suites_judged_counts_once_as_the_newest_did(opened, tmp_path):
    write_store(tmp_path / "results", CELL)
    write_ab(tmp_path / "results")
    write_ab(tmp_path / "results", run_id="20261123T101500Z-4f1c", suite="nightly")
    app = opened(tmp_path / "results")
    assert tile(app, "Inconclusive") == "1"
    assert len(with_column(app, "verdict", "decided")) == 2  # each A/B is still told in full
    write_ab(tmp_path / "results", run_id="20261124T101500Z-4f1c", suite="weekly", environment_class="other")
    assert tile(opened(tmp_path / "results"), "Inconclusive") == "2"


def test_a_case_of_two_suites_takes_longer_once(opened, tmp_path):
    numba = {"seq_lens": (64,), "hidden_sizes": (64,), "gates": ("gru",), "implementations": ("eager", "numba"), "failures": False}  # fmt: skip
    write_store(tmp_path / "results", Plan(runs=4, suites=("quick", "nightly"), steps={"numba": (2, 2.0)}, **numba))
    app = opened(tmp_path / "results")
    assert list(with_column(app, "took longer")["cases in both"]) == [4, 4]
    assert "of 4 cases. No verdict." in said(app)


def test_runs_without_a_case_in_common_are_not_compared(opened, tmp_path):
    for seed, gate in enumerate(("gru", "lstm")):
        write_store(tmp_path / "results", replace(CELL, gates=(gate,), suites=("quick",), seed=seed))
    app = opened(tmp_path / "results")
    assert "No machine has two runs of one suite that share a case." in said(app)
    assert "than in the run before" not in said(app)


def test_a_store_without_an_ab_says_which_command_makes_one(opened, one_run):
    assert "gatebench ab main quick" in said(opened(one_run))


def test_an_ab_without_its_plan_is_said_and_counts_nothing(opened, tmp_path):
    folder = write_ab(tmp_path / "results")
    (folder / "plan.json").write_text("{")
    app = opened(tmp_path / "results")
    assert tile(app, "Slower") == "–"
    assert "plan.json" in said(app)


def test_newest_runs_are_compared_with_the_ones_before(opened, tmp_path):
    cell = Plan(runs=2, seq_lens=(64,), hidden_sizes=(64,), gates=("gru",), implementations=("eager", "numba"), suites=("quick",), steps={"numba": (1, 2.0)}, failures=False)  # fmt: skip
    write_store(tmp_path / "results", cell)
    row = with_column(opened(tmp_path / "results"), "took longer").iloc[0]
    assert row["cases in both"] == 4
    assert row["took longer"] >= 2  # numba's two, forward and both, take twice as long
    assert row["median change"].endswith("%")


@pytest.fixture
def classless(tmp_path):
    """A store of a run on each of two machines of unknown class, the newer one numba's failures."""
    store = tmp_path / "results"
    write_store(store, Plan(runs=2, machines=("EPYC", "M3"), suites=("quick",), seq_lens=(64, 128), hidden_sizes=(64, 128), gates=("gru",)))  # fmt: skip
    without_class(store)
    return store


def without_class(store: Path, **changes: object) -> None:
    for path in store.glob("*/*/manifest.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"environment_class": None} | changes))


def test_runs_of_two_devices_of_unknown_class_are_not_compared(opened, classless):
    app = opened(classless)
    assert "No machine has two runs of one suite that share a case." in said(app)
    assert said(app).count("First run of this machine: there is nothing to compare it with.") == 2
    assert set(with_column(app, "kind", "commit")["machine"]) == {"EPYC", "M3"}
    parts = [pq.read_table(path).to_pandas() for path in classless.glob("*/*/measurements.parquet")]
    assert tile(app, "Failed") == str(pd.concat(parts)["status"].isin([name for name in FAILURES if name != "wrong"]).sum())  # fmt: skip


def test_runs_of_unknown_class_and_device_are_not_compared(opened, classless):
    without_class(classless, environment={})
    assert "No machine has two runs of one suite that share a case." in said(opened(classless))


def test_runs_of_one_device_of_unknown_class_are_compared(opened, classless):
    without_class(classless, environment={"device_name": "M3"})
    assert len(with_column(opened(classless), "took longer")) == 1


def test_no_verdict_is_given_on_a_run_that_cannot_be_read(opened, one_run, tmp_path):
    store = tmp_path / "results"
    shutil.copytree(one_run, store)
    (next((store / "runs").iterdir()) / "measurements.parquet").write_bytes(b"PAR1")
    app = opened(store)
    assert "The measurements of 1 run cannot be read" in said(app)
    assert "its results are right" not in said(app)
    assert {tile(app, name) for name in ("Slower", "Wrong", "Failed", "Inconclusive", "Stale")} == {"–"}
    assert list(with_column(app, "kind", "commit")["status"]) == ["unreadable"]


def test_no_result_is_called_right_where_only_stability_was_measured(opened, tmp_path):
    write_store(tmp_path / "results", Plan(gates=("gru",), implementations=()))
    found = said(opened(tmp_path / "results"))
    assert "Nothing was timed; the page Stability shows the runs." in found
    assert "its results are right" not in found


def test_what_is_new_is_told_by_machine(opened, three_runs):
    found = said(opened(three_runs))
    assert "Wrong or failed now, ok before: 1 case (gru by numba)." in found
    assert "First run of this machine" in found


def test_a_picked_run_leads_to_its_page(opened, three_runs):
    app = opened(three_runs)
    before = len(app.get("page_link"))
    box = app.selectbox(key="newest_run")
    box.select_index(0).run()
    assert not app.exception
    assert len(app.get("page_link")) == before + 1


def test_what_was_measured_long_ago_is_listed_with_its_age(opened, tmp_path):
    write_store(tmp_path / "results", CELL)
    table = with_column(opened(tmp_path / "results"), "days ago")
    age = (datetime.now(UTC) - datetime(2026, 10, 1, 8, 30, tzinfo=UTC)).days
    assert np.abs(table["days ago"] - age).max() <= 1
    assert set(table["implementation"]) == {
        "eager",
        "native",
        "numba",
        "compile",
    }  # cudnn is unavailable: never measured

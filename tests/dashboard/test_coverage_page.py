"""Coverage on an empty store, one run, several machines, broken runs, two versions and hostile names."""

import json

import pandas as pd
import pytest
from test_pages import select, texts

from tests.synthetic import Plan, write_store


def well(app):
    assert not app.exception
    assert not app.error
    assert app.title[0].value == "Coverage"
    found = texts(app)
    assert "What has not been measured or is not right, and why?" in found
    return found


def test_an_empty_store_is_explained(opened, tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    assert "gatebench run quick" in well(opened(tmp_path / "results", "coverage"))


def test_a_run_without_measurements_is_explained(opened, tmp_path):
    write_store(tmp_path / "results", Plan(gates=("gru",), implementations=()))
    assert "No run in this store has a measurement." in well(opened(tmp_path / "results", "coverage"))


def test_reasons_are_listed_the_worst_first(opened, one_run):
    app = opened(one_run, "coverage")
    well(app)
    table = app.table[0].value
    assert table["status"].iloc[0] == "wrong"
    assert any("error\\_ratio 31.2" in reason for reason in table["reason"])
    # cudnn: 16 cases per gate, all unavailable; numba: 2 modes x 1 corner at the smallest H out of memory.
    counts = table.set_index(["status", "implementation", "gate"])["cases"]
    assert counts[("unavailable", "cudnn", "gru")] == 16
    assert counts[("out of memory", "numba", "gru")] == 2


def test_missing_cases_are_counted_with_the_command_that_measures_them(opened, one_run):
    found = well(opened(one_run, "coverage"))
    # compile was measured in 2 sizes of 8, in two modes, of two gates.
    assert "24 cases of gates that the implementation was already measured with" in found
    assert "gatebench run -g lstm,gru -i compile -m forward,forward_backward" in found
    assert "cudnn is unavailable on this machine" in found
    assert "gatebench list" in found


def test_the_chosen_gate_shows_its_cases_and_errors(opened, one_run):
    app = opened(one_run, "coverage", gate="gru", implementation=["numba", "eager"])
    found = well(app)
    assert "numba: 2 wrong, 2 timeout, 2 out of memory, 10 ok" in found
    cases, errors = app.dataframe[0].value, app.dataframe[1].value
    assert set(cases["case"].str.split("/").str[1]) == {"numba", "eager"}
    worst = errors.set_index(["tensor", "implementation"]).loc[("grad:x", "numba")]
    assert (worst["verdict"], worst["error ratio"], worst["limit"]) == ("wrong", "31.2", "10.0")
    assert len(app.get("plotly_chart")) == 2


def test_a_tile_of_the_url_shows_its_reasons_in_full_and_leads_to_its_gate(opened, one_run):
    app = opened(one_run, "coverage", tile="gru by numba")
    found = well(app)
    assert select(app, "tile").value == "gru by numba"
    assert "gru by numba: " in found.replace("*", "")
    table = app.table[0].value
    assert {"wrong", "timeout", "out of memory"} <= set(table["status"])
    assert any("error\\_ratio 31.2" in reason for reason in table["reason"])
    links = [link.proto for link in app.get("page_link")]
    assert links[0].query_string == "gate=gru&linked=beside"
    assert app.query_params["tile"] in ("gru by numba", ["gru by numba"])


def test_what_a_click_on_a_tile_picks_is_what_the_box_offers(opened, one_run):
    app = opened(one_run, "coverage")
    data = json.loads(app.get("plotly_chart")[0].proto.spec)["data"]
    assert {point[1] for trace in data for point in trace["customdata"]} == set(select(app, "tile").options)


def test_a_tile_that_was_not_measured_has_the_command_that_does(opened, one_run):
    found = well(opened(one_run, "coverage", tile="gru by compile"))
    assert "that others have and this one lacks" in found


def test_all_runs_show_the_newest_measurement_of_a_machine_and_one_run_its_own(opened, three_runs):
    app = opened(three_runs, "coverage")
    found = well(app)
    assert "from 2 runs" in found
    assert len(select(app, "of_run").options) == 3
    select(app, "of_run").select_index(1).run()
    assert "from 2 runs" not in well(app)
    assert "of_run" in app.query_params


def test_the_command_narrows_as_the_sidebar_does(opened, one_run):
    def command(**query):
        return [
            code.value for code in opened(one_run, "coverage", gate="gru", **query).code if code.language == "bash"
        ][-1]

    assert " -g gru -k '*/float32/*' --long --metrics error" in command()
    assert " -m forward -i eager -i numba --long" in command(errors_mode="forward", implementation=["eager", "numba"])


def test_broken_runs_leave_the_rest(opened, broken_run):
    app = opened(broken_run, "coverage")
    assert "broken run file" in well(app)
    assert app.get("plotly_chart")


def test_errors_that_cannot_be_read_are_said(opened, tmp_path):
    [run_id] = write_store(tmp_path / "results", Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64, 128)))
    (tmp_path / "results" / "runs" / run_id / "accuracy.parquet").write_bytes(b"PAR1")
    assert "accuracy.parquet cannot be read" in well(opened(tmp_path / "results", "coverage"))


def test_all_ok_says_so(opened, tmp_path):
    plan = Plan(gates=("gru",), implementations=("eager", "native"), seq_lens=(64,), hidden_sizes=(64,), failures=False)
    write_store(tmp_path / "results", plan)
    found = well(opened(tmp_path / "results", "coverage"))
    assert "Nothing: all 4 measured cases are ok." in found
    assert "Nothing: every implementation has every case" in found


@pytest.mark.parametrize("key", ["on_machine", "of_run", "errors_mode"])
def test_values_in_the_url_that_do_not_exist_are_dropped_and_named(opened, one_run, key):
    app = opened(one_run, "coverage", **{key: "nosuch"})
    well(app)
    assert any("`nosuch` does not exist here" in warning.value for warning in app.warning)


def test_hostile_names_are_shown_as_text(opened, tmp_path, monkeypatch):
    name = "<b>x</b>![a](http://elsewhere/x.png)" + 10_000 * "y"
    write_store(
        tmp_path / "results",
        Plan(gates=(name,), implementations=("eager", "numba"), seq_lens=(64,), hidden_sizes=(64, 128)),
    )
    app = opened(tmp_path / "results", "coverage")
    well(app)
    shown = [str(element.value) for element in [*app.markdown, *app.subheader, *app.caption]]
    assert not any("![a]" in text or "<b>" in text for text in shown)
    assert isinstance(app.table[0].value, pd.DataFrame)

"""Boxes of very many options, and links that lead to a page with filters of their own."""

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.finding import MOST_OPTIONS
from tests.large_store import write_large_store
from tests.synthetic import Plan, write_store

RUNS = MOST_OPTIONS + 10
CELL = Plan(
    runs=2, machines=("EPYC", "M3"), gates=("gru",), implementations=("eager", "native"), seq_lens=(64,), modes=("forward",),
    hidden_sizes=(64,), suites=("nightly",), failures=False, stability=False, blocks=2, rounds=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A store of so many runs that no box offers them all, and their ids, oldest first."""
    store = tmp_path_factory.mktemp("many") / "results"
    return store, write_large_store(store, RUNS, CELL)


def said(app: AppTest) -> str:
    return "\n".join(str(element.value) for kind in (app.caption, app.warning) for element in kind)


def test_a_box_of_very_many_runs_offers_the_newest_and_says_so(opened, many):
    store, ids = many
    app = opened(store, "run")
    assert len(app.selectbox(key="run").options) == MOST_OPTIONS
    assert app.selectbox(key="run").value == ids[-1]
    assert f"The first {MOST_OPTIONS} of {RUNS} are offered below." in said(app)


@pytest.mark.parametrize(
    ("words", "about", "said"),
    [
        ({}, {}, "Words that the name holds, in any order."),  # cases, tiles
        ({"0": "A/B of today"}, {}, "Words that the name or the id holds, in any order."),
        ({"0": "today"}, {"0": "M3"}, "Words that the name, the id or the machine holds, in any order."),
    ],
)  # fmt: skip
def test_the_help_says_what_is_searched(words, about, said):
    app = AppTest.from_function(box, kwargs={"words": words, "about": about}).run()
    assert app.text_input[0].help == said
    assert app.text_input[0].label == "Raw samples of a case: find one of 300"


def box(words, about):
    import streamlit as st

    from dashboard.finding import narrowed

    options = [str(number) for number in range(300)]
    narrowed("case", "Raw samples of a case (or click on its point)", options, words, about, st)


def test_the_run_in_the_url_is_offered_however_old_it_is(opened, many):
    store, ids = many
    app = opened(store, "run", run=ids[0])
    assert app.selectbox(key="run").value == ids[0]
    assert len(app.selectbox(key="run").options) == MOST_OPTIONS + 1
    assert not app.warning


def test_an_old_run_is_found_by_its_id(opened, many):
    store, ids = many
    app = opened(store, "run")
    app.text_input(key="find_run").input(ids[3]).run()
    assert app.selectbox(key="run").value == ids[3]
    assert f"1 of {RUNS} match." in said(app)
    again = opened(store, "run", find_run=ids[3])
    assert again.selectbox(key="run").value == ids[3]


def test_runs_are_found_by_machine_and_date(opened, many):
    store, _ = many
    app = opened(store, "run", find_run="m3 2026-10-02")
    options = app.selectbox(key="run").options
    assert len(options) == 6  # every second hour of the day, on two machines in turn
    assert all("2026-10-02" in option for option in options)


def test_a_text_that_matches_nothing_says_so_and_changes_nothing(opened, many):
    store, ids = many
    app = opened(store, "run", find_run="nosuch")
    assert "None matches" in said(app)
    assert app.selectbox(key="run").value == ids[-1]


def test_a_text_for_a_box_that_is_not_shown_leaves_the_url(opened, three_runs, many):
    assert dict(opened(three_runs, "run", find_run="abc").query_params) == {}
    assert "find_case" not in opened(three_runs, "coverage", find_case="abc").query_params
    store, ids = many
    app = opened(store, "run", find_run=ids[3], find_case="abc")
    assert dict(app.query_params) == {"find_run": ids[3]}
    app.switch_page("views/coverage.py").run()
    assert not app.exception
    assert "find_run" not in app.query_params


def test_few_runs_need_no_finding(opened, three_runs):
    app = opened(three_runs, "run")
    assert not [box for box in app.text_input if box.key == "find_run"]


def test_a_link_of_ours_takes_the_place_of_what_was_chosen_before(opened, three_runs):
    app = opened(three_runs, "coverage")
    before = app.selectbox(key="on_machine").value
    other = next(name for name in app.selectbox(key="on_machine").options if name != before)
    app.selectbox(key="on_machine").select(other).run()
    app.query_params.update(on_machine=before, linked="1")
    app.run()
    assert app.selectbox(key="on_machine").value == before
    assert "linked" not in app.query_params
    assert not app.warning


def test_a_run_id_in_the_url_is_a_run_on_every_page_that_words_it(opened, tmp_path):
    ids = write_store(tmp_path / "results", Plan(runs=4, machines=("EPYC", "M3"), suites=("quick",), gates=("gru",), seq_lens=(64, 128), hidden_sizes=(64, 128)))  # fmt: skip
    for page, query in (("run", {}), ("compare", {"sides": "runs"}), ("scaling", {})):
        app = opened(tmp_path / "results", page, run=ids[2], linked="1", **query)
        assert app.selectbox(key="run").value == ids[2]
        assert not app.warning

"""Names of any length: a click on their points opens them as on those of short ones."""

import json

import pytest
from streamlit.testing.v1 import AppTest

from gatebench.report.figures.keys import clicked
from tests.synthetic import Plan, write_store

GATES = ("g" * 900 + "1", "g" * 900 + "2")  # told apart by their ends only


@pytest.fixture(scope="module")
def long_names(tmp_path_factory):
    store = tmp_path_factory.mktemp("long") / "results"
    write_store(store, Plan(gates=GATES, implementations=("eager", "native"), seq_lens=(64, 128), hidden_sizes=(64,), modes=("forward",), failures=False, stability=False))  # fmt: skip
    return store


@pytest.mark.parametrize(("page", "box", "query"), [("scaling", "case", {"gate": GATES[1]}), ("coverage", "tile", {}), ("compare", "case", {})])  # fmt: skip
def test_a_click_finds_the_name_of_each_point(opened, long_names, page, box, query):
    app = opened(long_names, page, **query)
    assert not app.exception
    spec = json.loads(app.get("plotly_chart")[0].proto.spec)
    points = [point for trace in spec["data"] for point in trace.get("customdata") or ()]
    keys = {point[1] for point in points if isinstance(point, list) and len(point) > 1 and point[1] is not None}
    assert max(map(len, keys)) < 450
    options = app.selectbox(key=box).options
    assert {clicked(key, options) for key in keys} == set(options)
    assert len(options) > 1


def click_on_a_point():
    import streamlit as st

    from dashboard.filters import Filters
    from gatebench.report.figures.keys import click_key

    names = ["short", "g" * 900 + "1", "g" * 900 + "2"]
    # As elements.figure does; AppTest has no clicks on figures.
    st.button("point", on_click=lambda: st.session_state.update(case=click_key(names[2])))
    st.button("elsewhere", on_click=lambda: st.session_state.update(case=click_key("g" * 900 + "3")))
    Filters().pick("case", "Case", names)


def test_a_click_chooses_the_name_that_its_key_stands_for():
    app = AppTest.from_function(click_on_a_point).run()
    assert app.selectbox(key="case").value is None
    app.button[0].click().run()
    assert not app.exception
    assert app.selectbox(key="case").value == GATES[1]
    app.button[1].click().run()
    assert not app.exception
    assert app.selectbox(key="case").value is None

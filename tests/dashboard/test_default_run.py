"""Which run a page opens on: its own newest one, or the newest with the gate that is asked for."""

import pytest
from test_pages import well

from tests.synthetic import Plan, write_store

SIZES = {"seq_lens": (64,), "hidden_sizes": (64,), "failures": False}


@pytest.fixture
def store(tmp_path):
    """A store of a run of two gates that looked at gradients, too, and a newer one of gru alone."""
    write_store(tmp_path / "results", Plan(seed=1, **SIZES))
    write_store(tmp_path / "results", Plan(gates=("gru",), stability=False, **SIZES))
    return tmp_path / "results"


@pytest.mark.parametrize("page", ["scaling", "winner_map"])
def test_a_gate_in_the_address_is_shown_from_the_newest_run_that_has_it(opened, store, page):
    app = opened(store, page, gate="lstm")
    well(app, page)
    assert not app.warning
    assert app.selectbox(key="gate").value == "lstm"
    newest, older = (option.rpartition(" ")[2] for option in app.selectbox(key="run").options)
    assert app.selectbox(key="run").value.endswith(older)
    assert opened(store, page, gate="gru").selectbox(key="run").value.endswith(newest)


def test_the_run_that_another_page_shows_by_itself_is_chosen_nowhere_else(opened, store):
    app = opened(store, "winner_map")
    own = app.selectbox(key="run").value
    app.switch_page("views/stability.py").run()
    assert app.selectbox(key="run").value != own  # the newest that looked at gradients
    app.switch_page("views/winner_map.py").run()
    assert app.selectbox(key="run").value == own
    assert not app.exception


def test_a_run_that_was_chosen_stays_on_the_next_page(opened, store):
    app = opened(store, "winner_map")
    box = app.selectbox(key="run")
    box.select_index(1).run()
    chosen = app.selectbox(key="run").value
    app.switch_page("views/scaling.py").run()
    assert app.selectbox(key="run").value == chosen

"""What the server does while the browser still loads: it opens the store and asks what Overview asks first."""

import streamlit as st
from test_pages import well

from dashboard import loading
from dashboard.views import overview
from gatebench.query.questions import Questions
from tests.synthetic import Plan, write_store

PLAN = Plan(gates=("gru", "lstm"), seq_lens=(64,), hidden_sizes=(64,), runs=3)


def test_a_store_whose_index_has_to_be_built_waits_for_the_page_which_shows_how_far_it_is(tmp_path):
    write_store(tmp_path / "results", PLAN)
    assert loading.open_ahead(tmp_path / "results") is None
    assert loading.open_ahead(tmp_path / "nowhere") is None


def test_what_was_asked_ahead_is_not_asked_again(tmp_path, monkeypatch, opened):
    store = tmp_path / "results"
    write_store(store, PLAN)
    loading.update_index(store)
    st.cache_resource.clear()
    asked: list[str] = []
    frame = Questions.frame
    monkeypatch.setattr(Questions, "frame", lambda self, sql, *more: asked.append(sql) or frame(self, sql, *more))
    found = loading.open_ahead(store)
    assert found is not None
    overview.read_ahead(found)
    before = len(asked)
    assert before > 5
    well(opened(store, "overview"), "overview")
    assert asked[before:] == []


def test_what_begins_ahead_reads_the_store_that_the_pages_show(monkeypatch, tmp_path):
    monkeypatch.delenv("GATEBENCH_STORE", raising=False)
    assert str(loading.store_path(["--store", str(tmp_path)])) == str(tmp_path)
    assert str(loading.store_path([])) == "results"

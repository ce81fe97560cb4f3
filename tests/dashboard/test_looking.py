"""How often the files of a store are looked at: a five-hundredth of the time at most, and after a minute at last."""

import pytest
import streamlit as st

from dashboard import loading
from gatebench.errors import StoreError
from tests.synthetic import Plan, write_store


@pytest.fixture
def looks(monkeypatch, tmp_path):
    """Return a function that opens a store each second by a clock of its own, and says at which seconds it was looked at."""
    store = tmp_path / "results"
    write_store(store, Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64,)))
    monkeypatch.setattr(loading, "store_path", lambda: store)
    st.cache_resource.clear()
    clock = {"now": 10_000.0}
    monkeypatch.setattr(loading.time, "monotonic", lambda: clock["now"])
    update = loading.update_index

    def open_each_second(count: int, takes) -> list[int]:
        seen: list[int] = []

        def looked(path, progress):
            seen.append(second)
            clock["now"] += takes(len(seen))
            return update(path, progress)

        monkeypatch.setattr(loading, "update_index", looked)
        for second in range(count):  # noqa: B007 (looked names it)
            loading.open_store()
            clock["now"] += 1
        return seen

    yield open_each_second
    st.cache_resource.clear()


def test_a_quick_look_is_taken_every_five_seconds(looks):
    assert looks(20, lambda number: 0.001) == [0, 5, 10, 15]


def test_a_long_look_is_taken_seldom_though_none_takes_as_long_as_the_last(looks):
    assert looks(60, lambda number: (0.053, 0.051, 0.055)[number - 1]) == [0, 27, 53]


def test_after_a_minute_it_is_looked_at_however_long_that_took(looks):
    assert looks(100, lambda number: 300.0) == [0, 60]


def test_a_look_that_failed_is_taken_again_at_once(looks, monkeypatch):
    looks(1, lambda number: 0.001)
    st.cache_resource.clear()

    def fails(path, progress):
        raise StoreError("store", "gone", "a store", "bring it back")

    with monkeypatch.context() as broken:
        broken.setattr(loading, "update_index", fails)
        for _ in range(2):
            with pytest.raises(StoreError):
                loading.open_store()
    assert looks(1, lambda number: 0.001) == [0]

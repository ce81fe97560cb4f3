"""What the stability page offers to download: the rows behind all its sections, as the run holds them."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dashboard import elements
from tests.synthetic import Plan, write_store

OPTIONS = '{"num_layers": 2}'


@pytest.fixture
def stored(tmp_path):
    """The stability of a store's run, whose gate has options: several T, forms of inits, training."""
    plan = Plan(gates=("lstm",), seq_lens=(64,), hidden_sizes=(64,), series=True)
    (run_id,) = write_store(tmp_path / "results", plan)
    path = tmp_path / "results" / "runs" / run_id / "stability.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("options")
    pq.write_table(table.set_column(place, "options", pa.array([OPTIONS] * len(table), pa.string())), path)
    return pd.read_parquet(path)


@pytest.fixture
def offered(opened, tmp_path, monkeypatch):
    """Return a function that opens the page with query parameters and returns the rows that it offers."""
    kept = {}
    monkeypatch.setattr(elements, "ways_out", lambda command, frame, name, filters: kept.update({name: frame}))

    def rows(**query):
        assert not opened(tmp_path / "results", "stability", **query).exception
        return kept["stability"]

    return rows


def test_gates_inits_and_options_are_as_stored(stored, offered):
    found = offered()
    assert list(found.columns) == list(stored.columns)
    assert (set(found["gate"]), set(found["options"])) == ({"lstm"}, {OPTIONS})


def test_they_hold_what_the_sweep_goes_along(stored, offered):
    assert offered(task="none", against="T")["seq_len"].nunique() == stored.loc[stored["task"].isna(), "seq_len"].nunique() > 1  # fmt: skip


def test_they_hold_every_step_of_training(stored, offered):
    losses = stored[stored["metric"] == "train_loss"]
    found = offered(task="adding")
    assert len(found[found["metric"] == "train_loss"]) == len(losses) > 1

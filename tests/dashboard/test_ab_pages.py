"""Pages on a run of two versions: `gatebench compare` narrows no such run, and a tile leads to the quantity that it counts."""

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_pages import well

from dashboard.overview_rows import Ab
from dashboard.overview_tiles import inconclusive, slower
from tests.report.stored_ab import write_ab

SIZES = ("batch", "seq_len", "input_size", "hidden_size")
NONE = pd.DataFrame()


@pytest.fixture
def ab(tmp_path):
    """A store with one A/B run whose cases have sizes."""
    folder = write_ab(tmp_path / "results")
    path = folder / "measurements.parquet"
    table = pq.read_table(path)
    for name in SIZES:
        table = table.set_column(table.schema.get_field_index(name), name, pa.array([8] * len(table), pa.int64()))
    pq.write_table(table, path)
    return folder


@pytest.mark.parametrize("page", ["scaling", "winner_map", "coverage", "gate"])
def test_the_command_shows_the_whole_run_whatever_was_chosen(opened, ab, page):
    store = ab.parent.parent
    app = opened(store, page)
    well(app, page)
    commands = [code.value for code in app.code if code.language == "bash"]
    assert commands[-1].endswith(f"gatebench compare {ab.name} --long --store {store}")


def test_both_versions_are_there_by_implementation(opened, ab):
    app = opened(ab.parent.parent, "compare", side="base", trade_side="base")
    assert (app.selectbox(key="side").value, app.selectbox(key="trade_side").value) == ("base", "base")
    assert app.dataframe[0].value["case"].tolist() == ["T8 B8 H8"]
    assert "--long" in well(app, "compare"), "the command takes no baseline for an A/B"
    assert len(app.get("plotly_chart")) == 2


def test_coverage_is_words_and_no_figure(opened, ab):
    app = opened(ab.parent.parent, "compare", sides="commits", quantity="coverage")
    assert "Does the head still compute what the base did?" in well(app, "compare")
    assert app.table[0].value["outcome"].tolist() == ["same", "same"]
    assert [chart.key for chart in app.get("plotly_chart")] == ["trade_off"], "no forest of verdicts without numbers"


def test_a_plan_that_is_gone_is_said_with_a_command_that_there_is(opened, ab):
    (ab / "plan.json").unlink()
    app = opened(ab.parent.parent, "compare", sides="commits")
    assert "plan.json" in well(app, "compare")
    assert next(code.value for code in app.code).endswith(f"gatebench ab main quick --store {ab.parent.parent}")


def test_verdicts_that_cannot_be_read_are_said(opened, ab):
    (ab / "verdicts.parquet").write_bytes(b"PAR1")
    found = well(opened(ab.parent.parent, "compare", sides="commits"), "compare")
    assert "verdicts.parquet cannot be read" in found
    assert "has no verdicts" in found


@pytest.mark.parametrize(
    ("quantities", "text", "leads_to"),
    [(["time", "peak_bytes"], "2 slower: r", "time"), (["error_ratio", "peak_bytes"], "2 slower (peak memory): r", "peak_bytes")],
)  # fmt: skip
def test_a_tile_leads_to_the_quantity_whose_verdicts_it_counts(quantities, text, leads_to):
    run = pd.DataFrame([{"run_id": "r", "label": "r", "place": "e", "harness": "worker"}])
    verdicts = pd.DataFrame({"case_id": ["x", "y"], "verdict": "slower", "quantity": quantities})
    (found,) = slower([Ab(next(run.itertuples()), verdicts)], NONE).links
    assert (found.text, found.query["quantity"]) == (text, leads_to)
    undecided = verdicts.assign(verdict="inconclusive")
    (found,) = inconclusive([Ab(next(run.itertuples()), undecided)], NONE).links
    assert found.query["quantity"] == leads_to

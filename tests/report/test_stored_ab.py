"""A stored A/B: its page and its table come from its folder alone, and a folder that cannot be read is one line."""

import pyarrow.parquet as pq
import pytest
from stored_ab import RUN_ID, SAME, write_ab

from gatebench.errors import StoreError
from gatebench.report.ab_run import ab_document, print_recomputed, recompute
from gatebench.report.stored_markdown import markdown_of_source
from gatebench.report.stored_run import View, print_run
from gatebench.store.read import read_run
from gatebench.store.schema import TABLES


def shown(folder):
    """Show a run on the terminal, which is `gatebench compare RUN`."""
    print_run(folder, View())


def page(folder):
    """Return a run's page, which is `gatebench report RUN`."""
    return markdown_of_source(str(folder), folder.parents[1])


def test_a_whole_run_is_shown_and_has_a_page(capsys, tmp_path):
    folder = write_ab(tmp_path)
    shown(folder)
    assert "1 of 2 inconclusive" in capsys.readouterr().out
    assert "1 of 2" in page(folder)


@pytest.mark.parametrize("show", [shown, page])
@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_cannot_be_read_is_an_error(tmp_path, table, show):
    folder = write_ab(tmp_path)
    (folder / f"{table}.parquet").write_bytes(b"")
    with pytest.raises(StoreError, match=f"^run {RUN_ID}: {table}.parquet cannot be read: [^\n]*; restore or remove"):
        show(folder)


@pytest.mark.parametrize("rows", [0, 1])
def test_verdicts_that_are_not_those_of_the_plan_are_an_error(tmp_path, rows):
    path = write_ab(tmp_path) / "verdicts.parquet"
    pq.write_table(pq.read_table(path).slice(0, rows), path)
    with pytest.raises(StoreError, match=r"verdicts\.parquet and plan\.json are not of the same cases"):
        ab_document(read_run(path.parent))


@pytest.mark.parametrize("table", ["measurements", "samples", "verdicts"])
def test_recomputing_blames_no_verdict_where_a_table_cannot_be_read(capsys, tmp_path, table):
    folder = write_ab(tmp_path)
    assert print_recomputed(read_run(folder)) == 0
    (folder / f"{table}.parquet").write_bytes(b"")
    capsys.readouterr()
    with pytest.raises(StoreError, match=f"^run {RUN_ID}: {table}.parquet cannot be read: "):
        print_recomputed(read_run(folder))
    assert capsys.readouterr().err == ""


def test_a_verdict_that_was_edited_is_told_in_plain_numbers(tmp_path):
    path = write_ab(tmp_path) / "verdicts.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("blocks")
    blocks = [11, *table.column("blocks").to_pylist()[1:]]
    pq.write_table(table.set_column(place, table.schema.field(place), [blocks]), path)
    assert recompute(read_run(path.parent)) == [f"{SAME} time: blocks is 12.0, and 11.0 is stored"]

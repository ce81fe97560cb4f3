"""A stored A/B: its page and its table come from its folder alone, and a folder that cannot be read is one line."""

import pyarrow.parquet as pq
import pytest
from stored_ab import RUN_ID, write_ab

from gatebench.errors import StoreError
from gatebench.report.ab_run import ab_document
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

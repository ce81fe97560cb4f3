"""A run that was imported knows no sizes: every page works beside it, and the other runs look as they did."""

import json
import re
import shutil

import pytest
from test_every_page import QUESTIONS
from test_pages import well

from gatebench.run.imported import import_run
from gatebench.store.exchange_read import read_document


@pytest.fixture
def with_imported(one_run, tmp_path):
    """A store with a run and, newer, a foreign benchmark."""
    store = tmp_path / "results"
    shutil.copytree(one_run, store)
    bench = {"name": "test_a", "fullname": "x.py::test_a", "stats": {"data": [1e-3, 2e-3]}}
    (tmp_path / "b.json").write_text(json.dumps({"benchmarks": [bench]}))
    import_run(read_document(tmp_path / "b.json"), store)
    return store


@pytest.mark.parametrize("page", ["scaling", "winner_map"])
def test_pages_of_sizes_show_the_other_runs_with_whole_numbers(opened, with_imported, page):
    found = well(opened(with_imported, page), page)
    assert "B = 16" in found
    assert "B = 16.0" not in found


def test_compare_shows_a_run_of_several_implementations_first(opened, with_imported):
    app = opened(with_imported, "compare")
    assert "**A** native" in well(app, "compare")
    assert "imported" in "".join(app.selectbox(key="run").options)


@pytest.mark.parametrize("page", QUESTIONS)
def test_what_is_not_known_of_it_is_nan_nowhere(opened, with_imported, page):
    assert "nan" not in re.findall(r"\w+", well(opened(with_imported, page), page))


def test_the_overview_names_the_harness(opened, with_imported):
    app = opened(with_imported, "overview")
    assert "b imported" in well(app, "overview")
    kinds = [table.value["kind"].tolist() for table in app.dataframe if "kind" in table.value]
    assert kinds == [["run, imported", "run"]]

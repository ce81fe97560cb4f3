"""A store that changes under open pages, two people at a time, and a case of a million samples."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_every_page import CELL, TWO, texts

from gatebench.query.questions import IndexGone, Questions
from tests.synthetic import write_store

MILLION = 1_000_000


@pytest.mark.parametrize("page", ["overview", "run"])
def test_a_run_that_goes_while_a_page_is_open_is_gone_from_it(opened, tmp_path, page):
    ids = write_store(tmp_path / "results", TWO)
    app = opened(tmp_path / "results", page, **({"run": ids[1]} if page == "run" else {}))
    shutil.rmtree(tmp_path / "results" / "runs" / ids[1])
    app.run()
    assert not app.exception
    assert ids[1] not in texts(app)
    assert ids[0] in texts(app)


@pytest.mark.parametrize("page", ["overview", "run"])
def test_a_run_that_comes_while_a_page_is_open_is_there_and_moves_nobody(opened, tmp_path, page):
    ids = write_store(tmp_path / "results", TWO)
    shutil.move(tmp_path / "results" / "runs" / ids[1], tmp_path / "later")
    app = opened(tmp_path / "results", page)
    assert ids[1] not in texts(app)
    shutil.move(tmp_path / "later", tmp_path / "results" / "runs" / ids[1])
    app.run()
    assert not app.exception
    if page == "overview":
        assert ids[1] in texts(app)
    else:
        box = app.selectbox(key="run")
        assert len(box.options) == 2
        assert box.value == ids[0]  # what one looks at stays


def test_a_store_in_the_place_of_another_is_shown_while_a_page_is_open(opened, tmp_path):
    write_store(tmp_path / "results", CELL)
    ids = write_store(tmp_path / "other", TWO)
    app = opened(tmp_path / "results", "overview")
    shutil.rmtree(tmp_path / "results")
    (tmp_path / "other").rename(tmp_path / "results")
    app.run()
    assert not app.exception
    assert "of 2 runs in all" in texts(app)
    assert ids[1] in texts(app)


@pytest.mark.parametrize("change", ["deleted", "damaged"])
def test_an_index_that_is_deleted_or_damaged_under_an_open_page_is_built_again(opened, tmp_path, change):
    write_store(tmp_path / "results", TWO)
    app = opened(tmp_path / "results", "overview")
    parts = list((tmp_path / "results" / ".index").glob("*.parquet"))
    for part in parts:
        if change == "deleted":
            part.unlink()
        else:
            part.write_bytes(b"\0" * part.stat().st_size)
    app.switch_page("views/coverage.py").run()  # asks what was not asked before
    assert not app.exception
    assert not app.error
    assert "the newest measurement of each case" in texts(app)


def test_an_index_that_stays_unreadable_is_one_line_on_the_page(opened, tmp_path, monkeypatch):
    write_store(tmp_path / "results", TWO)
    app = opened(tmp_path / "results", "overview")

    def gone(*_):
        raise IndexGone("index", "cannot be read: IO Error: no such device")

    monkeypatch.setattr(Questions, "frame", gone)
    app.switch_page("views/coverage.py").run()  # asks what was not asked before
    assert not app.exception
    assert [error.value for error in app.error] == [
        "index: cannot be read: IO Error: no such device".replace(":", "\\:")
    ]
    monkeypatch.undo()
    app.run()
    assert not app.error
    assert "the newest measurement of each case" in texts(app)


def test_a_run_that_comes_and_goes_again_leaves_pages_as_they_were(opened, tmp_path):
    store = tmp_path / "results"
    ids = write_store(store, TWO)
    shutil.move(store / "runs" / ids[1], tmp_path / "later")
    app = opened(store, "overview")
    shutil.move(tmp_path / "later", store / "runs" / ids[1])
    app.run()
    shutil.move(store / "runs" / ids[1], tmp_path / "later")
    app.run()
    app.switch_page("views/coverage.py").run()  # asks what was not asked before
    assert not app.exception
    assert "the newest measurement of each case" in texts(app)


def test_two_people_look_at_one_store_through_filters_of_their_own(opened, tmp_path):
    write_store(tmp_path / "results", TWO)
    mine, yours = (opened(tmp_path / "results", "scaling", gate=gate) for gate in ("lstm", "gru"))
    mine.selectbox(key="mode").select("forward_backward").run()
    yours.run()
    assert "lstm · forward + backward" in texts(mine)
    assert "gru · forward · " in texts(yours)
    assert not mine.exception
    assert not yours.exception


@pytest.mark.slow
def test_a_case_of_a_million_samples_is_thinned_and_says_so(opened, tmp_path):
    (run_id,) = write_store(tmp_path / "results", CELL)
    path = tmp_path / "results" / "runs" / run_id / "samples.parquet"
    table = pq.read_table(path)
    case = table["case_id"][0].as_py()
    own = table.filter(pa.compute.equal(table["case_id"], case))
    many = own.take(np.arange(MILLION) % len(own))
    many = many.set_column(
        many.schema.get_field_index("round"), "round", pa.array(np.arange(MILLION), many["round"].type)
    )
    pq.write_table(many.replace_schema_metadata(table.schema.metadata), path)
    app = opened(tmp_path / "results", "run", case=case)
    assert not app.exception
    assert "kept samples" in texts(app)
    specs = [chart.proto.spec for chart in app.get("plotly_chart")]
    assert specs
    assert max(map(len, specs)) < 2_000_000
    assert "of 1,000,000" in "".join(specs)

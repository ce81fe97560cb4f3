"""Every page over every kind of store: no traceback, its question, what is missing in words, one banner for what is broken."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest
from test_pages import QUESTIONS

from tests.large_store import write_large_store
from tests.synthetic import Plan, write_store

CELL = Plan(gates=("lstm", "gru"), seq_lens=(64, 128), hidden_sizes=(64, 128), stability_seq_lens=(128,))
TWO = Plan(runs=2, gates=("lstm", "gru"), seq_lens=(64, 128), hidden_sizes=(64, 128), stability_seq_lens=(128,), suites=("quick",))  # fmt: skip
# What each kind of store makes each page say; `everywhere` where a page says nothing of its own.
SAID = {
    "empty": {"everywhere": "holds no run that can be read"},
    "one run": {
        "everywhere": "gatebench ", "overview": "First run of this machine", "compare": "over paired blocks",
        "winner_map": "cells were not measured", "history": "Divided by", "coverage": "What is not right, and why",
        "gate": "Equation", "run": "No plugin was loaded", "stability": "half-life", "scaling": "B = 16",
    },
    "two runs": {
        "everywhere": "gatebench ", "overview": "Took longer, took less", "history": "too few points", "run": "Compare with run",
        "winner_map": "cells were not measured", "coverage": "from 2 runs",
    },
    "truncated": {"everywhere": "measurements.parquet cannot be read"},
    "foreign": {"everywhere": "was not written by GateBench"},
    "without a manifest": {"everywhere": "manifest.json: No such file"},
    "newer": {"everywhere": "schema version 99"},
    "old": {"everywhere": "gatebench ", "overview": "Newest runs"},
    "many runs": {"everywhere": "gatebench ", "overview": "of 40 runs in all"},
}  # fmt: skip
BROKEN = ("truncated", "foreign", "without a manifest", "newer")


@pytest.fixture(scope="module")
def stores(tmp_path_factory) -> Callable[[str], Path]:
    """Return a function that gives the store of a kind, written when first asked for."""
    home = tmp_path_factory.mktemp("kinds")

    def give(kind: str) -> Path:
        store = home / kind.replace(" ", "-") / "results"
        if not store.exists():
            (store / "runs").mkdir(parents=True)
            WRITERS[kind](store)
        return store

    return give


def _empty(store: Path) -> None:
    assert store.exists()


def _broken(spoil: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return a writer of a store with a good run, and an older one that `spoil` breaks."""

    def write(store: Path) -> None:
        ids = write_store(store, TWO)
        spoil(store / "runs" / ids[0])

    return write


def _cut(run: Path) -> None:
    path = run / "measurements.parquet"
    path.write_bytes(path.read_bytes()[:1000])


def _strangers(run: Path) -> None:
    """Put another program's parquet in the place of ours."""
    pq.write_table(pa.table({"city": ["Rome"], "run_id": [1]}), run / "measurements.parquet")


def _newer(run: Path) -> None:
    (run / "manifest.json").write_text('{"schema_version": 99, "run_id": "x", "files": {}}')


def _old(store: Path) -> None:
    """Write a run as an older version did: without columns that came later, and without what its manifest now says."""
    for run_id in write_store(store, CELL):
        for path in (store / "runs" / run_id).glob("*.parquet"):
            table = pq.read_table(path)
            later = {
                "measurements": ["unsteady", "saved_bytes", "kernel", "detail"],
                "samples": ["foreign_ratio", "event_ns"],
            }
            pq.write_table(table.drop_columns(later.get(path.stem, [])), path)


WRITERS: dict[str, Callable[[Path], object]] = {
    "empty": _empty,
    "one run": lambda store: write_store(store, CELL),
    "two runs": lambda store: write_store(store, TWO),
    "truncated": _broken(_cut),
    "foreign": _broken(_strangers),
    "without a manifest": _broken(lambda run: (run / "manifest.json").unlink()),
    "newer": _broken(_newer),
    "old": _old,
    "many runs": lambda store: _large(store, 40),
    "a thousand runs": lambda store: _large(store, 1000),
}


def _large(store: Path, runs: int) -> None:
    shutil.rmtree(store)
    write_large_store(store, runs)


def texts(app: AppTest) -> str:
    """Return all text of a page, that of tables and labels too, Markdown's escapes undone."""
    kinds = (app.title, app.markdown, app.info, app.warning, app.caption, app.code, app.subheader)
    said = [str(element.value) for kind in kinds for element in kind]
    said += [str(element.label) for kind in (app.selectbox, app.metric, app.expander) for element in kind]
    said += [element.value.to_csv() for kind in (app.table, app.dataframe) for element in kind]
    return "\n".join(said).replace("\\", "")


def banners(app: AppTest) -> list[str]:
    return [warning.value for warning in app.warning if "broken run file" in warning.value]


def check(app: AppTest, page: str, kind: str) -> None:
    """Check that a page asks its question, breaks nowhere, and says what this kind of store is to make it say."""
    assert not app.exception
    assert not app.error
    found = texts(app)
    assert f"**{QUESTIONS[page]}**" in found
    assert "Traceback" not in found
    expected = SAID[kind].get(page, SAID[kind]["everywhere"])
    assert expected in found, found[:3000]


@pytest.mark.parametrize("page", QUESTIONS)
@pytest.mark.parametrize("kind", SAID)
def test_every_page_says_what_it_shows_or_what_is_missing(opened, stores, page, kind):
    app = opened(stores(kind), page)
    check(app, page, kind)
    assert len(banners(app)) == (1 if kind in BROKEN else 0)
    if kind != "empty":
        assert "gatebench run quick" not in texts(app) or page in ("compare", "history")
        # The rest works: the page of a store with a broken run shows what the good one holds.
        assert app.table or app.dataframe


@pytest.mark.slow
@pytest.mark.parametrize("page", QUESTIONS)
def test_every_page_shows_a_thousand_runs(opened, stores, page):
    app = opened(stores("a thousand runs"), page)
    assert not app.exception
    assert f"**{QUESTIONS[page]}**" in texts(app)
    assert app.table or app.dataframe
    for box in app.selectbox:
        assert len(box.options) <= 201


HTML = "<script>alert(1)</script><img src=x onerror=alert(2)>"
MARKDOWN = "**b** [x](http://e) $a^2$ `c` | t"
HOSTILE = Plan(
    runs=2, gates=(HTML, MARKDOWN), implementations=("eager", "\u202eabc\u202d", 10_000 * "x"), machines=(MARKDOWN + HTML,),
    suites=(10_000 * "y",), seq_lens=(64, 128), hidden_sizes=(64, 128), stability_seq_lens=(128,),
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A store whose gates, implementations, machines and suites have names that are HTML, Markdown, long, right to left."""
    store = tmp_path_factory.mktemp("hostile") / "results"
    write_store(store, HOSTILE)
    return store


@pytest.mark.parametrize("page", QUESTIONS)
def test_names_that_are_markdown_or_html_are_shown_as_they_are(opened, hostile, page):
    app = opened(hostile, page)
    assert not app.exception
    shown = [
        element.value for kind in (app.markdown, app.caption, app.info, app.warning, app.subheader) for element in kind
    ]
    assert any("gatebench " in code.value for code in app.code)
    for text in shown:
        assert "[x](http" not in text
        assert "**b**" not in text
    assert not any(word in element.value for element in app.get("html") for word in ("alert(", "onerror"))

"""Stores for the dashboard's tests, written once per session; the repository's root on the path for `tests.synthetic`."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from browsing import chromium, server  # noqa: E402 (needs the path above)

from dashboard import elements  # noqa: E402 (needs the path above)
from tests.synthetic import Plan, write_store  # noqa: E402 (needs the path above)

APP = ROOT / "dashboard" / "app.py"
FULL = Plan(gates=("lstm", "gru"), seq_lens=(64,), hidden_sizes=(64,), series=True)
SMALL = Plan(gates=("lstm", "gru"), seq_lens=(64, 128, 256), hidden_sizes=(64, 128, 256))
BROWSED = replace(SMALL, runs=2, suites=("quick",), steps={"native": (1, 1.3)}, series=True)


@pytest.fixture(autouse=True)
def main_module(monkeypatch):
    """Take back what AppTest leaves as `__main__`: a process that multiprocessing spawns later would run it."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture(autouse=True)
def program(monkeypatch):
    """Let commands on pages be called by their name, wherever it lies here."""
    monkeypatch.setattr(elements, "PROGRAM", "gatebench")


@pytest.fixture
def opened(monkeypatch):
    """Return a function that opens a page over a store, with query parameters."""

    def open_page(store: Path, page: str, **query: str | list[str]) -> AppTest:
        monkeypatch.setenv("GATEBENCH_STORE", str(store))
        app = AppTest.from_file(str(APP), default_timeout=120).run()  # an index may have to be built first
        app.switch_page(f"views/{page}.py")
        app.query_params.update(query)
        return app.run()

    return open_page


@pytest.fixture(scope="session")
def one_run(tmp_path_factory):
    """A store with one run: two gates, five implementations, failures with reasons, stability."""
    store = tmp_path_factory.mktemp("one") / "results"
    write_store(store, SMALL)
    return store


@pytest.fixture(scope="session")
def full_run(tmp_path_factory):
    """A store with one run whose stability holds a sweep of forget biases, spectra and training beside the usual."""
    store = tmp_path_factory.mktemp("full") / "results"
    write_store(store, FULL)
    return store


@pytest.fixture(scope="session")
def three_runs(tmp_path_factory):
    """A store with three runs on two machines, the newest interrupted, and a committed one."""
    store = tmp_path_factory.mktemp("three") / "results"
    write_store(
        store,
        Plan(runs=3, partial=True, machines=("EPYC", "M3"), seq_lens=(64, 128), hidden_sizes=(64, 128), gates=("gru",)),
    )
    write_store(store, Plan(seq_lens=(64,), hidden_sizes=(64, 128), seed=7), folder="reference")
    return store


@pytest.fixture
def broken_run(one_run, tmp_path):
    """A store with one good run, one with a truncated parquet, one with a foreign manifest, and a stray folder."""
    store = tmp_path / "results"
    shutil.copytree(one_run, store)
    ids = write_store(store, Plan(runs=2, seq_lens=(64,), hidden_sizes=(64,), seed=3))
    cut, foreign = (store / "runs" / run_id for run_id in ids)
    (cut / "measurements.parquet").write_bytes((cut / "measurements.parquet").read_bytes()[:100])
    (foreign / "manifest.json").write_text('{"schema_version": 99, "run_id": "x", "files": {}}')
    (store / "runs" / "stray").mkdir()
    return store


@pytest.fixture(scope="session")
def browsed_store(tmp_path_factory):
    """A store with something on every page: two runs of one suite, in the second `native` is slower; all of stability."""
    store = tmp_path_factory.mktemp("browsed") / "results"
    write_store(store, BROWSED)
    return store


@pytest.fixture(scope="session")
def browsed(browsed_store, tmp_path_factory):
    """The address of a dashboard over `browsed_store`."""
    with server(browsed_store, tmp_path_factory.mktemp("log") / "streamlit.log") as (found, _):
        yield found


@pytest.fixture(scope="module")
def browser():
    """Debian's chromium; a test that wants it fails with the command that installs it where there is none.

    Not for the whole session: its event loop would be in the way of tests that start their own.
    """
    with chromium() as running:
        yield running

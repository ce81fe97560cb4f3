"""The command line called in this process, with a catalogue that a real worker gave once, and a store with a run."""

import sys

import pytest
from cli_helpers import ROOT, call

from gatebench.run import discover as discovering
from gatebench.run.discover import discover


@pytest.fixture(scope="session")
def catalogue():
    """What can be measured here, asked of a real worker once."""
    return discover()


@pytest.fixture
def gb(capsys, monkeypatch, tmp_path, catalogue, request):
    """Call gatebench in this process, in an empty folder; a catalogue without plugins is not asked for again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEBENCH_STORE", raising=False)

    def known(plugins=(), ceilings=False):
        return discovering_really(plugins, ceilings) if list(plugins) else catalogue

    discovering_really = discovering.discover
    monkeypatch.setattr(discovering, "discover", known)
    yield lambda *arguments: call(capsys, monkeypatch, *arguments)
    if "measures" not in request.keywords.get("usefixtures", ()):
        written = [path for path in tmp_path.rglob("*") if path.is_file() and "results" in path.parts[:-1]]
        assert [path for path in written if path.name != "keep"] == []


@pytest.fixture
def stored(tmp_path):
    """A store with one synthetic run."""
    sys.path.insert(0, str(ROOT))
    from tests.synthetic import Plan, write_store

    write_store(tmp_path / "elsewhere", Plan(gates=("gru",), seq_lens=(64, 128), hidden_sizes=(64,)))
    return tmp_path / "elsewhere"

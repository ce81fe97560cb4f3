"""What tests of two versions share: a repository of a kernel author, and a temporary folder that must be empty again."""

import tempfile
from pathlib import Path

import pytest
from repositories import repository

from gatebench.run.ab.checkouts import PREFIX


@pytest.fixture
def repo(tmp_path):
    """A repository with a plugin and a suite."""
    return repository(tmp_path / "repo")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where checkouts go in this test; nothing may be left in it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert list(Path(folder).glob(f"{PREFIX}*")) == []


@pytest.fixture
def two_blocks(monkeypatch):
    """Screen with two blocks: too few for any verdict on time, enough to see what is measured."""
    monkeypatch.setattr("gatebench.analyze.plan.SCREEN_BLOCKS", (2, 2))

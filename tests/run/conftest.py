"""What tests with real workers share: the catalogue of this machine, and a mark by which their processes are found."""

import pytest
from run_helpers import MARK, left_behind, new_mark

from gatebench.run.discover import discover


@pytest.fixture(scope="session")
def catalogue():
    """What can be measured here, asked of a real worker once."""
    return discover()


@pytest.fixture
def mark(monkeypatch):
    """Mark the processes that a test starts, and fail it where one is left behind."""
    text = new_mark()
    monkeypatch.setenv(MARK, text)
    yield text
    assert left_behind(text) == {}

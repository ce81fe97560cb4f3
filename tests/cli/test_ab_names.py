"""Which of the names given to `ab` are sides, and which one is the suite."""

import pytest

from gatebench.cli.ab import sides_and_suite
from gatebench.errors import UserError


@pytest.fixture(autouse=True)
def own_suite(tmp_path, monkeypatch):
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "speed.toml").touch()
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], (None, None, None)),
        (["main"], ("main", None, None)),
        (["quick"], (None, None, "quick")),
        (["speed"], (None, None, "speed")),
        (["main", "speed"], ("main", None, "speed")),
        (["main", "other/speed.toml"], ("main", None, "other/speed.toml")),
        (["main", "work"], ("main", "work", None)),
        (["main", "work", "whatever"], ("main", "work", "whatever")),
    ],
)
def test_the_last_name_is_a_suite_where_there_is_one(names, expected):
    assert sides_and_suite(names) == expected


def test_more_names_than_there_are_places_are_refused():
    with pytest.raises(UserError, match="4 names are given"):
        sides_and_suite(["a", "b", "c", "d"])

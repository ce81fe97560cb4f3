"""Dates of commits, as far as the repository at hand knows them."""

import os
import subprocess

import pytest

from gatebench.run.environment import commit_times

ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


@pytest.fixture
def repository(tmp_path):
    """A repository with two commits of known dates, newest first."""

    def git(*arguments, date="2026-01-01T00:00:00+00:00"):
        environment = {**os.environ, **ENVIRONMENT, "GIT_COMMITTER_DATE": date, "GIT_AUTHOR_DATE": date}
        return subprocess.run(
            ["git", *arguments], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "one")
    git("commit", "-q", "--allow-empty", "-m", "two", date="2026-02-03T04:05:06+00:00")
    return tmp_path, git("log", "--format=%H").split()


def test_known_commits_have_their_dates_and_others_none(repository):
    folder, (newer, older) = repository
    found = commit_times(folder, [older, "0" * 40, newer, older, "--all", "not a commit"])
    assert {sha: text[:19] for sha, text in found.items()} == {
        newer: "2026-02-03T04:05:06",
        older: "2026-01-01T00:00:00",
    }
    assert commit_times(folder, []) == commit_times(folder, ["0" * 40]) == {}


def test_without_a_repository_nothing_is_known(tmp_path):
    assert commit_times(tmp_path, ["a" * 40]) == {}

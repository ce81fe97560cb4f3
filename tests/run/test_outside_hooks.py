"""Inside a git hook, everything still is about the folder at hand, not about the repository that the hook names."""

import subprocess

import pytest

from gatebench.run.environment import git_state
from gatebench.run.process import Launch, worker_environment


@pytest.fixture
def inside_a_hook(monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "another" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", "elsewhere")


def test_a_run_names_the_commit_of_its_own_checkout(tmp_path, inside_a_hook, monkeypatch):
    here = tmp_path / "here"
    with monkeypatch.context() as outside:
        outside.delenv("GIT_DIR")
        outside.delenv("GIT_INDEX_FILE")
        for arguments in (["init", "-q"], ["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "-q", "--allow-empty", "-m", "first"]):  # fmt: skip
            here.mkdir(exist_ok=True)
            subprocess.run(["git", "-C", str(here), *arguments], check=True)
    state = git_state(here)
    assert state is not None
    assert state["dirty"] is False


def test_a_plugin_that_asks_git_is_told_of_its_own_repository(inside_a_hook):
    assert not {"GIT_DIR", "GIT_INDEX_FILE"} & set(worker_environment(1, Launch("python")))

"""What the user names as base and head, and what is found there."""

import pytest
from repositories import commit, git

from gatebench.errors import UserError
from gatebench.run.ab.sides import default_branch, resolve


def test_a_tag_a_branch_and_a_short_commit_are_revisions(repo):
    first = git(repo, "rev-parse", "HEAD")
    git(repo, "tag", "v1")
    second = commit(repo, "second", notes__md="more")
    base, head = resolve("v1", second[:9], repo)
    assert (base.sha, head.sha) == (first, second)
    assert (str(base), str(head)) == (f"v1 {first[:10]}", second[:9])
    assert head.subject == "second"


def test_without_names_the_merge_base_meets_the_working_tree(repo):
    git(repo, "checkout", "-q", "-b", "work")
    first = git(repo, "rev-parse", "main")
    second = commit(repo, "on the branch", notes__md="more")
    base, head = resolve(None, None, repo)
    assert (base.given, base.sha) == ("merge-base with main", first)
    assert (head.given, head.sha, head.dirty) == ("working tree", second, False)


def test_changes_that_are_not_committed_are_said(repo):
    (repo / "my_glu.py").write_text("# changed")
    _, head = resolve("main", None, repo)
    assert head.dirty
    assert str(head).endswith("with changes that are not committed")


def test_the_default_branch_is_that_of_origin(repo, tmp_path):
    git(repo, "branch", "-m", "trunk")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(repo), str(clone))
    assert default_branch(clone) == "origin/trunk"


def test_no_default_branch_is_one_line(repo):
    git(repo, "branch", "-m", "trunk")
    with pytest.raises(UserError, match=r"base: no default branch \(origin/main, .*name the base"):
        resolve(None, None, repo)


def test_an_unknown_revision_is_one_line(repo):
    with pytest.raises(UserError, match=r"^base: 'v9' is unknown here; a git revision .* or a folder is accepted; "):
        resolve("v9", None, repo)


@pytest.mark.parametrize("name", ["--upload-pack=x", "-h", "main..HEAD"])
def test_what_looks_like_an_option_or_a_range_is_no_revision(repo, name):
    with pytest.raises(UserError, match="is unknown here"):
        resolve(name, None, repo)


def test_outside_a_repository_revisions_are_refused_and_folders_are_not(tmp_path):
    with pytest.raises(UserError, match="ab: not a git repository"):
        resolve(None, None, tmp_path)
    with pytest.raises(UserError, match="ab: not a git repository"):
        resolve("v1", "v2", tmp_path)
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    base, head = resolve("old", "new", tmp_path)
    assert (base.folder, head.folder) == (tmp_path / "old", tmp_path / "new")
    assert base.to_json() == {"given": "old", "sha": None, "dirty": False, "subject": None}


def test_a_repository_without_a_commit_is_one_line(tmp_path):
    git(tmp_path, "init", "-q")
    with pytest.raises(UserError, match="head: the repository has no commit"):
        resolve(None, None, tmp_path)


@pytest.mark.parametrize("names", [("", None), ("main", " ")])
def test_an_empty_name_is_one_line(repo, names):
    with pytest.raises(UserError, match=r"(base|head): an empty name; .*is the variable set for this event"):
        resolve(*names, repo)


def test_a_name_too_long_for_a_path_is_unknown(repo):
    with pytest.raises(UserError, match="is unknown here"):
        resolve("x" * 5000, None, repo)


def test_untracked_files_make_the_tree_dirty_whatever_git_shows(repo):
    git(repo, "config", "status.showUntrackedFiles", "no")
    (repo / "new.py").write_text("x")
    assert resolve("main", None, repo)[1].dirty

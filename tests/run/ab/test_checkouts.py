"""Two checkouts that change places, whatever is in them, and that are gone at the end, whatever happens."""

import subprocess
import sys
from pathlib import Path

import pytest
from repositories import commit, git
from run_helpers import state, wait_for

from gatebench.errors import UserError
from gatebench.run.ab.checkouts import PREFIX, BuildError, build, check_out
from gatebench.run.ab.sides import resolve


def sides(base, head, here):
    return dict(zip(("base", "head"), resolve(base, head, here), strict=True))


def test_each_side_has_its_own_files_wherever_it_lies(repo, temporary):
    first = git(repo, "rev-parse", "HEAD")
    commit(repo, "second", my_glu__py="# new")
    with check_out(sides(first, "main", repo), repo) as checkouts:
        places = [checkouts.place(side) for side in ("base", "head")]
        assert len(str(places[0])) == len(str(places[1]))
        checkouts.swap()
        assert [checkouts.place("head"), checkouts.place("base")] == places
        assert (checkouts.place("head") / "my_glu.py").read_text() == "# new"
        assert "toy:glu" in (checkouts.place("base") / "my_glu.py").read_text()
    assert git(repo, "worktree", "list").count("\n") == 0


def test_the_working_tree_is_measured_as_it_is(repo, temporary):
    commit(repo, "second", gone__py="x", __gitignore="built.so\n")
    (repo / "gone.py").unlink()
    (repo / "my_glu.py").write_text("# changed")
    (repo / "sub").mkdir()
    (repo / "sub" / "new.py").write_text("new")
    (repo / "link").symlink_to("my_glu.py")
    (repo / "built.so").write_text("ignored")
    with check_out(sides("main", None, repo), repo) as checkouts:
        head = checkouts.place("head")
        assert (head / "my_glu.py").read_text() == "# changed"
        assert (head / "sub" / "new.py").read_text() == "new"
        assert (head / "link").is_symlink()
        assert not (head / "gone.py").exists()
        assert not (head / "built.so").exists()
    assert (repo / "my_glu.py").read_text() == "# changed"


def test_folders_are_copied_without_what_belongs_to_their_place(tmp_path, temporary):
    for name in ("old", "new"):
        for inside in (".git", ".venv", "results", "package/results"):
            (tmp_path / name / inside).mkdir(parents=True)
        (tmp_path / name / "built.so").write_text(name)
    with check_out(sides("old", "new", tmp_path), tmp_path) as checkouts:
        head = checkouts.place("head")
        assert sorted(str(path.relative_to(head)) for path in head.rglob("*")) == [
            "built.so",
            "package",
            "package/results",
        ]
        assert (head / "built.so").read_text() == "new"


def test_an_error_leaves_nothing_behind(repo, temporary):
    with pytest.raises(ZeroDivisionError), check_out(sides("main", None, repo), repo):
        raise ZeroDivisionError
    assert git(repo, "worktree", "list").count("\n") == 0


def end(job):
    job.kill()
    job.wait()
    job.stdout.close()


def test_what_a_killed_job_left_is_swept_away_and_a_living_job_is_not(repo, temporary):
    code = "import sys, time; from pathlib import Path\nfrom gatebench.run.ab.checkouts import check_out\nfrom gatebench.run.ab.sides import resolve\nhere = Path(sys.argv[1])\nwith check_out(dict(zip(('base', 'head'), resolve('main', None, here))), here):\n    print('ready', flush=True)\n    time.sleep(60)\n"
    jobs = [subprocess.Popen([sys.executable, "-c", code, str(repo)], stdout=subprocess.PIPE) for _ in range(2)]
    try:
        for job in jobs:
            assert job.stdout is not None
            job.stdout.readline()
        assert len(list(temporary.glob(f"{PREFIX}*"))) == 2
        end(jobs[0])
        with check_out(sides("main", None, repo), repo):
            assert len(list(temporary.glob(f"{PREFIX}*"))) == 2  # the living one's, and this one
    finally:
        for job in jobs:
            end(job)
    with check_out(sides("main", None, repo), repo):
        assert len(list(temporary.glob(f"{PREFIX}*"))) == 1


def test_a_build_runs_once_in_each_checkout(repo, temporary, tmp_path):
    with check_out(sides("main", None, repo), repo) as checkouts:
        build(checkouts, f"pwd >> {tmp_path}/built; touch made.so", {})
        assert sorted((tmp_path / "built").read_text().split()) == sorted(
            str(checkouts.place(side)) for side in ("base", "head")
        )
        assert (checkouts.place("base") / "made.so").exists()


@pytest.mark.parametrize(("broken", "code"), [("base", 2), ("head", 3)])
def test_a_build_that_fails_has_the_exit_code_of_its_side(repo, temporary, broken, code):
    commit(repo, "second", **{"ok" if broken == "base" else "other": "x"})
    with check_out(sides("main~1", "main", repo), repo) as checkouts:
        test = "test -e ok" if broken == "base" else "test ! -e other"
        with pytest.raises(BuildError, match=f"--build of the {broken}: ended with 1: no such luck") as caught:
            build(checkouts, f"{test} || {{ echo no such luck; exit 1; }}", {})
    assert caught.value.exit_code == code


def test_an_interrupted_build_takes_its_processes_along(repo, temporary, tmp_path, monkeypatch):
    def interrupted(self, *arguments, **more):
        wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text())
        raise KeyboardInterrupt

    with check_out(sides("main", None, repo), repo) as checkouts, monkeypatch.context() as patch:
        patch.setattr(subprocess.Popen, "communicate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            build(checkouts, f"sleep 77 & echo $! > {tmp_path}/pid; wait", {})
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}").exists() or state(pid) == "Z")


def test_no_room_is_one_line(repo, temporary, monkeypatch):
    def full(*arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("shutil.copy2", full)
    (repo / "my_glu.py").write_text("# changed")
    with (
        pytest.raises(UserError, match="head: cannot be copied: No space left on device; room for both"),
        check_out(sides("main", None, repo), repo),
    ):
        pass


def test_places_are_real_paths_though_the_temporary_folder_is_a_link(repo, tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "link"))
    with check_out(sides("main", None, repo), repo) as checkouts:
        assert checkouts.place("base").resolve() == checkouts.place("base")


def test_other_worktrees_of_the_repository_stay_though_their_folder_is_away(repo, temporary, tmp_path):
    git(repo, "worktree", "add", "-q", "--detach", str(tmp_path / "other"))
    (tmp_path / "other").rename(tmp_path / "moved")
    with check_out(sides("main", None, repo), repo) as checkouts:
        checkouts.swap()
    (tmp_path / "moved").rename(tmp_path / "other")
    assert git(tmp_path / "other", "rev-parse", "HEAD") == git(repo, "rev-parse", "HEAD")
    assert len(list((repo / ".git" / "worktrees").iterdir())) == 1


def test_hooks_and_what_they_set_are_no_matter(repo, temporary, monkeypatch):
    hook = repo / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", "elsewhere")
    with check_out(sides("main", None, repo), repo) as checkouts:
        assert (checkouts.place("base") / "speed.toml").is_file()


def test_names_that_are_not_utf8_come_along(repo, temporary):
    name = b"caf\xe9.py".decode("utf-8", "surrogateescape")
    (repo / name).write_text("x")
    with check_out(sides("main", None, repo), repo) as checkouts:
        assert (checkouts.place("head") / name).read_text() == "x"


def test_submodules_are_checked_out(repo, temporary, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "protocol.file.allow")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "always")
    library = tmp_path / "library"
    library.mkdir()
    git(library, "init", "-q", "-b", "main")
    commit(library, "first", kernel__h="// fast")
    git(repo, "submodule", "--quiet", "add", str(library), "library")
    commit(repo, "with a submodule")
    with check_out(sides("main~1", "main", repo), repo) as checkouts:
        assert (checkouts.place("head") / "library" / "kernel.h").read_text() == "// fast"


def test_a_build_knows_its_side_and_interpreter(repo, temporary):
    with check_out(sides("main", None, repo), repo) as checkouts:
        build(checkouts, "echo $GATEBENCH_SIDE $GATEBENCH_PYTHON > about", {"head": "python3.12"})
        assert (checkouts.place("head") / "about").read_text() == "head python3.12\n"
        assert (checkouts.place("base") / "about").read_text() == f"base {sys.executable}\n"

"""Files of a job: refused before anything is measured where they cannot be written, then whole or not at all."""

import os
import resource
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatebench.errors import UserError
from gatebench.report.ci.outputs import Outputs, write_outputs
from gatebench.report.files import write_file


def refused(**asked):
    with pytest.raises(UserError) as caught:
        Outputs(**asked).check()
    return str(caught.value)


@pytest.fixture
def busy(tmp_path):
    """A file that not even root can write: a program that runs."""
    program = Path(shutil.copy(shutil.which("sleep"), tmp_path / "busy"))
    process = subprocess.Popen([program, "600"])
    yield program
    process.kill()
    process.wait()


@pytest.mark.parametrize("flag", ["markdown", "junit"])
def test_what_cannot_be_written_is_refused_at_once(tmp_path, busy, flag):
    there = tmp_path / "there"
    there.mkdir()
    assert refused(**{flag: there}) == f"--{flag}: {there} is a folder; a file is accepted; name a file in it"
    assert f"--{flag}: no folder " in refused(**{flag: tmp_path / "none" / "page"})
    assert f"--{flag}: busy: cannot write: Text file busy; " in refused(**{flag: busy})
    long = "x" * 256
    assert f"--{flag}: {long}: cannot write: File name too long; " in refused(**{flag: tmp_path / long})


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_rights_that_are_missing_are_told_at_once(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("old")
    page.chmod(0o444)
    assert "--markdown: page.md: cannot write: Permission denied; " in refused(markdown=page)
    page.chmod(0o644)
    tmp_path.chmod(0o555)
    assert "--markdown: page.md: cannot write: Permission denied; " in refused(markdown=page)


def test_junit_goes_to_no_stdout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert refused(junit=Path("-")) == "--junit: - is no file; a file is accepted; e.g. --junit gatebench.xml"


def test_stdout_takes_json_or_markdown():
    assert "--markdown: - is given together with --json; stdout takes one of them" in refused(
        markdown=Path("-"), as_json=True
    )


def test_a_file_is_written_whole_under_any_name_that_fits(tmp_path):
    (tmp_path / "page.half").mkdir()
    for name in ("page", "x" * 255):
        write_file("--html", tmp_path / name, "p\ud800äge")
        assert (tmp_path / name).read_text("utf-8") == "p?äge"
    assert len(list(tmp_path.iterdir())) == 3


def test_what_is_cut_while_it_is_written_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "page").write_text("old")
    write = Path.write_text

    def cut(path, text, **settings):
        write(path, text[:3], **settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_text", cut)
    with pytest.raises(KeyboardInterrupt):
        write_file("--html", tmp_path / "page", "new text")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("page", "old")]


def test_what_a_link_leads_to_is_written_with_its_rights_and_the_link_stays(tmp_path):
    (tmp_path / "today").write_text("old")
    (tmp_path / "today").chmod(0o600)
    (tmp_path / "latest").symlink_to("today")
    write_file("--html", tmp_path / "latest", "new")
    assert (tmp_path / "latest").is_symlink()
    assert (tmp_path / "today").read_text() == "new"
    assert (tmp_path / "today").stat().st_mode & 0o777 == 0o600


def test_a_check_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "old.md").write_text("old")
    os.mkfifo(tmp_path / "pipe")  # opened, it would wait for its reader
    for name in ("old.md", "new.md", "pipe"):
        Outputs(tmp_path / name, tmp_path / name).check()
    Outputs(Path("-")).check()
    Outputs(tmp_path / "new.md", as_json=True).check()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.md", "pipe"]
    assert (tmp_path / "old.md").read_text() == "old"


@contextmanager
def files_of(most_bytes):
    """Let no file of this process grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("flag", ["markdown", "junit"])
def test_a_full_disk_leaves_the_old_file_whole(tmp_path, flag):
    page = tmp_path / "page"
    page.write_text("old")
    with files_of(10), pytest.raises(UserError, match=rf"--{flag}: page: cannot write: File too large"):
        write_outputs(Outputs(**{flag: page}), lambda: "new " * 10_000, lambda: "new " * 10_000, list)
    assert page.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["page"]

"""A store that is full or read-only: exit 2, one line, nothing measured lost, and resume works after room is made."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "run"))

import fakes  # noqa: E402 (needs the path above)

from gatebench.errors import StoreError  # noqa: E402
from gatebench.run import execute, resume  # noqa: E402
from gatebench.run.environment import environment_class  # noqa: E402
from gatebench.run.execute import Request  # noqa: E402
from gatebench.run.progress import Silent  # noqa: E402
from gatebench.run.runner import Runner  # noqa: E402
from gatebench.store import write as writing  # noqa: E402
from gatebench.store.read import load  # noqa: E402
from gatebench.suites import Narrowing, suite_from_data  # noqa: E402


@pytest.fixture
def lab(monkeypatch):
    """Runs and resumes with fake workers."""
    lab = fakes.Lab()
    catalogue = fakes.catalogue("first", "second")

    class FakeRunner(Runner):
        def __init__(self, plan, journal, progress):
            super().__init__(plan, journal, progress, lab)

    monkeypatch.setattr(execute, "Runner", FakeRunner)
    monkeypatch.setattr(resume, "discover", lambda files: catalogue)
    monkeypatch.setattr(resume, "environment_class", lambda environment: environment_class(catalogue.environment))
    return lab


def request():
    group = {"why": "a test", "gates": ["glu"], "implementations": ["first", "second"], "threads": [1], "batch": [1],
             "seq_len": [2, 3], "hidden_size": [4]}  # fmt: skip
    data = {"schema": "gatebench-suite/1", "measure": {"blocks": 1, "rounds": 2}, "cases": [group]}
    return Request(suite_from_data(data, "", "s.toml", Path()), Narrowing())


def start(store):
    wanted = request()
    return execute.start(wanted, store, execute.make_plan(wanted, fakes.catalogue("first", "second")), Silent())


def full_after(monkeypatch, writes, number):
    """Let the file layer refuse after so many durable JSON files."""
    count = iter(range(10_000))
    real = writing.os.fsync

    def fsync(descriptor):
        if next(count) >= writes:
            raise OSError(number, os.strerror(number))
        return real(descriptor)

    monkeypatch.setattr(writing.os, "fsync", fsync)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EIO])
@pytest.mark.parametrize("writes", [0, 1, 2, 4, 7, 9, 10, 12, 16, 17])
def test_a_store_that_refuses_at_any_time_loses_nothing(tmp_path, monkeypatch, lab, number, writes):
    store = tmp_path / "results"
    with pytest.MonkeyPatch.context() as patch:
        full_after(patch, writes, number)
        with pytest.raises(StoreError, match=r"store results/: cannot write: ") as caught:
            start(store)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    assert load(store).problems == []
    assert len(load(store).folders) == 0
    kept = list(store.glob("_staging/*/journal/case-*.json"))
    if writes < 2:  # not even what was asked for could be stored
        assert not list(store.glob("_staging/*"))
        assert "choose another with --store" in str(caught.value)
        return
    staged = next(store.glob("_staging/*")).name
    assert f"`gatebench run --resume {staged}`" in str(caught.value)
    lab.log.clear()
    outcome = resume.resume(store, None, Silent())
    assert outcome.folder.name == staged
    assert set(load(store).measurements["status"]) == {"ok"}
    assert len(load(store).measurements) == 4
    assert len(lab.said("sample")) == 2 * 2 * (2 - len(kept) // 2)  # whole units, and only those that were not kept
    assert not list(store.glob("_staging/*"))


def mounted(folder, *options):
    return subprocess.run(["mount", "-t", "tmpfs", *options, "gatebench-test", str(folder)], check=False, capture_output=True)  # fmt: skip


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 KiB, of which little is left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or mounted(folder, "-o", "size=64k").returncode != 0:
        pytest.skip("mounting needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_full_keeps_the_journal_and_resumes(small_disk, lab):
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    with pytest.raises(StoreError, match=r"No space left on device; .* make room, then `gatebench run --resume"):
        start(small_disk / "results")
    assert load(small_disk / "results").folders == ()
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    resume.resume(small_disk / "results", None, Silent())
    assert len(load(small_disk / "results").measurements) == 4


def test_a_disk_that_is_read_only_is_refused_before_anything_is_measured(small_disk, lab):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StoreError, match=r"Read-only file system; .*; choose another with --store"):
        start(small_disk / "results")
    assert lab.log == []

"""A store on a disk that cannot be written: the pages show it, with their index in the user's cache folder."""

import os
import shutil
import subprocess

import pytest


@pytest.fixture
def read_only(one_run, tmp_path):
    """The store of one run on a file system that is mounted read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "gatebench-test", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting needs root")
    try:
        shutil.copytree(one_run, disk / "results", ignore=shutil.ignore_patterns(".index"))
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        yield disk / "results"
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)  # an open index may still hold a file


@pytest.mark.parametrize("page", ["overview", "scaling", "coverage"])
def test_a_store_that_cannot_be_written_is_shown(opened, read_only, tmp_path, monkeypatch, page):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    app = opened(read_only, page)
    assert not app.exception
    assert not app.error
    assert app.dataframe or app.table
    assert not (read_only / ".index").exists()
    assert list((tmp_path / "cache" / "gatebench").glob("*/index.json"))


def test_where_the_cache_cannot_be_written_either_the_page_says_so(opened, read_only, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(read_only))
    app = opened(read_only, "overview")
    assert not app.exception
    said = " ".join(element.value for kind in (app.error, app.warning, app.info) for element in kind)
    assert "Read-only file system" in said

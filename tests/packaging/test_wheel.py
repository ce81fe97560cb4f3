"""The wheel: the dashboard and the shipped suites come along, and nothing of the tests."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(target.glob("gatebench-*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_suites_and_dashboard(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for suite in (ROOT / "suites").glob("*.toml"):
        assert f"gatebench/_shipped/suites/{suite.name}" in names
    for file in ("app.py", "serve.py", "icon.svg", ".streamlit/config.toml", "views/overview.py"):
        assert f"gatebench/_shipped/dashboard/{file}" in names
    assert not [name for name in names if name.startswith("tests/") or "__pycache__" in name]


@pytest.mark.slow
def test_the_wheel_alone_finds_its_suites_and_expands_one(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    command = [sys.executable, "-m", "gatebench.cli.main", "run", "quick", "--dry-run"]
    environment = {"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "lstm/native/T64-B8-I128-H128/float32/cpu-" in done.stdout
    assert (tmp_path / "gatebench" / "_shipped" / "dashboard" / "app.py").is_file()

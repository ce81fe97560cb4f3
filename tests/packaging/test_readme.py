"""The README's commands, run as printed in a clean clone with empty caches (`make test` itself excepted)."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIRST_RUN_S = 900  # installing, compiling and measuring on a machine that does nothing else


def commands():
    """Return the shell lines of the README's fenced `sh` blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    lines = [line.split("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    target = tmp_path_factory.mktemp("clone") / "gatebench"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(target)], check=True)
    return target


def run_in(clone, line, home, timeout=FIRST_RUN_S):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("GATEBENCH", "VIRTUAL_ENV"))}
    environment |= {
        "XDG_CACHE_HOME": str(home), "TORCHINDUCTOR_CACHE_DIR": str(home / "inductor"),
        "NUMBA_CACHE_DIR": str(home / "numba"),
    }  # fmt: skip
    environment.pop("OMP_NUM_THREADS", None)
    return subprocess.run(line, shell=True, cwd=clone, env=environment, capture_output=True, text=True, timeout=timeout)


@pytest.mark.slow
@pytest.mark.alone
def test_the_readmes_commands_work_as_printed(clone, tmp_path_factory):
    home = tmp_path_factory.mktemp("caches")
    lines = commands()
    assert lines[:2] == ["make bench", "make test"]
    for line in lines:
        if line == "make test" or "dashboard" in line:
            continue  # one is this very test, the other does not end; tests/dashboard open it in a browser
        done = run_in(clone, line, home)
        assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.alone
def test_installing_twice_installs_nothing(clone):
    done = subprocess.run(["make", "--dry-run", ".venv/dashboard.installed"], cwd=clone, capture_output=True, text=True)
    assert "up to date" in done.stdout

"""Sessions of pytest in a foreign folder, in a process of their own, with the plugin found by its entry point."""

import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import gatebench

ROOT = Path(gatebench.__file__).resolve().parents[1]
SUITE = """
schema = "gatebench-suite/1"
name = "{name}"
plugins = {plugins}

[measure]
rounds = {rounds}
sample_ms = 0.5
warmup_s = 0.01

[[cases]]
why = "a test"
gates = ["glu"]
implementations = {implementations}
modes = {modes}
threads = [1]
batch = [1]
seq_len = [2]
hidden_size = [4]
"""
PLUGIN = """
import warnings
import gatebench

@gatebench.implementation("mylab:wrong", gates=["glu"])
def wrong(params, inputs):
    return {"output": inputs["value"] * inputs["gate"].tanh()}

@gatebench.implementation("mylab:raises", gates=["glu"])
def raises(params, inputs):
    raise RuntimeError("no weights\\nhere")

calls = 0

@gatebench.implementation("mylab:drifts", gates=["glu"], modes=["forward"])
def drifts(params, inputs):
    global calls
    calls += 1
    warnings.warn("is no failure")
    return {"output": inputs["value"] * inputs["gate"].sigmoid() + (calls > 20)}
"""


@dataclass(frozen=True)
class Session:
    """How a session ended, what it printed, and where."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def stores(self) -> list[Path]:
        """The run folders that it left."""
        return sorted(self.folder.glob("results/runs/*"))


def case_id(implementation, mode="forward"):
    """Return the id of a case of SUITE."""
    return f"glu/{implementation}/T2-B1-I4-H4/float32/cpu-1/{mode}"


def write_suite(path, implementations=("eager", "native"), modes=("forward",), plugins=(), rounds=3):
    """Write a suite of tiny cases of glu; lists of text look alike in Python and TOML."""
    texts = {"implementations": list(implementations), "modes": list(modes), "plugins": list(plugins)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SUITE.format(name=path.stem, rounds=rounds, **texts))


def installed(folder):
    """Write what an installed gatebench tells pytest: the entry points of pyproject.toml; returns the folder of it."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = folder / "site" / "gatebench_entry-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: gatebench-entry\nVersion: 1.0\n")
    lines = [f"{name} = {module}" for name, module in declared.items()]
    (info / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]))
    return info.parent


def command(*arguments):
    """Return the command of a session; nothing is cached in the folder."""
    return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)]


def environment(site):
    """Return the environment of a session: none of this session's own settings, one thread, wide lines."""
    ours = ("PYTEST", "GATEBENCH", "COV")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)]), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def run_pytest(folder, site, *arguments, cwd=None):
    """Run a session to its end."""
    done = subprocess.run(
        command(*arguments), cwd=cwd or folder, env=environment(site), capture_output=True, text=True, timeout=300
    )
    return Session(done.returncode, done.stdout, done.stderr, folder)

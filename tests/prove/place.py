"""Where proving happens: a repository of three commits, a worktree of each, and an environment for each tool."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from speed.work import NAMES

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = Path(__file__).resolve().parent / "repository"
SLOWER_BY = 0.03  # of the callables that the commit `slower` slows down
SLOWED = tuple(f"{kind}_{name}" for kind, names in NAMES.items() for name in names[:2])  # two of each kind
PLANTED = {"planted": (0.02, 0.03), "planted-more": (0.01, 0.05, 0.10)}  # suite -> shares of more work in its cases
COMMITS = ("base", "slower")
_LIBRARIES = ("torch", "numba", "numpy")
_PACKAGES = {"pytest-benchmark": ("pytest", "pytest-benchmark"), "pyperf": ("pyperf",), "asv": ("asv", "virtualenv")}
# One thread for all tools, and the interpreter's own hash seed of each process, as users have it.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Place:
    """The folder of one proof."""

    folder: Path

    @property
    def repository(self) -> Path:
        """The repository, with `base` checked out."""
        return self.folder / "repository"

    def checkout(self, commit: str) -> Path:
        """Return the worktree of a commit."""
        return self.folder / commit

    def python(self, tool: str) -> str:
        """Return the interpreter of a tool's environment."""
        return str(self.folder / "environments" / tool / "bin" / "python")

    def run(
        self, command: Sequence[str], here: Path, codes: Sequence[int] = (0,), environment: Mapping[str, str] | None = None
    ) -> str:  # fmt: skip
        """Run a command and return what it prints; raises RuntimeError for other exit codes than these."""
        variables = {**os.environ, **ONE_THREAD, "HOME": str(self.folder), **(environment or {})}
        done = subprocess.run(command, cwd=here, env=variables, capture_output=True, text=True, check=False)
        if done.returncode not in codes:
            last = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{last}")
        return done.stdout

    def gatebench(self, *arguments: str, codes: Sequence[int] = (0,), here: Path | None = None) -> str:
        """Run a command of GateBench in the repository, in this interpreter's environment."""
        return self.run([sys.executable, "-m", "gatebench.cli.main", *arguments], here or self.repository, codes)


def make_place(folder: Path) -> Place:
    """Return the place in a folder, made where it is not there yet."""
    place = Place(folder.resolve())
    if not place.repository.is_dir():
        _make_repository(place)
    for commit in COMMITS:
        if not (place.checkout(commit) / "speed").is_dir():
            _git(place.repository, "worktree", "add", "-q", "--force", "--detach", str(place.checkout(commit)), commit)
    for tool, packages in _PACKAGES.items():
        if not Path(place.python(tool)).with_name("made").exists():
            _make_environment(place, tool, packages)
    place.run([place.python("asv"), "-m", "asv", "machine", "--yes"], place.repository)
    # Its own environment, before any clock runs; asv 0.6 ends with 1 where that went well.
    said = place.run([place.python("asv"), "-m", "asv", "setup"], place.repository, codes=(0, 1))
    if not list(place.repository.glob(".asv/env/*/bin/python")):
        raise RuntimeError(f"asv made no environment:\n{said}")
    return place


def _make_repository(place: Place) -> None:
    building = place.folder / "building"
    shutil.rmtree(building, ignore_errors=True)
    shutil.copytree(TEMPLATE, building, ignore=shutil.ignore_patterns("__pycache__", "results", ".asv"))
    config = building / "asv.conf.json"
    config.write_text(config.read_text().replace("@torch@", pinned("torch")).replace("@numba@", pinned("numba")))
    text = (building / "suites" / "all.toml").read_text()
    for name, shares in PLANTED.items():
        (building / "suites" / f"{name}.toml").write_text(planted_suite(text, name, shares))
    _git(building, "init", "-q", "-b", "base")
    _commit(building, "speed: twenty callables")
    _git(building, "checkout", "-q", "-b", "slower")
    extra = building / "speed" / "extra.py"
    extra.write_text(extra.read_text().replace("= {}", f"= {dict.fromkeys(SLOWED, SLOWER_BY)}"))
    _commit(building, "speed: more work")
    _git(building, "checkout", "-q", "base")
    building.rename(place.repository)


def planted_suite(text: str, name: str, shares: Sequence[float]) -> str:
    """Return the suite `all` with each case once for each share of more work on the head's side."""
    return text.replace('name = "all"', f'name = "{name}"').replace(
        "options = {", f"options = {{ planted = {list(shares)},"
    )


def pinned(package: str) -> str:
    """Return the version of a package that this project's own environment has."""
    from importlib.metadata import version

    return version(package).split("+")[0]


def _make_environment(place: Place, tool: str, packages: Sequence[str]) -> None:
    python = place.python(tool)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(Path(python).parents[1])], check=True)
    libraries = () if tool == "asv" else [f"{name}=={pinned(name)}" for name in _LIBRARIES]  # asv makes its own
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *libraries, *packages], check=True)
    Path(python).with_name("made").touch()


def _commit(folder: Path, subject: str) -> None:
    _git(folder, "add", "-A")
    _git(folder, "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false", "commit", "-qm", subject)  # fmt: skip


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def versions_of(place: Place) -> dict[str, str]:
    """Return the versions of the other tools."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    return {tool: place.run([place.python(tool), "-c", code, tool], place.folder).strip() for tool in _PACKAGES}

"""Two checkouts of equal path length, whose places are swapped between blocks; gone when the job ends.

<temporary folder>/0, <temporary folder>/1     the two places
<temporary folder>/owner                       locked while the job lives: a folder that nobody locks is swept away;
                                               its lines name what git keeps of the worktrees, which goes with it
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gatebench.errors import UserError
from gatebench.run.ab.sides import WORKING_TREE, Side, repository
from gatebench.run.git import environment_outside_hooks, git, run_git

PREFIX = "gatebench-ab-"
_PLACES = ("0", "1")
# Of a folder that is no revision: what is large, or belongs to the place where it lies.
_LEFT_OUT = {".git", ".venv", "venv", "node_modules", "__pycache__"}
_LEFT_OUT_AT_ROOT = {"results", "build"}
_LAST_LINES = 5


class BuildError(UserError):
    """A build that failed: the base cannot be measured (2), or the head is broken (3)."""

    def __init__(self, side: str, what: str) -> None:
        super().__init__(
            f"--build of the {side}", what, "a command that ends with 0 is accepted", "mend it, or drop --build"
        )
        self.exit_code = 2 if side == "base" else 3


class Checkouts:
    """Both sides' files. Mutable: `place` says where a side lies until the next swap."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._places = {"base": _PLACES[0], "head": _PLACES[1]}

    def place(self, side: str) -> Path:
        """Return where a side's files are at this moment."""
        return self._folder / self._places[side]

    def swap(self) -> None:
        """Let the sides change places; no process may run in them."""
        first, second = (self._folder / place for place in _PLACES)
        aside = self._folder / "aside"
        first.rename(aside)
        second.rename(first)
        aside.rename(second)
        self._places = {"base": self._places["head"], "head": self._places["base"]}

    def scratch(self, name: str) -> Path:
        """Return a folder beside the places, made when first asked for; it goes with them."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder


@contextmanager
def check_out(sides: Mapping[str, Side], here: Path) -> Iterator[Checkouts]:
    """Copy both sides into a temporary folder, and remove it at the end, whatever happens.

    Raises UserError where git refuses or the disk is full.
    """
    _sweep()
    with _own_folder() as (folder, owner):
        checkouts = Checkouts(folder)
        for name, side in sides.items():
            try:
                if side.sha is None:
                    _copy_folder(side, checkouts.place(name))
                else:
                    _add_worktree(side, checkouts.place(name), here, owner)
            except (OSError, shutil.Error) as error:
                raise _no_room(name, error) from error
        yield checkouts


@contextmanager
def _own_folder() -> Iterator[tuple[Path, IO[str]]]:
    """Make the temporary folder and its locked owner file; both go at the end, with what git keeps of the worktrees."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX)).resolve()  # paths below it are compared with resolved ones
        owner = (folder / "owner").open("w+")
    except OSError as error:
        raise _no_room("ab", error) from error
    fcntl.flock(owner, fcntl.LOCK_EX)
    try:
        yield folder, owner
    finally:
        _remove(folder, owner)


def _no_room(where: str, error: Exception) -> UserError:
    what = f"cannot be copied: {getattr(error, 'strerror', None) or error}"
    return UserError(where, what, "room for both sides is needed", "set TMPDIR to a larger disk")


def _remove(folder: Path, owner: IO[str]) -> None:
    """Remove a temporary folder and what git keeps of its worktrees; other worktrees of the repository stay."""
    owner.seek(0)
    for line in owner.read().splitlines():
        shutil.rmtree(line, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    owner.close()


def _sweep() -> None:
    """Remove what killed jobs left: temporary folders whose owner is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            owner = (folder / "owner").open("r+")
        except OSError:
            continue  # it is being made, or it is someone else's
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner.close()  # its job lives
            continue
        _remove(folder, owner)


def _copy_folder(side: Side, place: Path) -> None:
    root = side.folder
    assert root is not None

    def left_out(directory: str, names: list[str]) -> set[str]:
        return set(names) & (_LEFT_OUT | (_LEFT_OUT_AT_ROOT if Path(directory) == root else set()))

    shutil.copytree(root, place, symlinks=True, ignore=left_out)


def _add_worktree(side: Side, place: Path, here: Path, owner: IO[str]) -> None:
    """Check a revision out with its submodules, and with the working tree's changes where that is the side."""
    root = repository(here)
    assert side.sha is not None
    _must(side, root, "worktree", "add", "--detach", "--force", str(place), side.sha)
    kept = git(place, "rev-parse", "--absolute-git-dir")
    if kept is not None:
        owner.write(kept)  # a line: <repository>/.git/worktrees/<name>
        owner.flush()
    if (place / ".gitmodules").is_file():
        _must(side, place, "submodule", "update", "--init", "--recursive", "--quiet")
    if side.given == WORKING_TREE:
        _overlay_changes(root, place)


def _must(side: Side, directory: Path, *arguments: str) -> None:
    """Run git; raises UserError with its own words where it refuses."""
    done = run_git(directory, *arguments)
    if done is None or done.returncode != 0:
        said = " ".join(done.stderr.split()) if done else "git is not installed"
        raise UserError(
            side.name,
            f"git {arguments[0]} failed: {said}",
            "a revision that can be checked out is accepted",
            "try it by hand",
        )


def _overlay_changes(root: Path, place: Path) -> None:
    """Bring what is not committed: changed and new files, deletions; ignored files stay behind."""
    changed = git(root, "diff", "--name-only", "--no-renames", "-z", "HEAD") or ""
    new = git(root, "ls-files", "--others", "--exclude-standard", "-z") or ""
    for name in filter(None, (changed + new).split("\0")):
        source, target = root / name, place / name
        if source.is_dir() and not source.is_symlink():
            continue  # a submodule is checked out as it is committed; a repository inside is no part of this one
        if os.path.lexists(target):
            target.unlink()
        if os.path.lexists(source):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def build(checkouts: Checkouts, command: str, pythons: Mapping[str, str | None]) -> None:
    """Run a shell command once in each side's checkout; raises BuildError with its last lines.

    Its environment says GATEBENCH_SIDE (base or head) and GATEBENCH_PYTHON, the interpreter that the side is measured by.
    """
    for side in ("base", "head"):
        own = {"GATEBENCH_SIDE": side, "GATEBENCH_PYTHON": pythons.get(side) or sys.executable}
        process = subprocess.Popen(
            command, shell=True, cwd=checkouts.place(side), env=environment_outside_hooks() | own, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        try:
            said, _ = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # the build goes with the job, and all that it started
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
            raise
        if process.returncode != 0:
            last = " | ".join(line.strip() for line in said.strip().splitlines()[-_LAST_LINES:])
            raise BuildError(side, f"ended with {process.returncode}" + (f": {last}" if last else ""))

"""How git is asked, and what of its environment nothing here inherits."""

import os
import subprocess
from pathlib import Path

# What git sets for its hooks: it names another repository, or another index, than that of the folder at hand.
_HOOK_VARIABLES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY")


def environment_outside_hooks() -> dict[str, str]:
    """Return this process's environment without what git set for a hook that it may run in."""
    return {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}


def run_git(
    directory: Path, *arguments: str, timeout_s: float | None = None
) -> subprocess.CompletedProcess[str] | None:
    """Run git on a folder's own repository, whatever a hook has set; None where it is not installed.

    Raises subprocess.TimeoutExpired where it takes longer than timeout_s.
    """
    command = ["git", "-C", str(directory), "-c", "core.hooksPath=/dev/null", *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, errors="surrogateescape", timeout=timeout_s,
            env=environment_outside_hooks(),
        )  # fmt: skip
    except OSError:
        return None


def git(directory: Path, *arguments: str, timeout_s: float | None = None) -> str | None:
    """Return what git prints, None where it refuses or is not installed."""
    asked = run_git(directory, *arguments, timeout_s=timeout_s)
    return asked.stdout if asked is not None and asked.returncode == 0 else None

"""What makes timings comparable: the environment class, the state of the checkout, the memory workers may share."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from gatebench.comparable import comparable_facts
from gatebench.run.git import git

_GIT_TIMEOUT_S = 10.0


def environment_class(environment: Mapping[str, Any]) -> str:
    """Return a hash of what timings depend on, as gatebench.comparable lists it."""
    return hashlib.sha256(json.dumps(comparable_facts(environment), sort_keys=True).encode()).hexdigest()[:12]


def git_state(directory: Path) -> dict[str, Any] | None:
    """Return {"sha", "dirty"} of the checkout at `directory`, None where there is no git or no commit."""
    sha = _git(directory, "rev-parse", "HEAD")
    if sha is None:
        return None
    return {"sha": sha.strip(), "dirty": bool(_git(directory, "status", "--porcelain", "--untracked-files=no"))}


def commit_times(directory: Path, commits: Iterable[str]) -> dict[str, str]:
    """Return the committer's date (ISO 8601) of the commits that the repository at `directory` knows."""
    wanted = [sha for sha in dict.fromkeys(commits) if re.fullmatch(r"[0-9a-f]{7,64}", sha)]
    lines = _git(directory, "log", "--no-walk", "--ignore-missing", "--format=%H %cI", *wanted) if wanted else None
    return dict(line.split(" ", 1) for line in (lines or "").splitlines())


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        return git(directory, *arguments, timeout_s=_GIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return None  # the manifest says null


def shared_memory_bytes() -> int:
    """Return what all workers may use together: half of the machine's memory, or of the control group's limit."""
    total = psutil.virtual_memory().total
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return total // 2

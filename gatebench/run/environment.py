"""What makes timings comparable: the environment class, the state of the checkout, the memory workers may share."""

import hashlib
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from gatebench.comparable import comparable_facts

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


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(directory), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # no git here: the manifest says null
    return result.stdout if result.returncode == 0 else None


def shared_memory_bytes() -> int:
    """Return what all workers may use together: half of the machine's memory, or of the control group's limit."""
    total = psutil.virtual_memory().total
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (text := limit.read_text().strip()).isdigit():
        total = min(total, int(text))
    return total // 2

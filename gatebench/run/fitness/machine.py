"""The one place through which checks see the machine: files below a root, a pause, and the driver's own tool."""

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HURTS, FINE, UNKNOWN = "hurts", "fine", "unknown"
PAUSE_S = 0.5  # how long other load is watched
_ASK_TIMEOUT_S = 10.0
_MOST_DIGITS = 20  # of a 64-bit counter of the kernel's


@dataclass(frozen=True)
class Finding:
    """One thing that measuring depends on: what was found, whether it hurts, why, and what to do about it."""

    name: str
    state: str  # hurts, fine, unknown
    found: str
    why: str = ""
    advice: str = ""


def hurts(name: str, found: str, why: str, advice: str) -> Finding:
    """Return a finding that hurts, with the reason and what to do."""
    return Finding(name, HURTS, found, why, advice)


def fine(name: str, found: str) -> Finding:
    """Return a finding that does no harm."""
    return Finding(name, FINE, found)


def unknown(name: str, why: str) -> Finding:
    """Return that something cannot be told here."""
    return Finding(name, UNKNOWN, "cannot be told", why)


def ask_nvidia_smi(*arguments: str) -> str | None:
    """Return what nvidia-smi prints; None where it is not there, fails, or does not answer."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return None
    try:
        done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None  # a driver that does not answer: the finding says that it cannot be told
    return done.stdout if done.returncode == 0 else None


@dataclass(frozen=True)
class Machine:
    """This machine; another root, pause or tool stands in for it in tests."""

    root: Path = Path("/")
    pause: Callable[[], None] = lambda: time.sleep(PAUSE_S)
    ask_gpu: Callable[..., str | None] = ask_nvidia_smi

    def text(self, path: str) -> str | None:
        """Return a file's text without blanks around it; None where it cannot be read."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None  # not there, or not for us: checks say that it cannot be told

    def number(self, path: str) -> int | None:
        """Return a file's integer; None where there is none."""
        return as_number(self.text(path))

    def matching(self, pattern: str) -> list[str]:
        """Return the paths that match a glob, relative to the root, sorted."""
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))

    def fields(self, path: str) -> dict[str, str]:
        """Return a file of `name: value` lines as a mapping, empty where it cannot be read."""
        lines = (line.partition(":") for line in (self.text(path) or "").splitlines())
        return {name.strip(): value.strip() for name, colon, value in lines if colon}


def as_number(text: str | None) -> int | None:
    """Return the integer at the start of a text, e.g. 512 of `512 kB`; None where there is none."""
    word = (text or "").split(maxsplit=1)[:1]
    digits = word[0].removeprefix("-") if word else ""
    return int(word[0]) if digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS else None

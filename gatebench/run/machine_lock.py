"""One measuring job on a machine at a time: others wait, or at least say that they disturb each other."""

import fcntl
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gatebench.errors import UserError

UNFIT = 4  # exit code


class Busy(UserError):
    """Another job measures on this machine."""

    exit_code = UNFIT


@contextmanager
def said_where_another_measures() -> Iterator[None]:
    """Say so on stderr where another job of this user measures on this machine: each disturbs the other's times."""
    with _lock() as lock:
        if lock is not None and not _taken(lock):
            print(
                "another gatebench run is measuring on this machine: both will see each other's load", file=sys.stderr
            )
        yield


@contextmanager
def alone_on_machine(wait: bool) -> Iterator[None]:
    """Hold the machine for one job; where another has it, say so and wait, or raise Busy."""
    with _lock() as lock:
        if lock is not None and not _taken(lock):
            if not wait:
                raise Busy("ab", "another gatebench job is measuring on this machine", "an idle machine is needed",
                           "drop --no-wait to wait for it")  # fmt: skip
            print("another gatebench job is measuring on this machine: waiting until it ends", file=sys.stderr)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _lock() -> Iterator[IO[str] | None]:
    """Open the lock file of this user; None where there is no place for one: no job depends on it."""
    path = Path(tempfile.gettempdir()) / f"gatebench-{os.getuid()}.lock"
    try:
        lock = path.open("w")
    except OSError:
        yield None
        return
    with lock:
        yield lock


def _taken(lock: IO[str]) -> bool:
    """Take the lock, if it is free."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True

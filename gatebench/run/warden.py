"""The warden: a worker's parent process, which outlives it just long enough to leave nothing behind.

It waits for two things: its worker ends, or the runner dies (the runner holds the other end of a pipe; the
kernel closes it even after SIGKILL). Then it kills everything that the worker started, stopped processes
included: as subreaper it inherits orphans, even those in sessions of their own. It also watches the memory of the
whole tree. It imports nothing but the standard library and starts in a millisecond, by fork.
"""

import ctypes
import os
import select
import signal
import time
from collections.abc import Iterable

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
POLL_MS = 200  # how often memory is looked at; a look costs about 0.1 ms
EXIT_OUT_OF_MEMORY = 99  # the warden's exit status when it killed the tree for its memory
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def fork_under_warden(alive: int, memory_bytes: int) -> None:
    """Fork: the child returns and becomes the worker; the parent stays here as its warden and never returns.

    alive: file descriptor that reads end-of-file when the runner is gone. memory_bytes: resident limit of the tree.
    The warden's exit status is the worker's, 128 + signal where one ended it, or EXIT_OUT_OF_MEMORY.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    worker = os.fork()
    if worker == 0:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a worker that kills its warden goes with it
        os.close(alive)
        os.setsid()  # a process group of its own, so that the runner can stop and continue it whole
        return
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # only the runner decides
    _keep_only(alive)
    os._exit(_watch(worker, alive, memory_bytes))


def _keep_only(alive: int) -> None:
    # The worker's pipes must close when the worker dies, so the warden holds none of them.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != alive:
            try:
                os.close(int(name))
            except OSError:
                continue  # the listing's own descriptor is gone already


def _watch(worker: int, alive: int, memory_bytes: int) -> int:
    descriptor = os.pidfd_open(worker)
    poll = select.poll()
    poll.register(alive, select.POLLIN | select.POLLHUP)
    poll.register(descriptor, select.POLLIN)
    status = None
    while True:
        ready = {entry for entry, _ in poll.poll(POLL_MS)}
        if alive in ready:
            break
        if descriptor in ready:
            break
        if _holds_more(memory_bytes, (worker, *descendants(os.getpid()))):
            status = EXIT_OUT_OF_MEMORY
            break
    ended = _kill_tree(worker)
    return status if status is not None else ended


def _kill_tree(worker: int) -> int:
    """Kill all that is left below this process and return the worker's exit status."""
    status = 0
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        for pid in descendants(os.getpid()):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue  # it ended meanwhile
        try:
            pid, raw = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if pid == worker:
            status = os.waitstatus_to_exitcode(raw)
            status = 128 - status if status < 0 else status
    return status


def descendants(pid: int) -> list[int]:
    """Return all processes below `pid`, children first; empty where it is gone."""
    found: list[int] = []
    queue = [pid]
    while queue:
        parent = queue.pop()
        for task in _listing(f"/proc/{parent}/task"):
            children = [int(child) for child in _text(f"/proc/{parent}/task/{task}/children").split()]
            found += children
            queue += children
    return found


def _holds_more(limit: int, pids: Iterable[int]) -> bool:
    """Say whether processes hold more than `limit` together; pages that they share count once."""
    known = set(pids)
    if sum(_resident_bytes(pid) for pid in known) <= limit:
        return False
    return sum(_proportional_bytes(pid) for pid in known) > limit


def _proportional_bytes(pid: int) -> int:
    for line in _text(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return _resident_bytes(pid)


def _resident_bytes(pid: int) -> int:
    fields = _text(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE_BYTES if len(fields) > 1 else 0


def _listing(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []  # the process ended meanwhile


def _text(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""  # the process ended meanwhile

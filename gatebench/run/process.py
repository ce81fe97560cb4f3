"""The runner's side of one worker process: start, ask with a deadline, stop and continue, end without a trace."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

from gatebench.contract import Failure
from gatebench.run import protocol
from gatebench.run.git import environment_outside_hooks
from gatebench.run.protocol import ProtocolError
from gatebench.run.warden import EXIT_OUT_OF_MEMORY, descendants

STARTING_S = 120.0  # a worker that has not greeted by then never will
_STDERR_TAIL_BYTES = 4096  # enough for the last lines of a traceback or of a crash report
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(frozen=True)
class Launch:
    """Where a worker runs: its interpreter, the folders that come first on its path, its folder, more environment, cores.

    cores: () leaves the choice to the kernel.
    """

    python: str = sys.executable
    path: tuple[Path, ...] = (Path(_PACKAGE_ROOT),)
    directory: Path | None = None  # None: where the runner stands
    environment: tuple[tuple[str, str], ...] = ()
    cores: tuple[int, ...] = ()


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker is started with. plugins are absolute paths; threads is never 0.

    implementation: the one that it must be able to import, "" where it learns from each case.
    """

    implementation: str
    plugins: tuple[str, ...] = ()
    threads: int = 1
    memory_bytes: int = 1 << 40
    device: str = "cpu"
    launch: Launch = field(default_factory=Launch)


def worker_environment(threads: int, launch: Launch) -> dict[str, str]:
    """Return the environment of a worker: threads set before any numerical library is imported."""
    environment = {**environment_outside_hooks(), **dict(launch.environment)}
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        environment[name] = str(threads)
    environment["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # no pool of compile processes beside the one that measures
    folders = [*map(str, launch.path), environment.get("PYTHONPATH")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
    return environment


class WorkerProcess:
    """A live worker. Its methods raise Failure(status, reason) when it dies, hangs or breaks the protocol."""

    def __init__(self, settings: WorkerSettings, timeout_s: float) -> None:
        self.settings = settings
        self.stopped = False
        self._escaped: list[int] = []
        self._next_id = 0
        self._buffer = bytearray()
        self._stderr = b""
        self._alive: int | None = None
        self._oom_kills = oom_kills()
        self.pid: int | None = None
        self.import_ns: int | None = None
        self._timeout_s = timeout_s
        self._started_ns = time.perf_counter_ns()
        self._process = self._start()
        self._drain = threading.Thread(target=self._read_stderr, daemon=True)
        self._drain.start()

    @cached_property
    def greeting(self) -> dict[str, Any]:
        """What the worker says of itself, waited for when first asked for: several can start side by side.

        Raises Failure where it dies, hangs, or speaks another protocol.
        """
        deadline = time.monotonic() + self._timeout_s - (time.perf_counter_ns() - self._started_ns) / 1e9
        greeting = self._read(deadline, "starting")
        self.import_ns = time.perf_counter_ns() - self._started_ns
        if isinstance(greeting.get("pid"), int):
            self.pid = greeting["pid"]
            self._pin()
        if self.pid is None or greeting.get("protocol") != protocol.PROTOCOL:
            self._end("failed", f"speaks protocol {greeting.get('protocol')}, not {protocol.PROTOCOL}")
        return greeting

    def _pin(self) -> None:
        """Keep the worker on its cores: now, for libraries are imported faster on all, and pools of threads inherit it."""
        if self.settings.launch.cores and self.pid is not None:
            try:
                os.sched_setaffinity(self.pid, self.settings.launch.cores)
            except ProcessLookupError:
                return  # it died; the next request says so

    def _start(self) -> subprocess.Popen[bytes]:
        request_read, self._requests = os.pipe()
        self._answers, answer_write = os.pipe()
        alive_read, self._alive = os.pipe()
        arguments = {
            "implementation": self.settings.implementation,
            "plugins": self.settings.plugins,
            "threads": self.settings.threads,
            "memory_bytes": self.settings.memory_bytes,
            "device": self.settings.device,
            "requests": request_read,
            "answers": answer_write,
            "alive": alive_read,
        }
        command = [
            self.settings.launch.python,
            "-X",
            "faulthandler",
            "-X",
            "no_debug_ranges",
            "-m",
            "gatebench.run.worker",
            json.dumps(arguments),
        ]
        inherited = (request_read, answer_write, alive_read)
        os.set_blocking(self._requests, False)  # a worker that does not read must not hold the runner
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=worker_environment(self.settings.threads, self.settings.launch),
            cwd=self.settings.launch.directory,
            pass_fds=inherited,
            start_new_session=True,
        )
        for descriptor in inherited:
            os.close(descriptor)
        return process

    def request(self, verb: str, timeout_s: float, **args: Any) -> dict[str, Any]:
        """Ask and return the answer; raises Failure with status timeout, failed, out_of_memory, or the worker's own."""
        self.greeting  # noqa: B018  before the first answer
        self._next_id += 1
        message = protocol.encode({"id": self._next_id, "verb": verb, "args": args})
        deadline = time.monotonic() + timeout_s
        try:
            while message:
                if not select.select([], [self._requests], [], max(0.0, deadline - time.monotonic()))[1]:
                    self._end("timeout", f"no answer to {verb} within {timeout_s:g} s")
                message = message[os.write(self._requests, message[:65536]) :]
        except BrokenPipeError:
            self._end("failed", "")  # its exit status says how
        answer = self._read(deadline, verb)
        kind = "error" if "error" in answer else "ok"
        if answer.get("id") != self._next_id or not isinstance(answer.get(kind), dict):
            self._end("failed", f"broke the protocol: answered {str(answer)[:80]} to {verb}")
        if kind == "error":
            error: Mapping[str, Any] = answer["error"]
            raise Failure(error.get("status", "failed"), error.get("reason", "no reason given"), error.get("where", ""))
        return answer["ok"]

    def stop(self) -> None:
        """Stop the worker and all it started: idle is idle, even where a thread pool would spin."""
        if self.pid is not None and not self.stopped:
            self._signal_group(signal.SIGSTOP)
            # Its children with a session of their own; orphans are below the warden.
            self._escaped = [pid for pid in descendants(self._process.pid) if _group(pid) not in (None, self.pid)]
            self._signal_escaped(signal.SIGSTOP)
            self.stopped = True

    def resume(self) -> None:
        """Let the worker and all it started go on."""
        if self.pid is not None and self.stopped:
            self._signal_group(signal.SIGCONT)
            self._signal_escaped(signal.SIGCONT)
            self.stopped = False

    def close(self) -> None:
        """End the worker and everything it started; never raises for a worker that is gone."""
        if self._alive is None:
            return
        os.close(self._alive)  # the warden reads end-of-file and kills the tree
        self._alive = None
        try:
            self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._drain.join(timeout=1)
        for descriptor in (self._requests, self._answers):
            os.close(descriptor)

    @property
    def alive(self) -> bool:
        """Say whether the worker can still be asked."""
        return self._alive is not None and self._process.poll() is None

    def _signal_group(self, number: int) -> None:
        try:
            os.killpg(int(self.pid or 0), number)
        except ProcessLookupError:
            return  # it died; the next request says so

    def _signal_escaped(self, number: int) -> None:
        for pid in self._escaped:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # it ended meanwhile

    def _read(self, deadline: float, verb: str) -> dict[str, Any]:
        allowed = deadline - time.monotonic()
        end = self._buffer.find(b"\n")
        while end < 0:
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._answers], [], [], remaining)[0]:
                self._end("timeout", f"no answer to {verb} within {allowed:.0f} s")
            chunk = os.read(self._answers, 1 << 20)
            if not chunk:
                self._end("failed", "")
            found = chunk.find(b"\n")
            end = len(self._buffer) + found if found >= 0 else -1
            self._buffer += chunk
            if (end if end >= 0 else len(self._buffer)) > protocol.MAX_LINE_BYTES:
                self._end("failed", "broke the protocol: a line over 64 MiB")
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        try:
            return protocol.decode(line)
        except ProtocolError as error:
            self._end("failed", f"broke the protocol: {error}")

    def _end(self, status: str, reason: str) -> NoReturn:
        """Close and raise; an empty reason is filled from the exit status and the last lines of stderr."""
        if not reason:
            raise self.death()
        self.close()
        raise Failure(status, reason, "worker process")

    def death(self) -> Failure:
        """Close a worker that has ended, or is about to, and say how it ended."""
        try:
            code = self._process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            code = None
        self.close()
        return Failure(*self._how_it_ended(code), "worker process")

    def _how_it_ended(self, code: int | None) -> tuple[str, str]:
        if code == EXIT_OUT_OF_MEMORY:
            limit = self.settings.memory_bytes >> 20
            return "out_of_memory", f"the worker's processes held more than their limit of {limit} MiB"
        self._drain.join(timeout=1)
        tail = self._stderr.decode("utf-8", "replace")
        last = " | ".join(line.strip() for line in tail.strip().splitlines()[-3:])
        if code is None:
            return "failed", "the worker closed its pipe and stayed"
        if code > 128:
            name = signal.Signals(code - 128).name if code - 128 in signal.valid_signals() else f"signal {code - 128}"
            crash = next((line for line in tail.splitlines() if line.startswith("Fatal Python error")), "")
            if name == "SIGKILL" and oom_kills() > self._oom_kills:
                return "out_of_memory", "the machine ran out of memory, and its kernel killed the worker"
            status = "out_of_memory" if "MemoryError" in tail else "failed"
            return status, f"the worker was ended by {name}" + (f" ({crash})" if crash else "")
        return "failed", f"the worker exited with status {code}" + (f": {last}" if last and code else "")

    def _read_stderr(self) -> None:
        stream = self._process.stderr
        assert stream is not None
        while chunk := os.read(stream.fileno(), 65536):
            self._stderr = (self._stderr + chunk)[-_STDERR_TAIL_BYTES:]
        stream.close()


def oom_kills() -> int:
    """Return how many processes the kernel's out-of-memory killer has ended on this machine; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0  # no Linux, or a sandbox that hides it
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None  # it ended meanwhile

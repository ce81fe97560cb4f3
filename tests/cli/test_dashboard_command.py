"""`gatebench dashboard`: refuses in one line where it cannot listen, and leaves no server behind however it ends."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import gatebench

ROOT = Path(gatebench.__file__).resolve().parents[1]


def started(port, *arguments):
    command = [sys.executable, "-m", "gatebench.cli.main", "dashboard", "--port", str(port), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=as_from_a_terminal,
    )  # fmt: skip


def as_from_a_terminal():
    """Take signals as a command in a terminal does; a job in the background inherits that some are ignored."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.05)


def refused(port, *arguments):
    process = started(port, *arguments)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, len(err.splitlines())) == (2, "", 1)
    return err


def test_a_port_in_use_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused(port).startswith(f"--port: {port} is in use; a free port; --port {port + 1}")


def test_an_address_of_no_machine_is_one_line():
    assert refused(free_port(), "--address", "999.1.1.1").startswith("--address: 999.1.1.1: ")


def listens_on(process):
    """Return the addresses on which a process and its children listen."""
    every = [process, *process.children(recursive=True)]
    found = [each for one in every for each in one.net_connections() if each.status == psutil.CONN_LISTEN]
    return {each.laddr.ip for each in found}


def test_it_listens_on_this_machine_only_unless_told_otherwise(tmp_path):
    for address in ("127.0.0.1", "0.0.0.0"):
        port = free_port()
        process = started(port, "--store", str(tmp_path), *([] if address == "127.0.0.1" else ["--address", address]))
        try:
            wait_until(lambda port=port: listening(port))
            assert listens_on(psutil.Process(process.pid)) == {address}
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_it_ends_no_server_stays(tmp_path, number):
    port = free_port()
    process = started(port, "--store", str(tmp_path))
    try:
        wait_until(lambda: listening(port))
        os.kill(process.pid, number)
        assert process.wait(timeout=20) == 0
        wait_until(lambda: not listening(port))
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing is left
            os.killpg(process.pid, signal.SIGKILL)  # the server, too: it holds the pipes
        process.communicate()

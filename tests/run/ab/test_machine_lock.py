"""One measuring job on a machine at a time."""

import subprocess
import sys
import time

import pytest

from gatebench.run.machine_lock import Busy, alone_on_machine, said_where_another_measures

HOLD = """
import sys, time
from gatebench.run.machine_lock import alone_on_machine
with alone_on_machine(True):
    print("held", flush=True)
    time.sleep(float(sys.argv[1]))
"""


@pytest.fixture
def holder(tmp_path, monkeypatch):
    """Start a job that holds the machine for some seconds; the machine is this test's own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    started = []

    def start(seconds):
        process = subprocess.Popen([sys.executable, "-c", HOLD, str(seconds)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        process.stdout.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_job_says_that_it_waits_and_goes_on_when_the_first_has_ended(holder, capsys):
    holder(1.5)
    started = time.monotonic()
    with alone_on_machine(wait=True):
        assert time.monotonic() - started > 0.5
    assert capsys.readouterr().err == "another gatebench job is measuring on this machine: waiting until it ends\n"


def test_a_killed_job_holds_nothing(holder):
    holder(60).kill()
    with alone_on_machine(wait=True):
        pass


def test_a_job_that_shall_not_wait_is_refused_with_exit_4(holder):
    holder(60)
    with pytest.raises(Busy, match="another gatebench job is measuring") as caught, alone_on_machine(wait=False):
        pass
    assert caught.value.exit_code == 4


def test_a_plain_run_says_so_and_goes_on(holder, capsys):
    holder(60)
    with said_where_another_measures():
        assert "both will see each other's load" in capsys.readouterr().err


def test_an_idle_machine_is_taken_without_a_word(holder, capsys):
    with alone_on_machine(wait=False):
        pass
    assert capsys.readouterr().err == ""

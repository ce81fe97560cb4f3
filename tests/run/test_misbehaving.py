"""Real workers with plugins that misbehave: each costs its own rows only, and leaves no process behind."""

import textwrap
import time

import pytest
from misbehaving_helpers import outcomes, plugin
from run_helpers import (
    MARK,
    case,
    marked,
    new_mark,
)

from gatebench.contract import Failure
from gatebench.run.process import WorkerProcess, WorkerSettings


def test_crashes_and_noise_cost_their_own_rows_only(catalogue, tmp_path, mark):
    found = outcomes(catalogue, tmp_path, {
        "raises": 'raise ValueError("the tiles do not fit")',
        "exits": "os._exit(3)",
        "crashes": "ctypes.string_at(0)",
        "floods": 'for stream in (1, 2):\n    for _ in range(64): os.write(stream, b"x" * 65536)',
        "scribbles": """
            for name in os.listdir("/proc/self/fd"):
                if int(name) > 2:
                    try: os.write(int(name), b"garbage\\n")
                    except OSError: pass
            """,
    })  # fmt: skip
    assert found["raises"][0] == "failed"
    assert "ValueError: the tiles do not fit (misbehaving.py:" in found["raises"][1]
    assert found["exits"] == ("failed", "the worker exited with status 3")
    assert found["crashes"][0] == "failed"
    assert "SIGSEGV" in found["crashes"][1]
    assert found["floods"] == ("ok", "")
    assert found["scribbles"][0] == "failed"
    assert "protocol" in found["scribbles"][1]


@pytest.mark.slow
def test_stranger_ends_cost_their_own_rows_only(catalogue, tmp_path, mark):
    found = outcomes(catalogue, tmp_path, {
        "leaves": "sys.exit(7)",
        "aborts": "os.abort()",
        "closes": "os.closerange(3, 256)",
        "interrupts": "raise KeyboardInterrupt",
        "kills_its_parent": "os.kill(os.getppid(), 9); time.sleep(60)",
        "answers_for_itself": """write(b'{"id": 1, "ok": 5}\\n')""",
    })  # fmt: skip
    assert {name: status for name, (status, _) in found.items()} == dict.fromkeys(found, "failed")
    assert "SystemExit: 7" in found["leaves"][1]
    assert "SIGABRT" in found["aborts"][1]


def test_a_loop_without_end_is_a_timeout_in_python_and_in_c(catalogue, tmp_path, mark):
    found = outcomes(catalogue, tmp_path, {
        "loops": "while True: pass",
        "sleeps_in_c": "ctypes.PyDLL(None).sleep(3600)  # PyDLL keeps the interpreter's lock",
    }, timeout_s=3.0)  # fmt: skip
    for status, reason in found.values():
        assert status == "timeout"
        assert "prepare" in reason


def test_memory_up_to_the_limit_is_out_of_memory(catalogue, tmp_path, mark):
    found = outcomes(catalogue, tmp_path, {
        "fills_with_torch": "kept = [torch.zeros(2**24) for _ in range(100)]",
        "fills_with_bytes": "kept = [bytearray(2**26) for _ in range(100)]",
    }, memory_mb=1500)  # fmt: skip
    for name, (status, reason) in found.items():
        assert (name, status) == (name, "out_of_memory"), reason
    # The limit of the process makes them errors of their own, with a place; the warden's watch would kill.
    assert "allocate memory" in found["fills_with_torch"][1]
    assert found["fills_with_bytes"][1].startswith("MemoryError")


@pytest.mark.slow
def test_memory_that_no_limit_of_the_process_counts_is_out_of_memory(catalogue, tmp_path, mark):
    fill = "area = mmap.mmap(-1, 2**31)\nfor page in range(0, 2**31, 4096): area[page] = 1"
    forked = "if os.fork() == 0:\n    kept = [torch.ones(2**24) for _ in range(14)]\n    time.sleep(60)"
    found = outcomes(catalogue, tmp_path, {
        "fills_shared": fill,
        "children_fill": f"for _ in range(2):\n{textwrap.indent(forked, '    ')}\ntime.sleep(60)",
    }, memory_mb=1500)  # fmt: skip
    for name, (status, reason) in found.items():
        assert (name, status) == (name, "out_of_memory"), reason
        assert "limit of 1500 MiB" in reason


def test_children_in_sessions_of_their_own_end_with_the_worker(catalogue, tmp_path, mark):
    found = outcomes(catalogue, tmp_path, {
        "forks_twice": """
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0: time.sleep(3600)
                os._exit(0)
            """,
        "starts_and_dies": 'subprocess.Popen(["sleep", "3600"], start_new_session=True)\nos._exit(0)',
    })  # fmt: skip
    assert found["forks_twice"] == ("ok", "")
    assert found["starts_and_dies"] == ("failed", "the worker exited with status 0")


def test_left_behind_sees_a_process_that_is_left(monkeypatch):
    import subprocess

    text = new_mark()
    monkeypatch.setenv(MARK, text)
    child = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        until = time.monotonic() + 10  # Popen returns at exec, a moment before /proc shows the new environment
        while not (found := list(marked(text))) and time.monotonic() < until:
            time.sleep(0.01)
        assert found == [child.pid]
    finally:
        child.kill()
        child.wait()


def test_a_line_over_64_mib_is_a_broken_protocol(catalogue, tmp_path, mark):
    path = plugin(tmp_path, talks='write(b"x" * 2**16, 2**11)')
    worker = WorkerProcess(WorkerSettings("bad:talks", (str(path),)), 100.0)
    try:
        with pytest.raises(Failure, match="a line over 64 MiB"):
            worker.request("prepare", 100.0, case=case("bad:talks").to_json())
        assert not worker.alive
    finally:
        worker.close()

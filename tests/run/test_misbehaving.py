"""Real workers with plugins that misbehave: each costs its own rows only, and leaves no process behind."""

import os
import signal
import textwrap
import time

import pytest
from run_helpers import (
    MARK,
    by_implementation,
    case,
    cpu_seconds,
    marked,
    new_mark,
    plan,
    run,
    state,
    wait_for,
    with_names,
)

from gatebench.contract import Failure
from gatebench.errors import PluginError, UserError
from gatebench.run.discover import discover
from gatebench.run.fleet import Fleet
from gatebench.run.process import WorkerProcess, WorkerSettings

HEAD = """
import ctypes, mmap, os, subprocess, sys, threading, time
import torch
import gatebench

def pipes():
    for name in os.listdir("/proc/self/fd"):
        try:
            if int(name) > 2 and os.readlink(f"/proc/self/fd/{name}").startswith("pipe:"): yield int(name)
        except OSError: pass

def write(data, times=1):
    for pipe in list(pipes()):
        try:
            for _ in range(times): os.write(pipe, data)
        except OSError: pass  # the reading end

def right(inputs):
    return {"output": inputs["value"] * torch.sigmoid(inputs["gate"])}
"""


def plugin(folder, **bodies):
    """Write one plugin file; each body is the first lines of an implementation `bad:<name>` that then does it right."""
    text = HEAD
    for name, body in bodies.items():
        text += f'\n@gatebench.implementation("bad:{name}", gates=["glu"])\ndef {name}(params, inputs):\n'
        text += textwrap.indent(textwrap.dedent(body).strip() + "\nreturn right(inputs)\n", "    ")
    path = folder / "misbehaving.py"
    path.write_text(text)
    return path


def outcomes(catalogue, folder, bodies, **measure):
    """Run the bodies beside `eager` and return (status, reason) by short name; eager must come out ok."""
    path = plugin(folder, **bodies)
    names = [f"bad:{name}" for name in bodies]
    wanted = plan(with_names(catalogue, path, names), [case("eager"), *map(case, names)], **measure)
    found = by_implementation(run(folder / "store", wanted))
    assert found.pop("eager") == ("ok", "")
    return {name.removeprefix("bad:"): value for name, value in found.items()}


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
        assert list(marked(text)) == [child.pid]
    finally:
        child.kill()
        child.wait()


# --- spinning after the turn

SPIN = """
    if not globals().get("spinning"):
        globals()["spinning"] = True
        threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()
        loop = "while True: pass"
        for _ in range(4): subprocess.Popen([sys.executable, "-c", loop], start_new_session=True)
        if os.fork() == 0:
            while True: pass
    """


def spinning_fleet(catalogue, folder):
    path = plugin(folder, spins=SPIN)
    known = with_names(catalogue, path, ["bad:spins"])
    return Fleet(
        lambda wanted: WorkerSettings(wanted.implementation, tuple(map(str, known.plugin_files(wanted)))), 100.0
    )


def test_a_worker_that_spins_after_its_turn_uses_no_cpu_time(catalogue, tmp_path, mark):
    fleet = spinning_fleet(catalogue, tmp_path)
    spins = case("bad:spins")
    try:
        with fleet.turn(spins, prepared=False) as worker:
            worker.request("prepare", 100.0, case=spins.to_json())
            warden = worker._process.pid
            pids = [pid for pid in marked(mark) if pid != warden]
            before = cpu_seconds(pids)
            time.sleep(0.5)
            assert cpu_seconds(pids) > before  # they do spin while it is their turn
        assert len(pids) == 6
        wait_for(lambda: {state(pid) for pid in pids} == {"T"})  # on a busy machine a stop takes its turn, too
        before = cpu_seconds(pids)
        time.sleep(0.5)
        assert cpu_seconds(pids) == before
        with fleet.turn(spins, prepared=False):
            wait_for(lambda: "T" not in {state(pid) for pid in pids})
    finally:
        fleet.close()


def test_a_worker_killed_while_it_is_stopped_says_by_what(mark):
    fleet = Fleet(lambda wanted: WorkerSettings(wanted.implementation), 100.0)
    wanted = case("eager")
    try:
        fleet.start([wanted])
        with fleet.turn(wanted, prepared=False) as worker:
            worker.request("prepare", 100.0, case=wanted.to_json())
        os.kill(worker.pid, signal.SIGKILL)
        wait_for(lambda: not worker.alive)
        with pytest.raises(Failure, match="ended by SIGKILL"), fleet.turn(wanted, prepared=True):
            pass
        with fleet.turn(wanted, prepared=False) as fresh:  # the next problem gets a new one
            fresh.request("prepare", 100.0, case=wanted.to_json())
    finally:
        fleet.close()
    wait_for(lambda: not marked(mark))


def neighbour_ns(fleet, neighbour, spins):
    """Return the shortest of some samples of the neighbour, each taken right after the spinning worker's turn."""
    best = float("inf")
    with fleet.turn(neighbour, prepared=False) as worker:
        worker.request("prepare", 100.0, case=neighbour.to_json())
        loops = worker.request("warm", 100.0, warmup_s=0.05, sample_ms=30.0)["loops"]
    for _ in range(12):
        if spins is not None:
            with fleet.turn(spins, prepared=False):
                time.sleep(0.02)
        with fleet.turn(neighbour, prepared=False) as worker:
            best = min(best, worker.request("sample", 100.0, loops=loops)["wall_ns"])
    return best


@pytest.mark.slow
def test_the_time_of_a_spinning_workers_neighbour_does_not_move(catalogue, tmp_path, mark):
    fleet = spinning_fleet(catalogue, tmp_path)
    neighbour, spins = case("eager"), case("bad:spins")
    try:
        quiet = neighbour_ns(fleet, neighbour, None)
        with fleet.turn(spins, prepared=False) as worker:
            worker.request("prepare", 100.0, case=spins.to_json())
        beside = neighbour_ns(fleet, neighbour, spins)
        again = neighbour_ns(fleet, neighbour, None)
    finally:
        fleet.close()
    assert beside < 1.4 * max(quiet, again)  # six spinning processes on its cores would at least double it


# --- plugins that cannot even be imported

DECORATED = "@gatebench.implementation({name!r}, gates=['glu'])\ndef forward(params, inputs): return {{}}\n"
BROKEN = {
    "raises": ("import gatebench\nraise RuntimeError('no licence found')\n", "RuntimeError: no licence found"),
    "syntax": ("import gatebench\ndef forward(:\n", "SyntaxError"),
    "missing": ("import gatebench\nimport surely_not_installed\n", "No module named 'surely_not_installed'"),
    "exits": ("import gatebench, os\nos._exit(5)\n", "exited with status 5"),
    "leaves": ("import gatebench, sys\nsys.exit(0)\n", "SystemExit: 0"),
    "scribbles": (HEAD + "write(b'{}\\n')\n", "protocol"),
    "contract": ("import gatebench\n@gatebench.implementation('bad:contract', gates=['glu'], contract=99)\ndef forward(params, inputs): return {}\n", "contract 99; accepted: 1"),
    "signature": ("import gatebench\n@gatebench.implementation('bad:signature', gates=['glu'])\ndef forward(x): return {}\n", "takes (x); accepted: forward(params, inputs)"),
    "setting": ("import gatebench\n@gatebench.implementation('bad:setting', gates=['glu'], dtype=['float32'])\ndef forward(params, inputs): return {}\n", "did you mean 'dtypes'?"),
    "twice": ("import gatebench\n" + 2 * DECORATED.format(name="bad:twice"), "serves glu already"),
    "nothing": ("x = 1\n", "registers nothing"),
    "shadow": ("import gatebench\n" + DECORATED.format(name="eager"), "'eager' shadows a built-in"),
}  # fmt: skip
NAMED_BY_FILE = ("nothing", "shadow")  # they give no name of their own


SLOW = ("exits", "leaves", "scribbles", "setting", "nothing")


def names_of(broken):
    return [f"file:{name}.py" if name in NAMED_BY_FILE else f"bad:{name}" for name in broken]


def discovered(folder, broken):
    """Discover broken plugins and one that is fine; names stand in each text, as a reader would find them."""
    files = []
    for name in broken:
        text = BROKEN[name][0]
        names = "" if name in NAMED_BY_FILE or f"bad:{name}" in text else f"\n# implementation('bad:{name}', ...)\n"
        files.append(folder / f"{name}.py")
        files[-1].write_text(text + names)
    good = folder / "good.py"
    good.write_text(HEAD + "@gatebench.implementation('lab:good', gates=['glu'])\ndef forward(params, inputs):\n    return right(inputs)\n")  # fmt: skip
    return discover([*files, good])


def check_refusals(catalogue, broken):
    for name, implementation in zip(broken, names_of(broken), strict=True):
        status, reason = catalogue.refusal(case(implementation)) or ("", "")
        assert (name, status) == (name, "unavailable")
        assert BROKEN[name][1] in reason
        assert "\n" not in reason
        assert "/" not in reason


def test_plugins_that_cannot_be_imported_cost_their_own_rows_only(tmp_path, mark):
    broken = [name for name in BROKEN if name not in SLOW]
    catalogue = discovered(tmp_path, broken)
    check_refusals(catalogue, broken)
    cases = [case(name) for name in ("eager", "lab:good", *names_of(broken))]
    found = by_implementation(run(tmp_path / "store", plan(catalogue, cases)))
    assert {found.pop(name)[0] for name in names_of(broken)} == {"unavailable"}
    assert found == {"eager": ("ok", ""), "lab:good": ("ok", "")}


@pytest.mark.slow
def test_stranger_plugins_are_unavailable_with_their_reason(tmp_path, mark):
    check_refusals(discovered(tmp_path, SLOW), SLOW)


def test_a_name_that_two_files_give_is_an_error_that_names_both(catalogue, tmp_path):
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text("import gatebench\n" + DECORATED.format(name="lab:same"))
    with pytest.raises(PluginError, match=r"plugin second\.py: 'lab:same' is given by first\.py too"):
        discover([tmp_path / "first.py", tmp_path / "second.py"])


def test_a_plugin_may_import_its_neighbours(tmp_path, mark):
    (tmp_path / "beside.py").write_text("NAME = 'lab:beside'\n")
    (tmp_path / "uses.py").write_text("import gatebench\nfrom beside import NAME\n@gatebench.implementation(NAME, gates=['glu'])\ndef forward(params, inputs): return {}\n")  # fmt: skip
    assert "lab:beside" in discover([tmp_path / "uses.py"]).implementations


def test_a_worker_whose_installation_is_broken_says_so(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import gatebench.run.process as process

    monkeypatch.setattr(process, "_PACKAGE_ROOT", f"{tmp_path}:{process._PACKAGE_ROOT}")
    with pytest.raises(UserError, match=r"gatebench: a worker cannot start: .*libtorch\.so"):
        discover()


def test_a_line_over_64_mib_is_a_broken_protocol(catalogue, tmp_path, mark):
    path = plugin(tmp_path, talks='write(b"x" * 2**16, 2**11)')
    worker = WorkerProcess(WorkerSettings("bad:talks", (str(path),)), 100.0)
    try:
        with pytest.raises(Failure, match="a line over 64 MiB"):
            worker.request("prepare", 100.0, case=case("bad:talks").to_json())
        assert not worker.alive
    finally:
        worker.close()

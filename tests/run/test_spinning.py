"""Workers that spin after their turn: stopped, so that they use no CPU time and their neighbours' times hold."""

import os
import signal
import time

import pytest
from misbehaving_helpers import plugin
from run_helpers import (
    case,
    cpu_seconds,
    marked,
    state,
    wait_for,
    with_names,
)

from gatebench.contract import Failure
from gatebench.run.fleet import Fleet
from gatebench.run.process import WorkerSettings

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
@pytest.mark.alone
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

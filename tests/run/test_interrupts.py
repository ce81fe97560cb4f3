"""A run that is interrupted, killed or refused loses nothing that was measured and leaves no process behind."""

import json
import os
import random
import secrets
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from run_helpers import MARK, left_behind, marked, new_mark, wait_for

import gatebench
from gatebench.errors import StoreError, UserError
from gatebench.run import resume as resuming
from gatebench.run.progress import Silent
from gatebench.store.journal import Journal

ROOT = Path(gatebench.__file__).resolve().parents[1]
SUITE = """
schema = "gatebench-suite/1"
plugins = ["slow_glu.py"]
[measure]
blocks = 2
rounds = 3
sample_ms = 20
warmup_s = 0.02
[[cases]]
why = "Long enough to be interrupted anywhere."
gates = ["glu"]
implementations = ["eager", "lab:slow"]
threads = [1]
batch = [1]
seq_len = [2, 3]
hidden_size = [4]
[stability]
why = "The last part of a run."
gates = ["rnn_tanh"]
seq_len = [8]
hidden_size = [2]
seeds = 2
"""
PLUGIN = """
import time
import torch
import gatebench

@gatebench.implementation("lab:slow", gates=["glu"])
def forward(params, inputs):
    time.sleep(0.01)
    return {"output": inputs["value"] * torch.sigmoid(inputs["gate"])}
"""
UNITS = 2 * 2 * 2  # cases and blocks


@pytest.fixture
def folder(tmp_path):
    """A folder with a suite and its plugin, outside any checkout."""
    (tmp_path / "slow.toml").write_text(SUITE)
    (tmp_path / "slow_glu.py").write_text(PLUGIN)
    return tmp_path


def gatebench_run(folder, mark, *arguments):
    """Start `gatebench run` in `folder`."""
    environment = {**os.environ, MARK: mark, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-m", "gatebench.cli.main", "run", *arguments],
        cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=as_from_a_terminal,
    )  # fmt: skip


def as_from_a_terminal():
    """Take Ctrl-C as a command in a terminal does; a job in the background inherits that it is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finished(process, timeout=200):
    out, err = process.communicate(timeout=timeout)
    return process.returncode, out, err


def journal_files(folder):
    return sorted(folder.glob("results/_staging/*/journal/case-*.json"))


def runs(folder):
    return sorted((folder / "results" / "runs").glob("*/manifest.json"))


def measured_units(run_folder):
    """Return samples by case and block of a run folder."""
    rows = pq.read_table(run_folder / "samples.parquet").to_pylist()
    return Counter((row["case_id"], row["block"]) for row in rows if row["quantity"] == "time" and not row["dropped"])


def start_times(run_folder):
    """Return what tells whether a unit was measured anew: its import times, by case and block."""
    rows = pq.read_table(run_folder / "samples.parquet").to_pylist()
    return {(row["case_id"], row["block"]): row["wall_ns"] for row in rows if row["quantity"] == "first_call"}


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_an_interrupt_publishes_what_was_measured_and_resume_adds_the_rest(folder, number):
    mark = new_mark()
    process = gatebench_run(folder, mark, "slow.toml")
    wait_for(lambda: len(journal_files(folder)) >= 2, 120)
    process.send_signal(number)
    code, _, err = finished(process)
    assert code == 130, err
    assert "Traceback" not in err
    assert left_behind(mark) == {}
    assert not list(folder.glob("results/_staging/*"))
    (partial,) = runs(folder)
    manifest = json.loads(partial.read_text())
    assert manifest["status"] == "partial"
    before = measured_units(partial.parent)
    assert 2 <= len(start_times(partial.parent)) < UNITS

    if number == signal.SIGTERM:
        return  # the rest was seen with SIGINT
    code, _, err = finished(gatebench_run(folder, mark, "--resume", manifest["run_id"][-6:]))
    assert code in (0, 3), err  # 3: on a busy machine every sample of a case may have been dropped
    old, new = runs(folder)
    assert old == partial
    finished_run = json.loads(new.read_text())
    assert (finished_run["status"], finished_run["resumes"]) == ("complete", manifest["run_id"])
    assert json.loads(partial.read_text()) == manifest  # run folders are never edited
    after = measured_units(new.parent)
    assert {unit: after[unit] for unit in before} == dict(before)
    assert {unit: start_times(new.parent)[unit] for unit in start_times(partial.parent)} == start_times(partial.parent)
    assert len(start_times(new.parent)) == UNITS
    results = gatebench.load(folder / "results")
    assert list(results.runs["run_id"]) == [finished_run["run_id"]]  # readers hide the old one
    assert set(results.stability["seed"]) == {0, 1}
    assert left_behind(mark) == {}


def kill_at_random(folder, mark, random_source):
    """Start a run, or resume it, and kill the runner somewhere; returns whether it was killed."""
    resume = ("--resume",) if list(folder.glob("results/_staging/*/header.json")) else ("slow.toml",)
    process = gatebench_run(folder, mark, *resume)
    wait_for(lambda: process.poll() is not None or journal_files(folder) or len(marked(mark)) > 3, 120)
    time.sleep(random_source.uniform(0.0, 2.5))
    process.kill()
    _, err = process.communicate()
    assert process.returncode in (-signal.SIGKILL, 0, 3), err
    return process.returncode == -signal.SIGKILL


def killed_and_resumed(folder, kills):
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    random_source, mark = random.Random(seed), new_mark()
    known = {}
    for _ in range(kills):
        if not kill_at_random(folder, mark, random_source):
            break  # it was faster than we are
        assert left_behind(mark, 5.0) == {}
        units = {path.name: path.read_bytes() for path in journal_files(folder)}
        assert units.items() >= known.items()  # nothing measured is lost, nor measured again
        assert all(json.loads(data) for data in units.values())
        known = units
    staged = [path.parent.name for path in folder.glob("results/_staging/*/header.json")]
    if staged:
        code, _, err = finished(gatebench_run(folder, mark, "--resume", "latest"))
        assert code in (0, 3), err
    (manifest,) = runs(folder)
    if staged:
        assert [manifest.parent.name] == staged
    assert json.loads(manifest.read_text())["status"] == "complete"
    times = start_times(manifest.parent)
    assert len(times) == UNITS
    for data in known.values():
        entry = json.loads(data)
        assert times[entry["case_id"], entry["block"]] == entry["facts"]["first_call_ns"]
    assert left_behind(mark, 5.0) == {}
    assert not list(folder.glob("results/_staging/*"))


@pytest.mark.slow
def test_sigkill_again_and_again_leaves_no_worker_and_resume_finishes_the_run(folder):
    killed_and_resumed(folder, 6)


def test_a_stopped_worker_ends_with_its_runner(tmp_path, mark):
    code = (
        "import sys, time\n"
        "from gatebench.run.process import WorkerProcess, WorkerSettings\n"
        "worker = WorkerProcess(WorkerSettings('eager'), 100.0)\n"
        "worker.greeting\nworker.stop()\nprint(worker.pid, flush=True)\ntime.sleep(100)\n"
    )
    runner = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert runner.stdout is not None
    pid = int(runner.stdout.readline())
    assert pid in marked(mark)
    runner.kill()
    runner.communicate()
    assert left_behind(mark, 5.0) == {}


# --- what resume refuses


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """A folder in which a run was killed after its first unit."""
    folder = tmp_path_factory.mktemp("staged")
    (folder / "slow.toml").write_text(SUITE.replace("rounds = 3", "rounds = 9"))
    (folder / "slow_glu.py").write_text(PLUGIN)
    process = gatebench_run(folder, new_mark(), "slow.toml")
    wait_for(lambda: len(journal_files(folder)) >= 2, 120)
    process.kill()
    process.communicate()
    return folder


def staged_id(folder):
    return next(folder.glob("results/_staging/*/header.json")).parent.name


def refused(folder, *arguments):
    """Resume where it must be refused: exit 2, one line, staging as it was. Returns the line."""
    before = {path: path.read_bytes() for path in folder.glob("results/_staging/*/**/*.json")}
    code, out, err = finished(gatebench_run(folder, new_mark(), "--resume", *arguments))
    assert (code, out) == (2, "")
    assert {path: path.read_bytes() for path in folder.glob("results/_staging/*/**/*.json")} == before
    (line,) = err.splitlines()
    return line


def test_a_staging_folder_in_use_is_refused(staged):
    journal = Journal(staged / "results", staged_id(staged))
    try:
        assert "another process is measuring it" in refused(staged)
    finally:
        journal.close()


def test_another_environment_class_is_refused(staged, monkeypatch):
    monkeypatch.chdir(staged)
    monkeypatch.setattr(resuming, "environment_class", lambda environment: "other")
    with pytest.raises(UserError, match=r"--resume: environment class other is not the run's [0-9a-f]{12}; .*; start a new run"):  # fmt: skip
        resuming.resume(staged / "results", None, Silent())
    Journal(staged / "results", staged_id(staged)).close()  # the lock was given up


def test_a_changed_plugin_is_refused(staged):
    path = staged / "slow_glu.py"
    path.write_text(PLUGIN + "# another version\n")
    try:
        assert refused(staged).startswith("--resume: plugin slow_glu.py has changed since the run began; ")
        path.unlink()
        assert refused(staged).startswith("--resume: plugin slow_glu.py is not here; ")
    finally:
        path.write_text(PLUGIN)


def test_a_header_that_is_broken_is_refused(staged):
    path = next(staged.glob("results/_staging/*/header.json"))
    text = path.read_text()
    path.write_text(text[:50])
    try:
        assert "header.json cannot be read" in refused(staged)
    finally:
        path.write_text(text)


def test_an_unknown_run_and_other_flags_are_refused(staged):
    assert "no run 'nonsense'" in refused(staged, "nonsense")
    assert refused(staged, "latest", "-g", "glu").startswith("--resume: given together with -g; ")


def test_nothing_to_resume_is_refused(tmp_path):
    with pytest.raises(StoreError, match="no run to resume"):
        resuming.resume(tmp_path / "results", None, Silent())


def test_what_a_kill_left_in_staging_after_publishing_is_cleared(tmp_path):
    from gatebench.store.write import write_run

    run_id = "20260101T000000Z-0001"
    journal = Journal(tmp_path, run_id)
    journal.write_header({"seed": 0})
    journal.close()
    write_run(tmp_path / "elsewhere", tmp_path / "runs" / run_id, {"run_id": run_id, "status": "complete"}, [], {})
    with pytest.raises(StoreError, match="is complete"):
        resuming.resume(tmp_path, run_id, Silent())
    assert not (tmp_path / "_staging" / run_id).exists()


def test_a_refused_resume_of_a_published_run_leaves_nothing_in_staging(tmp_path, monkeypatch, staged):
    header = json.loads(next(staged.glob("results/_staging/*/header.json")).read_text())
    from gatebench.run.publish import publish

    journal = Journal(tmp_path, "20260101T000000Z-0002")
    publish(tmp_path, journal, "partial", header)
    monkeypatch.chdir(staged)
    monkeypatch.setattr(resuming, "environment_class", lambda environment: "other")
    with pytest.raises(UserError, match="environment class"):
        resuming.resume(tmp_path, None, Silent())
    assert not list((tmp_path / "_staging").glob("*"))

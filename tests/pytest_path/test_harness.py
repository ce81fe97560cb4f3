"""Numbers of one harness are never mixed with those of another: a run has one, and says so wherever it is shown."""

import json
import sys

import pandas as pd
import pytest
from suite_sessions import ROOT

from gatebench.analyze.compare import compare
from gatebench.errors import StoreError
from gatebench.report.stored_run import View, print_run
from gatebench.run.resume import resumable
from gatebench.store.read import load
from gatebench.store.write import write_run


@pytest.fixture
def store(tmp_path):
    """Two synthetic runs of the same cases: an older one of workers, a partial one that calls itself pytest's."""
    sys.path.insert(0, str(ROOT))
    from tests.synthetic import Plan, write_store

    plan = Plan(runs=2, gates=("gru",), seq_lens=(64,), hidden_sizes=(64, 128), modes=("forward",), stability=False)
    _, newest = write_store(tmp_path, plan)
    manifest = tmp_path / "runs" / newest / "manifest.json"
    changed = {**json.loads(manifest.read_text()), "harness": "pytest", "status": "partial"}
    manifest.write_text(json.dumps(changed))
    return tmp_path


def test_a_run_folder_of_two_harnesses_cannot_be_written(tmp_path):
    rows = [{"case_id": "a", "harness": "worker"}, {"case_id": "a", "harness": "pytest"}]
    with pytest.raises(ValueError, match="a run is measured one way, not by pytest, worker"):
        write_run(tmp_path / "s", tmp_path / "runs" / "x", {"run_id": "x"}, [], {"measurements": rows})


def test_speed_ups_and_ranks_are_those_of_the_run_alone(store):
    results = load(store)
    both = compare(results.measurements, results.samples)
    for run in results.folders:
        alone = load(run.path)
        expected = compare(alone.measurements, alone.samples)
        found = both[both["run_id"] == run.run_id].reset_index(drop=True)
        pd.testing.assert_frame_equal(found, expected)


def test_runs_name_their_harness(store):
    assert load(store).runs["harness"].tolist() == ["worker", "pytest"]


def test_the_table_says_how_it_was_measured(store, capsys):
    older, newest = load(store).folders
    print_run(newest.path, View())
    text = " ".join(capsys.readouterr().out.split())
    assert "harness pytest: one process for all, case by case; not comparable with runs of `gatebench run`" in text
    assert "interrupted: the rest is missing" in text
    print_run(older.path, View())
    assert "harness" not in capsys.readouterr().out


def test_workers_do_not_go_on_with_what_pytest_began(store):
    newest = load(store).folders[-1].run_id
    with pytest.raises(StoreError, match="no run to resume"):
        resumable(store, None)
    with pytest.raises(StoreError, match=f"run {newest}: was measured by pytest; a run of `gatebench run`"):
        resumable(store, newest)

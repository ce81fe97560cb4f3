"""Jobs that are ended from outside: nothing measured is lost, and nothing is left behind."""

import os
import signal
import subprocess
import sys

import pytest
from jobs import ab, narrowed
from run_helpers import left_behind, new_mark, wait_for

from gatebench.report.ab_run import recompute
from gatebench.run.progress import Silent
from gatebench.store.read import Results, read_run

pytestmark = pytest.mark.usefixtures("two_blocks")


@pytest.mark.slow
def test_a_disk_that_fills_up_leaves_what_was_measured_for_resume(repo, temporary, monkeypatch, capsys):
    from gatebench.errors import StoreError
    from gatebench.run.resume import resume
    from gatebench.store import journal

    real, left = journal.write_json, {"count": 9}

    def filling(path, value):
        left["count"] -= 1
        if left["count"] < 0:
            raise OSError(28, "No space left on device")
        real(path, value)

    monkeypatch.setattr(journal, "write_json", filling)
    with pytest.raises(StoreError, match=r"cannot write: No space left on device; .*gatebench run --resume"):
        ab(repo, "main", None, narrowing=narrowed("toy:glu"))
    monkeypatch.setattr(journal, "write_json", real)
    outcome = resume(repo / "results", None, Silent())
    run = read_run(outcome.folder)
    assert outcome.interrupted
    assert run.manifest["status"] == "partial"
    assert len(Results((run,)).samples) > 0
    assert set(Results((run,)).verdicts.query("quantity == 'time'")["verdict"]) == {"inconclusive"}
    assert recompute(run) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGKILL]
)  # Ctrl-C goes the way of SIGTERM from its first line on
def test_a_job_that_is_ended_leaves_no_process_and_no_checkout(repo, temporary, monkeypatch, number):
    mark = new_mark()
    environment = {**os.environ, "GATEBENCH_TEST_MARK": mark}
    command = [sys.executable, "-m", "gatebench.cli.main", "ab", "main", "speed.toml", "-i", "toy:glu"]
    with subprocess.Popen(
        command, cwd=repo, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as job:
        staged = repo / "results" / "_staging"
        wait_for(lambda: len(list(staged.glob("*/journal/case-*.json"))) >= 4, 120)
        job.send_signal(number)
        out, err = job.communicate(timeout=60)
    assert left_behind(mark) == {}
    assert "Traceback" not in err
    if number == signal.SIGKILL:
        assert len(list(staged.glob("*/journal/case-*.json"))) >= 4
        with subprocess.Popen(
            [*command[:3], "run", "--resume"], cwd=repo, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as again:
            out, err = again.communicate(timeout=60)
            assert again.returncode == 130, err
        run_ab_sweeps(repo)
    else:
        assert job.returncode == 130
    assert "interrupted" in out
    assert len(list((repo / "results" / "runs").iterdir())) == 1


def run_ab_sweeps(repo):
    """Check that the next job removes what a killed one left."""
    from gatebench.run.ab.checkouts import check_out
    from gatebench.run.ab.sides import resolve

    with check_out(dict(zip(("base", "head"), resolve("main", None, repo), strict=True)), repo):
        pass

"""A calibration through real workers: it plans as `ab` would in the same repository, and says so in its manifest."""

import pytest
from jobs import ab, narrowed
from repositories import PLUGIN, commit

from gatebench.errors import UserError
from gatebench.report.calibration import calibration_of
from gatebench.run.ab.calibrate import run_calibration
from gatebench.run.ab.job import AbRequest
from gatebench.run.ab.runner import AbRunner
from gatebench.run.progress import Silent
from gatebench.store.read import read_run

pytestmark = pytest.mark.slow
COMPILES = PLUGIN.replace('gates=["glu"]', 'gates=["glu"], compiles=True')


def calibrated(repo, **settings):
    """Calibrate toy:glu in two blocks, with these settings in the repository's pyproject.toml; returns the run."""
    lines = "".join(f'{key} = "{value}"\n' for key, value in settings.items())
    commit(repo, "settings", my_glu__py=COMPILES, pyproject__toml=f"[tool.gatebench]\n{lines}")
    request = AbRequest(suite="speed.toml", here=repo, narrowing=narrowed("toy:glu"))
    return read_run(run_calibration(request, 2, repo / "results", Silent(), lambda text: None).folder)


def test_margin_and_compiled_cases_are_those_of_an_ab(repo, temporary, monkeypatch):
    run = calibrated(repo, margin="10%")
    monkeypatch.setattr(AbRunner, "run", lambda self: None)  # what it plans is told without measuring it
    job, _, _ = ab(repo, "main", None, narrowing=narrowed("toy:glu"))
    plan = job.plan()
    assert plan["hypotheses"] == {"time": 4, "compile": 1}
    assert run.manifest["calibration"] == {"margin": plan["margins"]["time"], "compiles": plan["compiles"]}
    assert plan["margins"]["time"] == 0.1
    assert calibration_of(run)["case_id"].tolist() == plan["order"]


def test_a_margin_that_no_job_takes_is_refused_before_anything_is_measured(repo, temporary):
    with pytest.raises(UserError, match="--margin: 0 %"):
        calibrated(repo, margin="0%")
    assert not (repo / "results").exists()

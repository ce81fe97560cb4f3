"""Two versions of a repository through real workers, with two blocks of screening: what each side does to the verdicts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from repositories import PLUGIN, SUITE, commit, git
from run_helpers import left_behind, new_mark, wait_for

from gatebench.errors import UserError
from gatebench.report.ab_run import ab_document, recompute
from gatebench.run.ab.job import AbRequest, run_ab
from gatebench.run.machine_lock import Busy
from gatebench.run.progress import Silent
from gatebench.store.read import Results, read_run

SLOWER = PLUGIN.replace(
    "    return gate", "    for _ in range(20):\n        gate.forward(params, inputs)\n    return gate"
)
WRONG = PLUGIN.replace(
    "return gate.forward(params, inputs)", 'return {"output": 2 * gate.forward(params, inputs)["output"]}'
)
DIES = PLUGIN.replace("    return gate", "    import os\n    os.abort()\n    return gate")
SECOND = PLUGIN + PLUGIN.replace("toy:glu", "toy:second").replace("import gatebench", "").replace(
    "def forward", "def second"
)


@pytest.fixture(autouse=True)
def two_blocks(monkeypatch):
    """Screen with two blocks: too few for any verdict on time, enough to see what is measured."""
    monkeypatch.setattr("gatebench.analyze.plan.SCREEN_BLOCKS", (2, 2))


def ab(repo, base, head, **request):
    """Run two versions; returns (run, time and coverage verdicts by implementation, said lines)."""
    said: list[str] = []
    outcome = run_ab(
        AbRequest(base, head, here=repo, **{"suite": "speed.toml", **request}), repo / "results", Silent(), said.append
    )
    run = read_run(outcome.folder)
    found = Results((run,)).verdicts
    found["implementation"] = found["case_id"].str.split("/").str[1]
    return run, found[found["implementation"] != "gatebench:control"].set_index(["implementation", "quantity"]), said


@pytest.mark.slow
def test_versions_that_are_alike_are_stored_with_verdicts_that_come_out_again(repo, temporary):
    commit(repo, "only words", README__md="hello")
    run, found, said = ab(repo, "main~1", "main")
    assert said[0].startswith("base: main~1 ")
    assert set(found.index) >= {
        ("toy:glu", "time"),
        ("native", "time"),
        ("toy:glu", "peak_bytes"),
        ("native", "coverage"),
    }
    assert (found.xs("coverage", level="quantity")["verdict"] == "same").all()
    assert (found.xs("peak_bytes", level="quantity")["verdict"] == "same").all()
    assert recompute(run) == []
    samples = Results((run,)).samples.query("quantity == 'time'")
    assert set(samples["side"]) == {"base", "head"}
    assert set(samples["stage"]) == {"screen"}
    assert samples.groupby(["case_id", "side"])["block"].nunique().eq(2).all()
    assert [plugin["file"] for plugin in run.manifest["plugins"]] == ["my_glu.py"]
    assert run.manifest["sides"]["head"]["subject"] == "only words"
    assert run.manifest["git"]["sha"] == git(repo, "rev-parse", "main")
    assert ab_document(run)["exit_code"] == 4  # two blocks find no planted slow-down: the control failed


@pytest.mark.slow
def test_a_wrong_head_is_wrong_and_a_wrong_base_leaves_the_head_to_be_judged_for_correctness(repo, temporary):
    commit(repo, "second", my_glu__py=WRONG)
    run, found, _ = ab(repo, "main~1", "main")
    assert found.loc[("toy:glu", "time"), "verdict"] == "wrong"
    assert found.loc[("toy:glu", "coverage"), "verdict"] == "wrong"
    assert ab_document(run)["exit_code"] == 3
    _, found, _ = ab(repo, "main", "main~1")
    assert found.loc[("toy:glu", "time"), "verdict"] == "inconclusive"
    assert "the base is wrong" in found.loc[("toy:glu", "time"), "reason"]
    assert found.loc[("toy:glu", "coverage"), "verdict"] == "new"


@pytest.mark.slow
def test_a_side_whose_worker_dies_in_every_block_has_failed(repo, temporary):
    commit(repo, "second", my_glu__py=DIES)
    run, found, _ = ab(repo, "main~1", "main", narrowing=narrowed("toy:glu"))
    assert found.loc[("toy:glu", "time"), "verdict"] == "failed"
    assert "SIGABRT" in found.loc[("toy:glu", "coverage"), "reason"]
    rows = Results((run,)).measurements.set_index(["implementation", "side"])["status"]
    assert (rows["toy:glu", "base"], rows["toy:glu", "head"]) == ("ok", "failed")


@pytest.mark.slow
def test_what_only_one_version_has_is_new_or_gone(repo, temporary):
    everything = SUITE.replace('["toy:glu", "native"]', '["*"]')
    commit(repo, "second", my_glu__py=SECOND, speed__toml=everything)
    _, found, _ = ab(repo, "main~1", "main", narrowing=narrowed("*", glob="glu/toy*"))
    assert found.loc[("toy:second", "time"), "verdict"] == "new"
    assert found.loc[("toy:second", "coverage"), "verdict"] == "new"
    assert pd.isna(found.loc[("toy:second", "time"), "change"])
    commit(repo, "third", my_glu__py=PLUGIN)
    _, found, _ = ab(repo, "main~1", "main", narrowing=narrowed("*", glob="glu/toy*"))
    assert found.loc[("toy:second", "time"), "verdict"] == "gone"


@pytest.mark.slow
def test_the_working_tree_is_the_head_and_its_pyproject_names_suite_and_build(repo, temporary):
    commit(repo, "settings", pyproject__toml='[tool.gatebench]\nsuite = "speed.toml"\nbuild = "touch built"\n')
    (repo / "my_glu.py").write_text(PLUGIN + "\nassert __import__('pathlib').Path('built').exists()\n")
    run, found, said = ab(repo, None, None, suite=None, narrowing=narrowed("toy:glu"))
    assert said == [said[0], said[1], "building: touch built"]
    assert said[1].endswith("with changes that are not committed")
    head = run.manifest["sides"]["head"]
    assert [plugin["file"] for plugin in head.pop("plugins")] == ["my_glu.py"]
    assert head == {
        "given": "working tree",
        "sha": git(repo, "rev-parse", "HEAD"),
        "dirty": True,
        "subject": "settings",
    }
    assert found.loc[("toy:glu", "coverage"), "verdict"] == "same"


def narrowed(*names, glob=""):
    from gatebench.suites import Narrowing

    return Narrowing(implementations=names, glob=glob)


# --- bad input, before anything is measured


def refused(repo, match, base="main", head=None, error=UserError, **request):
    with pytest.raises(error, match=match) as caught:
        ab(repo, base, head, **request)
    assert not list((repo / "results").glob("runs/*"))
    return caught.value


def test_a_head_without_the_suite_is_one_line(repo, temporary):
    git(repo, "rm", "-q", "speed.toml")
    commit(repo, "no suite")
    refused(
        repo,
        r"^suite speed.toml: is not in the head \(main \w{10}\); a file of the head is accepted; check",
        "main~1",
        "main",
    )


def test_a_head_without_the_suites_plugin_is_one_line(repo, temporary):
    git(repo, "rm", "-q", "my_glu.py")
    commit(repo, "no plugin")
    refused(repo, r"^head: plugin my_glu.py: no such file", "main~1", "main")


def test_a_plugin_of_the_command_line_is_taken_from_the_head(repo, temporary):
    refused(repo, r"^--plugin other.py: is not in the head", plugins=(Path("other.py"),))


@pytest.mark.parametrize(("side", "code"), [("base", 2), ("head", 3)])
def test_a_failing_build_has_its_sides_exit_code(repo, temporary, side, code):
    commit(repo, "second", **{side: ""} if side == "head" else {"other": ""})
    test = "test -e other" if side == "base" else "test ! -e head"
    error = refused(
        repo,
        f"--build of the {side}: ended with 1: no luck",
        "main~1",
        "main",
        build=f"{test} || {{ echo no luck; false; }}",
    )
    assert error.exit_code == code


def test_an_interpreter_without_torch_is_one_line_that_names_the_side(repo, temporary, tmp_path):
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    refused(repo, r"^head: gatebench: a worker cannot start: .*No module named", pythons={"head": str(bare)})
    refused(repo, r"^--python-base: 'no-such-python' is no program", pythons={"base": "no-such-python"})


@pytest.mark.parametrize(("text", "match"), [
    ('suit = "speed.toml"', "pyproject.toml: tool.gatebench: unknown key 'suit'"),
    ('margin = "3"', r"pyproject.toml: tool.gatebench.margin: '3' is no percentage; a number with % is accepted"),
    ("margin = 3", r"pyproject.toml: tool.gatebench.margin: 3; text is accepted"),
    ("margin = ", "pyproject.toml: is not TOML"),
    ("[[tool.gatebench.x]]", "pyproject.toml: tool.gatebench: unknown key 'x'"),
])  # fmt: skip
def test_settings_that_cannot_be_read_are_one_line(repo, temporary, text, match):
    commit(repo, "settings", pyproject__toml=f"[tool.gatebench]\n{text}\n")
    refused(repo, match)


def test_a_pyproject_whose_tool_is_no_table_is_one_line(repo, temporary):
    commit(repo, "settings", pyproject__toml='[tool]\ngatebench = "quick"\n')
    refused(repo, r"pyproject.toml: tool.gatebench: 'quick'; a table is accepted")
    commit(repo, "settings", pyproject__toml="tool = 3\n")
    refused(repo, r"pyproject.toml: tool.gatebench: 3; a table is accepted")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"margin": 0.0}, "--margin: 0 %"),
        ({"decided": 1.5}, "--decided: 150 %"),
        ({"fail_on": ("foo",)}, "--fail-on: unknown kind 'foo'"),
    ],
)
def test_options_out_of_range_are_refused_before_anything_is_copied(repo, temporary, monkeypatch, options, match):
    monkeypatch.setattr("gatebench.run.ab.job.check_out", None)
    refused(repo, match, **options)


def test_an_extended_suite_and_its_plugin_come_from_the_head(repo, temporary):
    from gatebench.suites import read_suite

    commit(repo, "extended", base__toml=SUITE, speed__toml='schema = "gatebench-suite/1"\nextends = "base.toml"\n')
    elsewhere = repo.parent / "elsewhere"
    git(repo.parent, "clone", "-q", str(repo), str(elsewhere))
    previous = os.getcwd()
    os.chdir(repo)
    try:
        assert read_suite(elsewhere / "speed.toml").plugins == (elsewhere / "my_glu.py",)
    finally:
        os.chdir(previous)


def test_a_second_job_is_refused_where_it_shall_not_wait(repo, temporary):
    code = "import time\nfrom gatebench.run.machine_lock import alone_on_machine\nwith alone_on_machine(True):\n    print('held', flush=True)\n    time.sleep(60)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        error = refused(repo, "another gatebench job is measuring on this machine", error=Busy, wait=False)
        other.kill()
    assert error.exit_code == 4


# --- interruptions


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
        ab(repo, "main", None)
    monkeypatch.setattr(journal, "write_json", real)
    outcome = resume(repo / "results", None, Silent())
    run = read_run(outcome.folder)
    assert outcome.interrupted
    assert run.manifest["status"] == "partial"
    assert len(Results((run,)).samples) > 0
    assert set(Results((run,)).verdicts.query("quantity == 'time'")["verdict"]) == {"inconclusive"}
    assert recompute(run) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_job_that_is_ended_leaves_no_process_and_no_checkout(repo, temporary, monkeypatch, number):
    mark = new_mark()
    environment = {**os.environ, "GATEBENCH_TEST_MARK": mark}
    command = [sys.executable, "-m", "gatebench.cli.main", "ab", "main", "speed.toml"]
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

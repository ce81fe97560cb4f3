"""The scripts of action.yml, run by bash in a repository, with a stand-in for what measures or needs the network."""

import json
import shutil
import signal
import sys
from pathlib import Path

import pytest
from workflow_steps import ACTION, EXAMPLE, ROOT, Runner, commit, git, inputs, step_named

from gatebench.report.ci.ab_json import ab_json
from gatebench.report.ci.ab_markdown import markdown_of
from gatebench.report.ci.schemas import read_ab
from tests.report.ab_reports import SAME, SLOWER, report
from tests.report.hostile import HOSTILE, bend

# Says how it was called, and leaves what a job of two versions leaves; `compare` only prints.
GATEBENCH = """#!{python}
import json, os, pathlib, sys
if sys.argv[1] == "compare":
    sys.exit(print("the table of", sys.argv[-1]))
log = pathlib.Path(os.environ["RUNNER_TEMP"], "called.json")
log.write_text(json.dumps(sys.argv[1:]))
{measure}
given = dict(zip(sys.argv, sys.argv[1:]))
if {document!r}:
    pathlib.Path(given["--markdown"]).write_text({page!r})
    pathlib.Path(given["--junit"]).write_text("<testsuites/>")
    print({document!r})
sys.exit({code})
"""
WAITS = """
import signal, time
def end(number, frame): sys.exit(print("{}") or 130)
signal.signal(signal.SIGTERM, end)
pathlib.Path(given_markdown := sys.argv[sys.argv.index("--markdown") + 1]).write_text("**GateBench: interrupted**\\n")
pathlib.Path(os.environ["RUNNER_TEMP"], "waiting").touch()
time.sleep(60)
"""


@pytest.fixture
def repo(tmp_path):
    """A clone of a kernel author's repository: `origin/main` has gone on since the branch that is checked out began."""
    origin = tmp_path / "origin"
    origin.mkdir()
    git(origin, "init", "-q", "-b", "main")
    commit(origin, "first", README__md="1")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    git(clone, "checkout", "-q", "-b", "tune")
    commit(clone, "second", kernel__py="2")
    commit(origin, "third", README__md="3")
    git(clone, "fetch", "-q")
    return clone


def stand_in(runner, code=0, document=None, measure=""):
    document = ab_json(report(SLOWER, SAME)) if document is None else document
    page = markdown_of(document) if document else ""
    text = json.dumps(document) if document else ""
    runner.stub("gatebench", GATEBENCH.format(python=sys.executable, measure=measure, document=text, page=page, code=code))  # fmt: skip


def measured(runner, **given):
    """Run the step that measures; returns what it left, and how gatebench was called."""
    done = runner.run(step_named(ACTION, "Measure"), inputs(**given))
    log = runner.temporary / "called.json"
    return done, json.loads(log.read_text()) if log.exists() else None


def judged(runner, outputs):
    context = {f"steps.measure.outputs.{name}": outputs.get(name, "") for name in ("exit-code", "verdict")}
    return runner.run(step_named(ACTION, "Judge"), context)


def test_a_pull_request_is_measured_against_where_it_began(tmp_path, repo):
    runner = Runner(tmp_path, repo, GITHUB_BASE_REF="main")
    stand_in(runner)
    done, called = measured(runner, suite="quick")
    folder = Path(done.outputs["folder"])
    assert done.code == 0, done.err
    assert called == [
        "ab", "--json", "--markdown", f"{folder}/ab.md", "--junit", f"{folder}/ab.xml", "--store", f"{folder}/results",
        "--fail-on", "slower,wrong,unfit,undecided", "--decided", "80%", "--", git(repo, "rev-parse", "main"), "quick",
    ]  # fmt: skip
    assert git(repo, "rev-parse", "main") != git(repo, "rev-parse", "origin/main")
    assert read_ab(Path(done.outputs["json"]))["counts"]["time"] == {"slower": 1, "same": 1}
    assert done.outputs["verdict"].startswith("slower: 1 of 2 cases, worst `lstm/numba/")
    assert f"the table of {folder}/results" in done.out
    assert git(repo, "status", "--porcelain") == ""


def test_a_store_that_outlives_the_job_is_measured_into_and_read_from(tmp_path, repo):
    runner = Runner(tmp_path, repo)
    stand_in(runner)
    done, called = measured(runner, store="/var/lib/my store")
    assert called[called.index("--store") + 1] == "/var/lib/my store"
    assert "the table of /var/lib/my store" in done.out


def test_without_a_pull_request_and_inputs_gatebench_chooses_both_sides(tmp_path, repo):
    runner = Runner(tmp_path, repo)
    stand_in(runner)
    assert measured(runner)[1][-1] == "--"


def test_every_input_becomes_an_argument_as_it_is(tmp_path, repo):
    runner = Runner(tmp_path, repo, GITHUB_BASE_REF="main")
    stand_in(runner)
    _, called = measured(
        runner, base="v1", head="v2", suite="my suite.toml", margin="2%", time_limit="5m", build="make -j2 && echo 'a b'",
        plugin="a.py\nb c.py\n", fail_on="none", decided="50%", arguments="--gate=lstm\n-klstm/*T16*\n",
    )  # fmt: skip
    options = called[called.index("--fail-on") :]
    assert options == [
        "--fail-on", "none", "--decided", "50%", "--margin", "2%", "--time-limit", "5m", "--build", "make -j2 && echo 'a b'",
        "--plugin", "a.py", "--plugin", "b c.py", "--gate=lstm", "-klstm/*T16*", "--", "v1", "v2", "my suite.toml",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["$(touch evil)", "`touch evil`", "; touch evil #", "' || touch evil '", '"; touch evil; "', "--help"])  # fmt: skip
def test_no_input_is_run_by_the_shell(tmp_path, repo, text):
    runner = Runner(tmp_path, repo)
    stand_in(runner)
    names = ("base", "head", "suite", "margin", "time_limit", "plugin", "fail_on", "decided", "arguments")
    done, called = measured(runner, **dict.fromkeys(names, text))
    assert done.code == 0, done.err
    assert called.count(text) == len(names)
    assert called[-4:] == ["--", text, text, text]
    assert not (repo / "evil").exists()


@pytest.mark.parametrize("code", [0, 1, 3, 4, 5, 130])
def test_an_exit_code_ends_the_job_after_all_was_kept(tmp_path, repo, code):
    runner = Runner(tmp_path, repo)
    stand_in(runner, code)
    done, _ = measured(runner)
    assert (done.code, done.outputs["exit-code"]) == (0, str(code))
    assert set(done.outputs) == {"folder", "exit-code", "json", "verdict"}
    judge = judged(runner, done.outputs)
    assert judge.code == code
    assert judge.out.startswith(f"GateBench ended with {code}: slower: 1 of 2 cases")


def test_a_usage_error_leaves_no_json(tmp_path, repo):
    runner = Runner(tmp_path, repo)
    stand_in(runner, 2, document={})
    done, _ = measured(runner)
    assert (done.code, set(done.outputs)) == (0, {"folder", "exit-code"})
    assert list(Path(done.outputs["folder"]).iterdir()) == []
    judge = judged(runner, done.outputs)
    assert (judge.code, judge.out) == (2, "GateBench ended with 2: nothing was measured, the reason stands above\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_job_keeps_what_was_measured(tmp_path, repo, number):
    runner = Runner(tmp_path, repo)
    stand_in(runner, measure=WAITS)
    process = runner.start(step_named(ACTION, "Measure"), inputs())
    while not (runner.temporary / "waiting").exists():
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    done = runner.finish(process)
    assert (done.code, done.outputs["exit-code"], done.outputs["verdict"]) == (0, "130", "interrupted")
    assert Path(done.outputs["json"]).read_text() == "{}\n"


def test_a_shallow_clone_is_told_what_it_lacks(tmp_path, repo):
    runner = Runner(tmp_path, repo, GITHUB_BASE_REF="release")
    stand_in(runner)
    done, called = measured(runner)
    assert (done.code, called, done.outputs) == (2, None, {})
    assert "actions/checkout needs fetch-depth: 0" in done.out


def test_a_head_without_a_base_is_refused(tmp_path, repo):
    runner = Runner(tmp_path, repo)
    stand_in(runner)
    done, called = measured(runner, head="v2")
    assert (done.code, called) == (2, None)
    assert done.out == "::error title=GateBench::head is given without base\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_names_of_cases_add_no_output_and_no_command(tmp_path, repo, name):
    document = bend(ab_json(report(SLOWER, control_failures=["x"])), HOSTILE[name])
    runner = Runner(tmp_path, repo)
    stand_in(runner, 1, document)
    done, _ = measured(runner)
    assert [line.split("=")[0] for line in done.written.split("\n")] == ["folder", "exit-code", "json", "verdict", ""]
    judge = judged(runner, done.outputs)
    assert judge.code == 1
    assert len(judge.out.splitlines()) == 1
    assert judge.out.startswith("GateBench ended with 1: unfit to judge: 1 control failed")


# --- installing

PYTHON = """#!/bin/bash
echo "$(basename "$0") $*" >> "$RUNNER_TEMP/pip.log"
if [[ $1 == --version ]]; then echo "Python 3.12.1"; fi
if [[ "$1 $2" == "-m venv" ]]; then mkdir -p "$3/bin" && cp "$0" "$3/bin/python"; fi
"""


def installed(runner, **given):
    runner.stub("my-python", PYTHON)
    done = runner.run(step_named(ACTION, "Install GateBench"), inputs(python="my-python", **given) | {"runner.temp": str(runner.temporary)})  # fmt: skip
    assert done.code == 0, done.err
    return (runner.temporary / "pip.log").read_text().splitlines()


@pytest.mark.parametrize(
    ("index", "option"), [("", ""), ("https://wheels.example.org/cpu", "--index-url https://wheels.example.org/cpu ")]
)
def test_gatebench_is_installed_from_the_action_and_torch_from_its_index(tmp_path, index, option):
    runner = Runner(tmp_path, tmp_path)
    pip = "python -m pip install --quiet"
    venv = runner.temporary / "gatebench-venv"
    found = installed(runner, **({"torch-index": index} if index else {}))
    assert found == [f"my-python -m venv {venv}", f"{pip} {option}torch", f"{pip} {ROOT}"]
    assert Path(runner.environment["GITHUB_PATH"]).read_text() == f"{venv}/bin\n"


def test_a_version_of_torch_and_further_requirements_are_installed(tmp_path):
    *_, torch, _, more = installed(Runner(tmp_path, tmp_path), torch="2.13.0", requirements="-r requirements.txt\nmy_lib>=2 $(touch evil)\n")  # fmt: skip
    assert torch.endswith(" torch==2.13.0")
    assert more == "python -m pip install --quiet -r requirements.txt my_lib>=2 $(touch evil)"
    assert not (tmp_path / "evil").exists()


def test_the_cache_of_pip_depends_on_what_is_installed(tmp_path):
    runner = Runner(tmp_path, tmp_path)
    runner.stub("my-python", PYTHON)
    step = step_named(ACTION, "Name pip's cache")
    digests = [runner.run(step, inputs(python="my-python", **given)).outputs["digest"] for given in ({}, {}, {"torch": "2.13.0"}, {"requirements": "x"})]  # fmt: skip
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


# --- the real thing


@pytest.mark.slow
@pytest.mark.alone
def test_the_example_is_really_measured(tmp_path):
    repository = tmp_path / "kernels"
    shutil.copytree(EXAMPLE, repository, ignore=shutil.ignore_patterns("__pycache__"))
    git(repository, "init", "-q", "-b", "main")
    commit(repository, "first")
    commit(repository, "only words", README__md="a kernel")
    runner = Runner(tmp_path, repository)
    runner.stub("gatebench", f'#!/bin/sh\nexec {sys.executable} -m gatebench.cli.main "$@"\n')
    case = "swiglu/mylab:swiglu/T128-B8-I512-H512/float32/cpu-1/forward"
    context = inputs(
        base="main~1",
        head="main",
        suite="suites/speed.toml",
        time_limit="3m",
        fail_on="wrong",
        arguments="--mode=forward\n--implementation=mylab:swiglu",
    )
    assert runner.run(step_named(ACTION, "Look at the machine"), context, timeout=120).code == 0
    done = runner.run(step_named(ACTION, "Measure"), context, timeout=900)
    assert (done.code, done.outputs["exit-code"]) == (0, "0"), done.err
    document = read_ab(Path(done.outputs["json"]))
    assert [each["case_id"] for each in document["cases"]] == [case]
    assert document["sides"]["head"]["subject"] == "only words"
    assert document["cases"][0]["verdicts"]["coverage"]["verdict"] == "same"
    folder = Path(done.outputs["folder"])
    assert {path.name for path in folder.iterdir()} == {"ab.json", "ab.md", "ab.xml", "results"}
    summary = Path(runner.environment["GITHUB_STEP_SUMMARY"]).read_text()
    assert summary.startswith(f"**GateBench: {done.outputs['verdict']}**\n")
    report = f'gatebench report latest --store "{folder}/results" --markdown again.md'
    assert runner.run({"run": report}, {}).code == 0
    assert (repository / "again.md").read_text() == (folder / "ab.md").read_text()

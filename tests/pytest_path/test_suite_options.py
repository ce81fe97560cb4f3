"""How suites go with pytest's and pytest-benchmark's options, with Ctrl-C, and with what is broken or missing."""

import json
import signal
import subprocess
import sys
import time

import pytest
from suite_sessions import ROOT, case_id, command, environment, installed, run_pytest, write_suite

import gatebench
from gatebench.run.progress import Silent
from gatebench.run.resume import resume

BROKEN = {
    "unknown.toml": ('schema = "gatebench-suite/1"\n[[cases]]\nwhy = "x"\ngates = ["gluu"]\nbatch = 1\nseq_len = 1\nhidden_size = 1\n', "unknown.toml: cases[1].gates: unknown gate 'gluu'; accepted: one of 50; did you mean 'glu'?"),
    "key.toml": ('schema = "gatebench-suite/1"\nplugin = []\n', "key.toml: unknown key 'plugin'; accepted: cases, extends, measure, name, plugins, schema, seed, stability, why; did you mean 'plugins'?"),
    "syntax.toml": ('schema = "gatebench-suite/1"\nname =\n', "suite syntax.toml: is not TOML: Invalid value (at line 2, column 7); a TOML file is accepted; mend the line"),
    "no_file.toml": ('schema = "gatebench-suite/1"\nplugins = ["gone.py"]\n', "plugin gone.py: no such file; a Python file is accepted; check the path"),
}  # fmt: skip
SLOW_PLUGIN = """
import pathlib, time
import gatebench

@gatebench.implementation("mylab:slow", gates=["glu"])
def slow(params, inputs):
    pathlib.Path("reached").touch()
    time.sleep(60)
"""


@pytest.fixture
def site(tmp_path):
    return installed(tmp_path)


def names(session):
    """Return the names that `--collect-only -q` printed."""
    return [line.partition("::")[2] for line in session.out.splitlines() if "::" in line]


def test_a_broken_suite_is_one_line_of_a_collection_error(tmp_path, site):
    for name, (text, _) in BROKEN.items():
        (tmp_path / name).write_text(text)
    session = run_pytest(tmp_path, site, ".")
    assert session.code == pytest.ExitCode.INTERRUPTED
    for name, (_, line) in BROKEN.items():
        told = session.out.split(f"ERROR collecting {name} ")[1].split("\n")[1:3]
        assert told[0] == line
        assert told[1].startswith(("___", "==="))
    assert "Traceback" not in session.out + session.err


def test_keywords_and_markers_choose_cases(tmp_path, site):
    write_suite(tmp_path / "s.toml", ("eager", "native"), ("forward", "forward_backward"))
    session = run_pytest(tmp_path, site, "s.toml", "--collect-only", "-q", "-k", "native", "-m", "glu and float32 and forward", "--strict-markers")  # fmt: skip
    assert names(session) == [case_id("native")]


def test_disabled_benchmarks_are_verified_and_leave_no_run(tmp_path, site):
    write_suite(tmp_path / "s.toml", ("eager", "mylab:wrong"), plugins=("wrong.py",))
    (tmp_path / "wrong.py").write_text(
        "import gatebench\n@gatebench.implementation('mylab:wrong', gates=['glu'])\ndef wrong(params, inputs):\n    return {'output': inputs['value']}\n"
    )
    session = run_pytest(tmp_path, site, ".", "--benchmark-disable", "-rf")
    assert "1 failed, 1 passed" in session.out
    assert f"FAILED s.toml::{case_id('mylab:wrong')} - Failed: wrong: output" in session.out
    assert session.stores == []


def test_without_pytest_benchmark_one_line_says_what_to_install(tmp_path, site):
    write_suite(tmp_path / "s.toml")
    session = run_pytest(tmp_path, site, ".", "-p", "no:benchmark")
    assert session.code == pytest.ExitCode.INTERRUPTED
    assert "\ns.toml: needs pytest-benchmark; accepted: any release from 5; pip install 'gatebench[pytest]'\n" in session.out  # fmt: skip


def test_without_suites_the_plugin_loads_nothing_else(tmp_path, site):
    (tmp_path / "test_else.py").write_text(
        "import sys\ndef test_else():\n    assert [n for n in sys.modules if n.startswith('gatebench.')] == ['gatebench.pytest_plugin']\n"
    )
    (tmp_path / "pyproject.toml").write_text("[tool.pytest.ini_options]\naddopts = '-W error'\n")
    assert "1 passed" in run_pytest(tmp_path, site, ".").out


def test_importing_the_plugin_takes_a_few_milliseconds():
    code = "import pytest, time; start = time.perf_counter(); import gatebench.pytest_plugin; print(time.perf_counter() - start)"
    taken = [float(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT)) for _ in range(5)]
    assert min(taken) < 0.01


def test_a_store_that_is_no_folder_is_said_before_anything_is_measured(tmp_path, site):
    write_suite(tmp_path / "s.toml")
    session = run_pytest(tmp_path, site, ".", "--gatebench-store=s.toml")
    assert session.code == pytest.ExitCode.INTERRUPTED
    assert "\n--gatebench-store s.toml: no folder; a folder that can be written, or `none`, is accepted; choose another\n" in session.out  # fmt: skip


@pytest.mark.slow
def test_skipped_benchmarks_are_not_run(tmp_path, site):
    write_suite(tmp_path / "s.toml")
    session = run_pytest(tmp_path, site, ".", "--benchmark-skip")
    assert "2 skipped" in session.out
    assert session.stores == []


@pytest.mark.slow
def test_the_store_can_be_elsewhere(tmp_path, site):
    write_suite(tmp_path / "s.toml", ("eager",))
    run_pytest(tmp_path, site, ".", "--gatebench-store=kept/here")
    assert gatebench.load(tmp_path / "kept" / "here").measurements["status"].tolist() == ["ok"]


@pytest.mark.slow
def test_a_run_without_a_store_is_compared_with_one_that_pytest_benchmark_saved(tmp_path, site):
    write_suite(tmp_path / "s.toml", ("eager",))
    options = ("--benchmark-only", "--gatebench-store=none")
    run_pytest(tmp_path, site, ".", *options, "--benchmark-save=first")
    session = run_pytest(tmp_path, site, ".", *options, "--benchmark-compare", "--benchmark-group-by=param:implementation")  # fmt: skip
    assert session.code == 0
    assert "benchmark 'implementation=eager': 2 tests" in session.out
    assert "(NOW)" in session.out
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.slow
def test_beside_xdist_cases_are_verified_and_timing_is_refused_in_one_line(tmp_path, site):
    write_suite(tmp_path / "s.toml")
    # One worker: pytest-benchmark has only the first of several say it, and that one may get no test.
    session = run_pytest(tmp_path, site, ".", "-n1")
    assert "2 passed" in session.out
    assert "Benchmarks are automatically disabled because xdist plugin is active" in session.out + session.err
    refused = run_pytest(tmp_path, site, ".", "-n2", "--benchmark-only")
    assert refused.code == pytest.ExitCode.USAGE_ERROR
    assert "--benchmark-disable is automatically activated if xdist is on" in refused.err
    assert session.stores == []


def until_the_second_case(folder, site, number):
    """Run a session of two cases, of which the second never ends, and send it a signal there; returns (code, output)."""
    write_suite(folder / "s.toml", ("eager", "mylab:slow"), plugins=("slow.py",))
    (folder / "slow.py").write_text(SLOW_PLUGIN)
    arguments = command(".", "--benchmark-only", "--benchmark-json=a.json")
    with subprocess.Popen(
        arguments, cwd=folder, env=environment(site), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        deadline = time.monotonic() + 120
        while not (folder / "reached").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        out = process.communicate(timeout=60)[0]
    return process.returncode, out


@pytest.mark.slow
def test_ctrl_c_keeps_what_was_measured(tmp_path, site):
    code, out = until_the_second_case(tmp_path, site, signal.SIGINT)
    assert code == pytest.ExitCode.INTERRUPTED, out
    results = gatebench.load(tmp_path / "results")
    assert results.runs["status"].tolist() == ["partial"]
    assert results.measurements["case_id"].tolist() == [case_id("eager")]
    assert [bench["name"] for bench in json.loads((tmp_path / "a.json").read_text())["benchmarks"]] == [case_id("eager")]  # fmt: skip


@pytest.mark.slow
def test_what_sigkill_leaves_in_staging_resume_publishes(tmp_path, site):
    code, out = until_the_second_case(tmp_path, site, signal.SIGKILL)
    assert code == -signal.SIGKILL, out
    outcome = resume(tmp_path / "results", None, Silent())
    assert outcome.interrupted
    results = gatebench.load(tmp_path / "results")
    assert results.runs[["status", "harness"]].to_numpy().tolist() == [["partial", "pytest"]]
    assert results.measurements["case_id"].tolist() == [case_id("eager")]
    assert results.measurements["status"].tolist() == ["ok"]


@pytest.mark.slow
def test_it_works_with_this_projects_own_settings(tmp_path, site):
    write_suite(tmp_path / "suites" / "s.toml", ("eager", "compile"))
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    session = run_pytest(tmp_path, site, "suites/", "--benchmark-only")
    assert "2 passed" in session.out
    assert len(session.stores) == 1

"""What a job refuses before anything is measured: one line, and the exit code of its cause."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from jobs import ab, narrowed
from repositories import SUITE, commit, git

from gatebench.errors import UserError
from gatebench.run.machine_lock import Busy


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


@pytest.mark.parametrize("request_", [{"suite": "quick"}, {"narrowing": narrowed("native")}])
def test_a_job_that_would_compare_this_gatebench_with_itself_is_refused(repo, temporary, request_):
    """It would be green whatever the commit did."""
    refused(
        repo,
        r"toml: no case is of the code here: both sides would measure the installed gatebench; .*`plugins`",
        head="main",
        **request_,
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

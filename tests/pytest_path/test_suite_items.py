"""`pytest suites/ --benchmark-only` in a foreign folder: outcomes, pytest-benchmark's JSON, the run folder."""

import json
import re

import pytest
from suite_sessions import PLUGIN, case_id, installed, run_pytest, write_suite

import gatebench
from gatebench.pytest_plugin import SCHEMA
from gatebench.suites import SCHEMA as SUITES_SCHEMA

CONFTEST = """
import sys
import pytest

@pytest.fixture(autouse=True, scope="module")
def of_a_module(request):
    yield request.module.__name__

def pytest_collection_finish(session):
    heavy = [name for name in ("torch", "numba", "onnxruntime", "triton") if name in sys.modules]
    print(f"\\ncollected with {heavy}")
"""
FOREIGN = {
    "other.toml": 'schema = "other/1"\n',
    "broken.toml": "= no TOML\n",
    "names_it.toml": f'text = "not a {SCHEMA}"\n',
    "names_it_broken.toml": f"= no TOML, {SCHEMA}\n",
    "bytes.toml": "schema = 1\n",
}
NUMBERS = {"min", "max", "mean", "stddev", "median", "iqr", "q1", "q3", "ops", "total", "ld15iqr", "hd15iqr"}


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A session over right, wrong, raising and unavailable cases beside foreign files and an ordinary test."""
    folder = tmp_path_factory.mktemp("foreign")
    write_suite(folder / "suites" / "mine.toml", ("eager", "native", "cudnn", "mylab:wrong", "mylab:raises", "mylab:drifts"), ("forward", "backward"), ("mine.py",))  # fmt: skip
    (folder / "suites" / "mine.py").write_text(PLUGIN)
    for name, text in FOREIGN.items():
        (folder / "suites" / name).write_text(text)
    (folder / "suites" / "bytes.toml").write_bytes(b"\xff\xfe")
    (folder / "suites" / "test_else.py").write_text("def test_else(): raise OSError\n")
    (folder / "conftest.py").write_text(CONFTEST)
    options = ("--benchmark-only", "--benchmark-json=a.json", "--strict-markers", "-Werror", "-v", "-ra")
    return run_pytest(folder, installed(folder), "suites/", *options)


@pytest.fixture(scope="module")
def benchmarks(timed):
    found = json.loads((timed.folder / "a.json").read_text())["benchmarks"]
    return {bench["name"]: bench for bench in found}


def outcomes(session):
    """Return the word after each test's name."""
    return dict(re.findall(r"^suites/mine\.toml::(\S+) ([A-Z]+)", session.out, re.MULTILINE))


def test_cases_are_tests_named_by_case_id(timed):
    words = {"eager": "PASSED", "native": "PASSED", "cudnn": "SKIPPED", "mylab:wrong": "FAILED", "mylab:raises": "FAILED"}  # fmt: skip
    expected = {case_id(name, mode): word for name, word in words.items() for mode in ("forward", "backward")}
    drifts = {case_id("mylab:drifts"): "FAILED", case_id("mylab:drifts", "backward"): "SKIPPED"}
    assert outcomes(timed) == expected | drifts
    assert timed.code == 1


def test_collection_loads_no_torch(timed):
    assert "collected with []" in timed.out


def test_foreign_files_are_left_alone_and_ordinary_tests_are_pytest_benchmarks_to_skip(timed):
    assert not [name for name in FOREIGN if name in timed.out + timed.err]
    assert "test_else SKIPPED (Skipping non-benchmark" in timed.out


def test_a_failure_is_one_line_without_a_traceback(timed):
    failures = timed.out.split("= FAILURES =")[1].split("= warnings summary =")[0].rstrip("=\n")
    blocks = re.split(r"^_+ (\S+) _+$", failures, flags=re.MULTILINE)
    told = dict(zip(blocks[1::2], blocks[2::2], strict=True))
    assert len(told) == 5
    assert all(len(text.strip().splitlines()) == 1 for text in told.values())
    assert told[case_id("mylab:wrong")].strip().startswith("wrong: output")
    assert told[case_id("mylab:raises")].strip() == "failed: RuntimeError: no weights here (mine.py:11)"
    differs = "wrong: a timed call differs from the verified result: output"
    assert told[case_id("mylab:drifts")].strip().startswith(differs)
    assert f"FAILED suites/mine.toml::{case_id('mylab:raises')} - " in timed.out
    assert "Traceback" not in timed.out + timed.err


def test_a_warning_is_told_and_fails_nothing_though_the_project_makes_warnings_errors(timed):
    assert "UserWarning: is no failure" in timed.out.split("= warnings summary =")[1]


def test_a_case_that_cannot_run_here_is_skipped_with_the_reason_at_its_suite(timed):
    assert re.search(r"SKIPPED \[2\] suites/mine\.toml:1: unavailable: no CUDA device", timed.out)


def test_json_and_tables_hold_what_was_timed_and_nothing_that_was_wrong(timed, benchmarks):
    assert set(benchmarks) == {case_id(name, mode) for name in ("eager", "native") for mode in ("forward", "backward")}
    assert "mylab" not in timed.out.split("- benchmark '")[1].split("Legend:")[0]
    bench = benchmarks[case_id("native", "backward")]
    assert bench["fullname"] == f"suites/mine.toml::{case_id('native', 'backward')}"
    assert bench["group"] == "glu/T2-B1-I4-H4/float32/cpu-1/backward"
    assert (bench["params"]["implementation"], bench["params"]["mode"]) == ("native", "backward")
    assert bench["stats"].keys() > NUMBERS
    assert (bench["stats"]["rounds"], len(bench["stats"]["data"])) == (3, 3)


def test_the_run_folder_holds_every_case_with_its_status_marked_pytest(timed):
    (folder,) = timed.stores
    results = gatebench.load(folder)
    rows = results.measurements.set_index("case_id")
    assert set(rows["harness"]) == {"pytest"} == {results.folders[0].manifest["harness"]}
    assert results.runs["status"].tolist() == ["complete"]
    assert dict(rows["status"]) == {
        case_id(name, mode): status
        for name, status in {"eager": "ok", "native": "ok", "cudnn": "unavailable", "mylab:wrong": "wrong", "mylab:raises": "failed"}.items()
        for mode in ("forward", "backward")
    } | {case_id("mylab:drifts"): "wrong", case_id("mylab:drifts", "backward"): "unsupported"}  # fmt: skip
    assert set(rows.loc[rows["status"] == "ok", "blocks"]) == {1}
    assert rows.loc[rows["status"] != "ok", "time_ns"].isna().all()
    assert f"gatebench: mine: stored in results/runs/{folder.name}" in timed.out
    assert not list(timed.folder.glob("results/_staging/*"))


def test_both_hold_the_same_times(timed, benchmarks):
    samples = gatebench.load(timed.stores[0]).samples
    samples = samples[(samples["quantity"] == "time") & ~samples["dropped"].astype(bool)]
    for name, bench in benchmarks.items():
        stored = samples.loc[samples["case_id"] == name, "wall_ns"] / 1e9
        assert bench["stats"]["data"] == pytest.approx(stored.tolist(), rel=1e-12)


def test_the_run_folder_holds_no_path_of_this_machine(timed):
    results = gatebench.load(timed.stores[0])
    files = [path.read_text() for path in timed.stores[0].glob("*.json")]
    text = "\n".join([*files, results.measurements.to_csv(), results.samples.to_csv(), results.accuracy.to_csv()])
    assert str(timed.folder) not in text
    assert "mine.py:11" in text


def test_the_plugin_knows_the_schema_of_suites():
    assert SCHEMA == SUITES_SCHEMA

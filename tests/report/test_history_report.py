"""The printed history: a row per case, the commit of a change, environments, and errors for what is not there."""

import json
import re

import pytest
from stored_ab import CONTROL, RUN_ID, SAME, SUSPECT, write_ab

from gatebench.analyze.history import changes, history, series
from gatebench.errors import UserError
from gatebench.report.choosing import Choice
from gatebench.report.history import history_blocks, of_suite, print_history, run_facts
from gatebench.report.terminal import print_block
from gatebench.store.read import Run, load, read_run
from tests.synthetic import Plan, write_store

CHOICE = Choice(of="this suite's runs")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Twelve runs of one suite on two machines in turn, numba 30 % slower from the eighth on, and one run of another."""
    store = tmp_path_factory.mktemp("results")
    common = {"gates": ("lstm", "glu"), "seq_lens": (64,), "hidden_sizes": (64,), "modes": ("forward",), "failures": False, "stability": False}  # fmt: skip
    write_store(
        store, Plan(runs=14, machines=("A", "B"), suites=("nightly",), steps={"numba": (8, 1.3)}, blocks=4, **common)
    )
    write_store(store, Plan(suites=("other",), seed=5, **common))
    return load(store)


def printed(capsys, results, suite="nightly", choice=CHOICE, baseline=None, as_json=False):
    print_history(results, suite, choice, baseline, lambda commits: {}, as_json)
    return capsys.readouterr().out


def test_a_row_per_case_says_what_changed_and_at_which_commit(capsys, results):
    text = printed(capsys, results)
    found = json.loads(printed(capsys, results, as_json=True))
    assert {change["case_id"].split("/")[1] for change in found["changes"]} == {"numba"}
    assert len(found["changes"]) == 4  # two gates on two machines
    for change in found["changes"]:
        assert change["git_sha"] in (f"{8:040x}", f"{9:040x}")
        assert change["low"] < 0.3 < change["high"]
    rows = [line for line in text.splitlines() if re.match(r"(lstm|glu)/", line)]
    assert len(rows) == len(found["series"]) == 16
    assert sum(bool(re.search(r"\+\d\d\.\d % \[", line)) for line in rows) == 4
    first = found["changes"][0]
    where = (
        f"000000000: run {first['run_id']}; the version measured before it is 000000000, run {first['before_run_id']}"
    )
    assert where in " ".join(text.split())
    assert "plain time, for there is no reference in the same run" in text
    assert "16 lines of history 4 changed, 12 no change" in " ".join(text.split())


def test_environments_are_listed_and_are_no_change(capsys, results):
    text = printed(capsys, results)
    part = text.split("Environments")[1]
    assert "device_name A → B" in part
    assert "no change is looked for across it" in part
    environments = json.loads(printed(capsys, results, as_json=True))["environments"]
    assert [entry["runs"] for entry in environments] == [7, 7]
    assert environments[0]["differs"] == []
    assert "Environments" not in printed(capsys, results, suite="other")


def test_filters_hide_cases_and_keep_the_reference(capsys, results):
    whole = json.loads(printed(capsys, results, as_json=True))
    part = json.loads(printed(capsys, results, choice=Choice(("lstm",), ("numba",), (), "", "x"), as_json=True))
    assert part["points"] == [
        row for row in whole["points"] if (row["gate"], row["implementation"]) == ("lstm", "numba")
    ]
    assert {row["reference"] for row in part["points"]} == {"native"}


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"suite": "nigtly"}, "history: unknown suite of this store 'nigtly'; accepted: nightly, other; did you mean 'nightly'"),
        ({"choice": Choice(("gru",), of="this suite's runs")}, "-g: unknown gate of this suite's runs 'gru'"),
        ({"choice": Choice(implementations=("x",), of="this suite's runs")}, "-i: unknown implementation of this suite's runs 'x'"),
        ({"choice": Choice(glob="x", of="this suite's runs")}, "-k: 'x' matches no case of this suite's runs"),
        ({"baseline": "x"}, "--baseline: unknown implementation of this suite's runs 'x'"),
    ],
)  # fmt: skip
def test_what_the_store_lacks_is_an_error(capsys, results, change, line):
    with pytest.raises(UserError, match=line):
        printed(capsys, results, **change)


def test_one_run_has_too_few_points(capsys, results):
    text = printed(capsys, results, suite="other")
    assert "too few points (1 of 5)" in " ".join(text.split())
    assert "suite other: 1 run; of 8 lines of history 8 too few points" in text


def test_an_ab_run_is_the_history_of_what_it_measured(tmp_path):
    git = {"sha": "a" * 40, "dirty": False}
    run = read_run(write_ab(tmp_path, git=git, plugins=[{"sha256": "1"}]))
    plain = Run(tmp_path / "elsewhere", "runs", {**run.manifest, "purpose": "run", "plugins": []})
    facts = run_facts([run, plain], lambda commits: dict.fromkeys(commits, "2026-01-01"))
    assert facts["git_sha"].tolist() == ["c" * 40, "a" * 40]
    assert facts["git_dirty"].tolist() == [True, False]
    assert facts["base_sha"].tolist()[0] == "b" * 40
    assert facts["commit_utc"].tolist() == ["2026-01-01"] * 2
    assert facts["plugins"].notna().tolist() == [True, False]


def test_an_ab_run_whose_plan_cannot_be_read_is_named_and_the_others_are_shown(capsys, tmp_path):
    broken, whole = write_ab(tmp_path), write_ab(tmp_path, f"{RUN_ID}-2")
    (broken / "plan.json").write_text("{}")
    print_history(load(tmp_path), "quick", CHOICE, None, lambda commits: {}, True)
    captured = capsys.readouterr()
    assert captured.err == f"run {RUN_ID}: plan.json: order is missing; restore or remove the folder\n"
    found = json.loads(captured.out)
    assert [run["run_id"] for run in found["runs"]] == [whole.name]
    assert {point["case_id"] for point in found["points"]} == {SAME, SUSPECT}
    assert CONTROL not in captured.out
    (whole / "plan.json").write_text("{}")
    with pytest.raises(
        UserError, match=f"^history: no run of suite quick has a history; .*; run {RUN_ID}: plan.json: order"
    ):
        printed(capsys, load(tmp_path), "quick")


def test_a_suite_of_stability_alone_has_no_lines_of_history(capsys, tmp_path):
    write_store(tmp_path, Plan(gates=("lstm",), implementations=(), suites=("deep",)))
    assert "suite deep: 1 run; of 0 lines of history none" in printed(capsys, load(tmp_path), "deep")


def test_a_calibration_is_no_point_of_history(capsys, tmp_path):
    write_ab(tmp_path, f"{RUN_ID}-2", purpose="calibrate")
    with pytest.raises(UserError, match=r"^history: no run of suite quick has a history; runs of `gatebench run` and"):
        printed(capsys, load(tmp_path), "quick")
    whole = write_ab(tmp_path)
    found = json.loads(printed(capsys, load(tmp_path), "quick", as_json=True))
    assert {point["run_id"] for point in found["points"]} == {whole.name}
    assert [run["run_id"] for run in found["runs"]] == [whole.name]
    assert [entry["runs"] for entry in found["environments"]] == [1]
    assert "suite quick: 1 run; of 2 lines of history" in printed(capsys, load(tmp_path), "quick")


@pytest.mark.parametrize("length", [85, 100, 130])
def test_a_row_is_one_line_however_long_the_id_of_its_case(capsys, results, length):
    runs = of_suite(results, "other")
    cases = runs.measurements["case_id"].unique()
    longer = {case: case.ljust(length, "x") for case in cases}
    for table in (runs.measurements, runs.samples):
        table["case_id"] = table["case_id"].map(longer)
    points = history(run_facts(runs.folders, lambda commits: {}), runs.measurements, runs.samples, runs.verdicts)
    for block in history_blocks(series(points, changes(points)), changes(points)):
        print_block(block)
    lines = capsys.readouterr().out.splitlines()
    assert {tuple(line.split()) for line in lines if line.startswith("case")} == {("case", "points", "newest", "changed")}  # fmt: skip
    rows = [line for line in lines if line.startswith(tuple(longer.values()))]
    assert len(rows) == len(points)
    assert all(re.search(r"  1  +\S.*  too few points \(1 of 5\)$", row) for row in rows)


@pytest.mark.parametrize("odd", [{"plugins": ["a"]}, {"plugins": {"a": 1}}, {"git": "abc"}, {"environment": ["x"]}])
def test_a_manifest_of_another_shape_has_a_history_all_the_same(odd):
    from gatebench.report.history import environments_of, version_facts

    manifest = {"created_utc": "2026-01-01T00:00:00Z", "environment_class": "one"} | odd
    assert version_facts("r", manifest, {})["run_id"] == "r"
    assert environments_of([("r", manifest, 1)])[0]["environment_class"] == "one"


@pytest.mark.parametrize(
    ("environment_class", "device", "expected"),
    [
        ("one", "M3", "one"),
        (None, "M3", "device M3"),
        ("", "M3", "device M3"),
        (None, None, "run r"),
        ({"a": 1}, "", "run r"),
    ],
)
def test_runs_of_an_unknown_class_are_told_apart_by_device(environment_class, device, expected):
    from gatebench.report.history import environments_of, version_facts

    manifest = {"created_utc": "2026-01-01T00:00:00Z", "environment_class": environment_class, "environment": {"device_name": device}}  # fmt: skip
    assert version_facts("r", manifest, {})["environment_class"] == expected
    assert environments_of([("r", manifest, 1)])[0]["environment_class"] == expected

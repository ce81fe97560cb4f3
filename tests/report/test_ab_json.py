"""The JSON of an A/B run: it keeps its schema, holds what the frames hold, and is refused where a stranger bent it."""

import json
from dataclasses import replace

import pytest
from ab_reports import (
    A_A,
    CONTROLS,
    EVERY,
    FASTER,
    GONE,
    INCONCLUSIVE,
    NEW,
    PLUS_3,
    REFUSED,
    SAME,
    SLOWER,
    WRONG,
    case,
    report,
    side,
    verdict,
)

from gatebench.errors import UserError
from gatebench.report.ci.ab_json import ab_json, plan_digest
from gatebench.report.ci.schemas import first_fault, read_ab
from gatebench.report.terminal import print_json
from gatebench.store.schema import TABLES

BLIND = case("glu/numba", verdict("inconclusive", 0.01, -0.5, 0.9, None), base=side(), head=side())


def by_id(document):
    return {each["case_id"]: each for each in document["cases"]}


@pytest.mark.parametrize("cases", [(), (SLOWER,), (NEW, GONE), EVERY], ids=["none", "one", "one-sided", "every"])
def test_it_keeps_its_schema_and_is_plain_json(cases, capsys):
    document = ab_json(report(*cases))
    assert first_fault(document, "ab") is None
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    print_json(document)
    assert json.loads(capsys.readouterr().out) == document


def test_a_case_has_both_sides_and_every_verdict():
    found = by_id(ab_json(report(*EVERY)))[SLOWER["case_id"]]
    assert (found["gate"], found["implementation"], found["present"]) == ("lstm", "numba", "both")
    assert (found["base"]["time_ns"], found["head"]["time_ns"]) == (1.84e6, 1.90e6)
    assert (found["base"]["peak_bytes"], found["head"]["error_tensor"]) == (1 << 20, "grad:x")
    assert {quantity: entry["verdict"] for quantity, entry in found["verdicts"].items()} == {
        "time": "slower", "peak_bytes": "slower", "error_ratio": "same", "coverage": "same",
    }  # fmt: skip
    time = found["verdicts"]["time"]
    assert set(time) | {"run_id", "case_id", "quantity"} == {column.name for column in TABLES["verdicts"]}
    assert (time["change"], time["ci_low"], time["p_value"], time["blocks"], time["stage"]) == (0.032, 0.026, 1e-7, 40, "confirm")  # fmt: skip
    assert found["verdicts"]["peak_bytes"]["blocks"] is None


def test_controls_stand_apart_and_in_no_count():
    document = ab_json(report(*EVERY))
    assert [(each["case_id"], each["added"]) for each in document["controls"]] == list(CONTROLS.items())
    assert not set(CONTROLS) & set(by_id(document))
    assert document["counts"]["time"] == {
        "slower": 1, "faster": 1, "same": 2, "inconclusive": 1, "new": 1, "gone": 1, "wrong": 1, "failed": 1,
    }  # fmt: skip
    assert document["counts"]["peak_bytes"] == {"slower": 1}
    assert document["counts"]["coverage"] == {"same": 1, "new": 1, "wrong": 1}


def test_sides_that_lack_a_case_are_null_and_an_empty_cell_is_null():
    cases = by_id(ab_json(report(*EVERY)))
    assert (cases[NEW["case_id"]]["base"], cases[GONE["case_id"]]["head"]) == (None, None)
    assert cases[NEW["case_id"]]["present"] == "new"
    assert cases[WRONG["case_id"]]["head"]["time_ns"] is None


def test_cases_stand_in_the_plans_order():
    order = [FASTER["case_id"], SLOWER["case_id"], SAME["case_id"]]
    document = ab_json(report(SLOWER, SAME, FASTER, order=order))
    assert list(by_id(document)) == order


def test_the_largest_error_of_each_side_is_named_with_its_tensor():
    worst = ab_json(report(*EVERY))["largest_error"]
    assert worst["head"] == {"case_id": WRONG["case_id"], "tensor": "grad:x", "error_ratio": 31.2}
    assert worst["base"]["error_ratio"] == 1.1


def test_infinite_numbers_are_strings():
    broken = case("lstm/numba", verdict("slower", float("inf"), 1.0, float("inf")), base=side(), head=side(error_ratio=float("inf")))  # fmt: skip
    document = ab_json(report(broken))
    found = by_id(document)[broken["case_id"]]
    assert (found["verdicts"]["time"]["change"], found["head"]["error_ratio"]) == ("inf", "inf")
    assert document["largest_error"]["head"]["error_ratio"] == "inf"
    assert first_fault(document, "ab") is None


def test_the_digest_of_a_plan_depends_on_its_value_alone():
    plan = report(SLOWER).plan
    assert plan_digest(dict(reversed(plan.items()))) == plan_digest(plan) == ab_json(report(SLOWER))["plan"]["sha256"]
    assert plan_digest({**plan, "seed": 1}) != plan_digest(plan)


def test_what_was_not_measured_is_named():
    document = ab_json(report(SLOWER, not_measured={"gru/eager": "the time limit of 600 s"}))
    assert document["not_measured"] == [{"case_id": "gru/eager", "reason": "the time limit of 600 s"}]


def test_a_command_that_is_too_long_is_left_out_whole():
    assert ab_json(report(SAME, command="gatebench ab '" + "x" * 17_000 + "'"))["command"] == ""
    assert ab_json(report(SAME, command="gatebench ab main"))["command"] == "gatebench ab main"


def sentences(*cases, **other):
    return ab_json(report(*cases, **other))["sentences"]


def test_a_slower_case_is_named_with_change_and_interval():
    assert sentences(SLOWER, SAME, WRONG) == [
        f"wrong or failed: 1 of 3 cases, first {WRONG['case_id']} (wrong: grad:x has error_ratio 31.2; at most 10 is accepted); coverage lost in 1",
        f"slower: 1 of 2 cases, worst {SLOWER['case_id']} +3.2 % [2.6, 3.9]",
        f"a change of 1.7 % or more would have been found in 80 % of runs in the median case (largest minimum detectable effect 2.1 %, {SLOWER['case_id']})",
        f"more memory: 1 of 1 case, worst {SLOWER['case_id']} +25.0 %",
    ]  # fmt: skip


def test_no_slow_down_is_never_said_without_what_would_have_been_found():
    assert sentences(SAME, FASTER) == [
        f"no case became slower; a change of 1.7 % or more would have been found in 80 % of runs in the median case (largest minimum detectable effect 2.1 %, {FASTER['case_id']})"
    ]  # fmt: skip
    assert sentences(SAME) == ["no case became slower; a change of 1.2 % or more would have been found in 80 % of runs"]
    assert sentences(BLIND) == ["no case became slower; 1 of 1 inconclusive; no slow-down could have been found: no case has enough blocks"]  # fmt: skip
    assert sentences() == sentences(NEW, GONE) == ["nothing was compared: no case has a time on both sides"]


def test_an_unfit_undecided_or_interrupted_run_says_so():
    said = sentences(
        INCONCLUSIVE, BLIND, control_failures=[f"{A_A['case_id']} is slower"], decided=0.4, status="partial"
    )
    assert said[0] == "interrupted: only what was measured until then is judged"
    assert said[1] == f"unfit to judge: 1 control failed, first: {A_A['case_id']} is slower"
    assert said[-1] == "undecided: 40 % of the cases got a verdict, 80 % are asked for"


def test_a_case_whose_base_is_wrong_is_not_undecided():
    open_case = case("glu/numba", verdict("inconclusive", reason="the base is wrong"), base=side("wrong", reason="x"), head=side())  # fmt: skip
    assert not any("undecided" in text for text in sentences(INCONCLUSIVE, open_case, decided=0.0))


def test_a_lone_inconclusive_case_does_not_make_a_run_undecided():
    assert not any(text.startswith("undecided") for text in sentences(INCONCLUSIVE, decided=0.0))


def test_what_neither_side_can_run_is_no_open_question():
    assert sentences(SAME, REFUSED) == sentences(SAME)
    assert not any(text.startswith("undecided") for text in sentences(INCONCLUSIVE, REFUSED, decided=0.0))


def test_a_control_is_no_slower_case():
    assert all(PLUS_3["case_id"] not in text for text in sentences(SAME))


def written(tmp_path, value):
    path = tmp_path / "ab.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def test_what_was_written_is_read_back(tmp_path):
    document = ab_json(report(*EVERY))
    assert read_ab(written(tmp_path, document)) == document


def bent(**changes):
    return ab_json(report(*EVERY)) | changes


BENT = {
    "no JSON": "{",
    "nan": bent(decided=float("nan")),
    "infinity": bent(elapsed_s=float("inf")),
    "deep": "[" * 100_000,
    "digits": '{"decided": ' + "9" * 10_000 + "}",
    "another schema": bent(schema="gatebench-ab/2"),
    "a list": [1],
    "an unknown key": bent(html="<script>"),
    "an unknown exit code": bent(exit_code=7),
    "a path as run": bent(run_id="../../etc"),
    "text as cases": bent(cases="many"),
    "an unknown verdict": bent(counts={"time": {"splendid": 3}}),
    "a number out of bounds": bent(decided=10**400),
    "an endless name": bent(command="x" * 100_000),
    "a missing key": {key: value for key, value in bent().items() if key != "plan"},
}


@pytest.mark.parametrize("name", BENT)
def test_a_bent_file_is_refused_in_one_short_line(tmp_path, name):
    with pytest.raises(UserError) as caught:
        read_ab(written(tmp_path, BENT[name]))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_missing_or_huge_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="cannot be read: No such file"):
        read_ab(tmp_path / "none.json")
    monkeypatch.setattr("gatebench.report.ci.schemas.MOST_BYTES", 1 << 20)
    with pytest.raises(UserError, match="larger than 1 MiB"):
        read_ab(written(tmp_path, " " * ((1 << 20) + 1)))


def test_counts_of_time_are_those_of_the_analysis():
    assert ab_json(replace(report(SLOWER), counts={"slower": 1, "same": 0}))["counts"]["time"] == {"slower": 1, "same": 0}  # fmt: skip

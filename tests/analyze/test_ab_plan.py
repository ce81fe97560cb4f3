"""The plan of a comparison: how the false-alarm rate is split, what is checked, and that it is plain JSON."""

import json

import pytest

from gatebench.analyze.detection import largest_suite
from gatebench.analyze.plan import make_plan
from gatebench.errors import UserError

CASES = {"a": "both", "b": "both", "c": "new", "d": "gone", "slow": "both"}


def plan(**changes):
    given = {"cases": CASES, "controls": {"slow": 0.03}, "compiles": ["a"], "sides": {"base": {"given": "main"}}}
    return make_plan(**(given | changes))


def test_a_plan_survives_json_and_keeps_the_order():
    found = plan()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["order"] == list(CASES)
    assert found["screen_blocks"] == {"default": 12}
    assert found["not_measured"] == {}


def test_the_rate_is_split_over_everything_that_is_tested():
    found = plan(compiles=["a", "c"])
    assert found["hypotheses"] == {"time": 3, "compile": 1}  # what only one side has is not tested
    assert found["alpha_confirm"] * 4 * found["alpha_screen"] == pytest.approx(found["rate"])
    assert sum(found["split"].values()) == pytest.approx(found["rate"])
    assert found["split"]["compile"] == pytest.approx(found["rate"] / 4)
    assert found["split"]["peak_bytes"] == 0.0


def test_cases_that_spread_more_are_screened_with_more_blocks():
    found = plan(spreads={"a": 0.03, "b": 0.005, "not in the suite": 0.5})
    assert set(found["screen_blocks"]) == {"default", "a"}
    assert found["screen_blocks"]["a"] > 20


def test_a_wider_margin_needs_no_more_blocks():
    assert plan(spreads={"a": 0.03}, margin=0.1)["screen_blocks"] == {"default": 12}


def test_a_suite_of_nothing_that_both_have_is_a_plan():
    found = plan(cases={"c": "new"}, controls={}, compiles=[])
    assert found["alpha_confirm"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"margin": 0.0}, "--margin: 0 %; accepted: above 0 %"),
        ({"margin": 3.0}, "--margin: 300 %"),
        ({"decided": 1.5}, "--decided: 150 %; accepted: from 0 % to 100 %"),
        ({"fail_on": ["slow"]}, "--fail-on: unknown kind 'slow'; accepted: slower, undecided, unfit, wrong; did you"),
    ],
)
def test_bad_options_are_one_line(changes, message):
    with pytest.raises(UserError) as raised:
        plan(**changes)
    assert str(raised.value).startswith(message)


def test_a_suite_too_large_for_its_rate_is_refused_with_the_largest_size(monkeypatch):
    monkeypatch.setattr("gatebench.analyze.plan.CONFIRM_BLOCKS", (8, 9))
    small = make_plan(cases={f"c{i}": "both" for i in range(12)}, controls={}, compiles=[], sides={})
    assert largest_suite(small) == 12
    with pytest.raises(UserError, match=r"suite: 13 cases: 9 blocks cannot reach .*; at most 12 cases; narrow it"):
        make_plan(cases={f"c{i}": "both" for i in range(13)}, controls={}, compiles=[], sides={})


def test_a_control_that_is_no_case_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="nowhere"):
        plan(controls={"nowhere": 0.0})
    with pytest.raises(ValueError, match="head only"):
        plan(cases=CASES | {"a": "head only"})

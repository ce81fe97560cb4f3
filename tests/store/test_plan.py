"""A plan.json of another shape than verdicts need: one line that names the key, whatever was done to it."""

import json

import pytest

from gatebench.errors import StoreError
from gatebench.store.read import read_run
from gatebench.store.shapes import plan_fault
from tests.report.stored_ab import CONTROL, SAME, plan, write_ab


def changed(path, value):
    """Return a whole plan with one value in place of another."""
    found = plan()
    *above, last = path.split(".")
    inner = found
    for key in above:
        inner = inner[key]
    inner[last] = value
    return found


def test_a_plan_as_it_is_written_has_no_fault():
    assert plan_fault(json.loads(json.dumps(plan()))) is None


@pytest.mark.parametrize("found", [{}, [], [1], 3, "order", None])
def test_what_is_no_plan_at_all_lacks_its_order(found):
    assert plan_fault(found) == "order is missing"


@pytest.mark.parametrize("key", [key for key in plan() if key not in ("schema", "seed", "hypotheses", "split", "rounds", "time_limit_s")])  # fmt: skip
def test_every_key_that_verdicts_need_is_missed(key):
    found = plan()
    del found[key]
    assert str(plan_fault(found)).startswith(key)
    assert str(plan_fault(found)).endswith(" is missing")


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("order", {"a": 1}, "order is not a list of texts"),
        ("order", [1], "order is not a list of texts"),
        ("order", [SAME], "order and cases do not name the same cases"),
        ("order", [SAME, SAME], "order and cases do not name the same cases"),
        ("cases", {SAME: "maybe"}, "cases is not an object of both, new, gone"),
        ("controls", [CONTROL], "controls is not an object of numbers"),
        ("controls", {CONTROL: "0.03"}, "controls is not an object of numbers"),
        ("controls", {"a": 0.03}, "control a is none of the cases"),
        ("margins", 0.03, "margins.time is missing"),
        ("margins.time", "0.03", "margins.time is not a number from 0 on"),
        ("margins.time", float("nan"), "margins.time is not a number from 0 on"),
        ("margins.time", 10**400, "margins.time is not a number from 0 on"),
        ("alpha_confirm", "0.02", "alpha_confirm is not a number above 0 and at most 1"),
        ("alpha_confirm", 0, "alpha_confirm is not a number above 0 and at most 1"),
        ("power", True, "power is not a number above 0 and at most 1"),
        ("screen_blocks", {"default": 12, SAME: "24"}, "screen_blocks is not an object of whole numbers above 0"),
        ("confirm_blocks.most", 64.5, "confirm_blocks.most is not a whole number above 0"),
        ("confirm_blocks.room", 0, "confirm_blocks is not an object of whole numbers above 0"),
        ("fail_on", "slower", "fail_on is not a list of texts"),
        ("interrupted", None, "interrupted is not true or false"),
        ("sides.head", None, "sides.head.given is missing"),
        ("sides.base.sha", 7, "sides.base.sha is not text or null"),
    ],
)
def test_a_value_of_another_kind_is_named(path, value, fault):
    assert plan_fault(changed(path, value)) == fault


@pytest.mark.parametrize(
    ("text", "what"),
    [("{}", "plan.json: order is missing"), ("{", "plan.json is not JSON: "), ("[" * 100_000, "plan.json is not JSON: ")],
)  # fmt: skip
def test_a_run_with_such_a_plan_is_one_line(tmp_path, text, what):
    folder = write_ab(tmp_path)
    assert read_run(folder).plan() == plan()
    (folder / "plan.json").write_text(text)
    with pytest.raises(StoreError) as error:
        read_run(folder).plan()
    assert str(error.value).startswith(f"run {folder.name}: {what}")
    assert str(error.value).endswith("; restore or remove the folder")
    assert "\n" not in str(error.value)

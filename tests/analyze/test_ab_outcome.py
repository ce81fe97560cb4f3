"""What a whole job comes to: controls, counts and the exit code."""

import pandas as pd
import pytest
from ab_frames import NOISE, both, confirmed, frame, noise, plan, row, samples

from gatebench.analyze.plan import FAIL_ON
from gatebench.analyze.verdicts import controls, exit_code, summary, verdicts

SLOWER = confirmed("slower", noise(12, 0.05), noise(24, 0.05))
CONTROLS = {"alike": 0.0, "slowed": 0.03}
FIT = samples("alike", NOISE) + confirmed("slowed", noise(12, 0.03), noise(24, 0.03))


def job(*cases, rows=(), measured=None, **changes):
    """Return (plan, verdicts) of these cases and two controls that pass."""
    of = plan("alike", "slowed", *cases, controls=CONTROLS, **changes)
    measured = [each for case in cases for each in both(case)] if measured is None else measured
    measured += both("alike") + both("slowed")
    return of, verdicts(of, frame("measurements", measured), frame("samples", [*FIT, *rows]))


def code(of, found, interrupted=False, fail_on=FAIL_ON, decided=0.8):
    return exit_code(of, found, interrupted, fail_on, decided)


def same(*cases):
    return [each for case in cases for each in samples(case, NOISE)]


def wide(*cases):
    return [each for case in cases for each in samples(case, 6 * NOISE)]


# --- controls


def test_controls_that_behave_leave_nothing_to_say():
    assert controls(*job("a", rows=same("a"))) == []


def unfit(alike, slowed):
    of = plan("alike", "slowed", controls=CONTROLS)
    return controls(of, verdicts(of, frame("measurements", both("alike") + both("slowed")), frame("samples", alike + slowed)))  # fmt: skip


def test_sides_that_are_alike_must_not_be_judged_different():
    found = unfit(confirmed("alike", noise(12, 0.05), noise(24, 0.05)), FIT[72:])
    assert found == ["control 1: its sides are alike, but judged slower in time (+5.1 %)"]


def test_a_control_that_was_slowed_down_must_be_found():
    found = unfit(samples("alike", NOISE), samples("slowed", NOISE))
    assert found == ["control 2: its head is made 3 % slower, but judged same"]
    found = unfit(samples("alike", NOISE), samples("slowed", noise(12, 0.05)))
    assert found == ["control 2: its head is made 3 % slower, but judged inconclusive: seems slower, but was not confirmed: interrupted"]  # fmt: skip


def test_controls_without_a_measurement_are_no_controls():
    of = plan("alike", "slowed", controls=CONTROLS, not_measured={"alike": "no time"})
    found = controls(of, verdicts(of, frame("measurements", []), frame("samples", [])))
    assert found == [
        "control 1: proves nothing, judged inconclusive: not measured: no time",
        "control 2: its head is made 3 % slower, but judged inconclusive: not measured: interrupted",
    ]


def test_memory_that_differs_between_sides_that_are_alike_is_seen():
    of = plan("alike", controls={"alike": 0.0})
    measured = [row("alike", "base", peak_bytes=100), row("alike", "head", peak_bytes=200)]
    found = controls(of, verdicts(of, frame("measurements", measured), frame("samples", samples("alike", NOISE))))
    assert found == ["control 1: its sides are alike, but judged slower in peak_bytes (+100.0 %)"]


# --- summary


def test_counts_leave_controls_out():
    of, found = job(
        "slower", "a", "wide", "lost", "broken", "absent", "fresh", "cut",
        rows=SLOWER + same("a") + wide("wide"), presence={"fresh": "new"}, not_measured={"cut": "no time"},
        measured=[
            *both("slower", peak_bytes=5), *both("a"), *both("wide"), row("lost", "base"), row("lost", "head", "wrong", "why"),
            row("broken", "base", "failed", "why"), row("broken", "head"), row("fresh", "head"),
            row("absent", "base", "unavailable", "no GPU"), row("absent", "head", "unavailable", "no GPU"),
        ],
    )  # fmt: skip
    counts = summary(found, of)
    assert counts["cases"] == 8
    assert counts["counts"] == {"slower": 1, "same": 1, "inconclusive": 4, "wrong": 1, "new": 1}
    # Two versions cannot be compared where one is not right or lacks the case; a case that was cut could have been.
    assert (counts["decidable"], counts["decided"], counts["decided_share"]) == (4, 2, 0.5)
    assert counts["by_quantity"]["peak_bytes"] == {"same": 1}
    assert counts["by_quantity"]["coverage"] == {"same": 4, "wrong": 1, "new": 2, "inconclusive": 1}
    assert counts["controls"] == {"same": 1, "slower": 1}
    effects = found.loc[found["case_id"].isin(["slower", "a"]), "minimum_detectable_effect"]
    assert counts["largest_minimum_detectable_effect"] == effects.max()


def test_a_suite_with_nothing_to_decide_has_decided_all_of_it():
    of, found = job("fresh", presence={"fresh": "new"}, measured=[row("fresh", "head")])
    counts = summary(found, of)
    assert (counts["decidable"], counts["decided_share"], counts["largest_minimum_detectable_effect"]) == (0, 1.0, None)
    assert code(of, found) == 0


# --- exit codes


def test_all_well_is_zero():
    assert code(*job("a", rows=same("a"))) == 0


def test_a_confirmed_regression_is_one():
    of, found = job("slower", "a", rows=SLOWER + same("a"))
    assert code(of, found) == 1
    assert code(of, found, fail_on=["wrong", "unfit", "undecided"]) == 0


def test_more_memory_is_a_regression_too():
    measured = [row("a", "base", peak_bytes=100), row("a", "head", peak_bytes=200)]
    assert code(*job("a", rows=same("a"), measured=measured)) == 1


@pytest.mark.parametrize("status", ["wrong", "failed", "timeout", "out_of_memory", "unsupported"])
def test_a_lost_case_is_three_and_goes_before_slower(status):
    measured = [row("lost", "base"), row("lost", "head", status, "why"), *both("slower")]
    of, found = job("lost", "slower", rows=SLOWER, measured=measured)
    assert code(of, found) == 3
    assert code(of, found, fail_on=["slower"]) == 1
    assert code(of, found, interrupted=True) == 130


def test_a_wrong_head_is_three_beside_a_wrong_base():
    measured = [row("a", "base", "wrong", "why"), row("a", "head", "wrong", "why")]
    assert code(*job("a", measured=measured)) == 3


def test_what_neither_side_can_do_here_is_zero():
    measured = [row("a", "base", "unavailable", "why"), row("a", "head", "unavailable", "why")]
    assert code(*job("a", measured=measured)) == 0


def test_a_control_that_fails_is_four_and_never_green():
    of = plan("slowed", "slower", controls={"slowed": 0.03})
    rows = samples("slowed", NOISE) + SLOWER
    found = verdicts(of, frame("measurements", both("slowed") + both("slower")), frame("samples", rows))
    assert code(of, found) == 4
    assert code(of, found, fail_on=["slower"]) == 1
    assert code(of, found, fail_on=[]) == 0


def test_a_control_that_was_found_slower_is_no_regression():
    assert "slower" in set(job("a", rows=same("a"))[1]["verdict"])
    assert code(*job("a", rows=same("a"))) == 0


def test_too_few_decided_cases_are_five():
    of, found = job(*"abcde", rows=same(*"abc") + wide(*"de"))
    assert code(of, found) == 5
    assert code(of, found, decided=0.6) == 0
    assert code(of, found, fail_on=["slower", "wrong", "unfit"]) == 0


def test_a_lone_inconclusive_case_never_fails_a_job():
    assert code(*job("a", rows=wide("a")), decided=1.0) == 0
    assert code(*job("a", "b", rows=wide("a", "b"))) == 5


def test_verdicts_read_back_give_the_same_exit_code():
    of, found = job("slower", "a", rows=SLOWER + same("a"))
    copy = pd.DataFrame(found.to_dict("list"))
    assert code(of, copy) == code(of, found)
    assert summary(copy, of) == summary(found, of)

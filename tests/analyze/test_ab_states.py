"""Verdicts without times: sides that are missing or wrong, coverage, and what is counted exactly."""

import math

import pandas as pd
import pytest
from ab_frames import NOISE, both, frame, plan, row, samples

from gatebench.analyze.verdicts import verdicts


def judged(measured, presence="both", cut=None):
    """Return quantity -> row of verdicts of one case."""
    of = plan("a", presence={"a": presence}, not_measured={"a": cut} if cut else {})
    found = verdicts(of, frame("measurements", measured), frame("samples", samples("a", NOISE)))
    return {row["quantity"]: row for row in found.to_dict("records")}


def said(measured, presence="both", cut=None):
    """Return (verdict, reason) of time and of coverage."""
    found = judged(measured, presence, cut)
    return [
        (found[name]["verdict"], None if pd.isna(found[name]["reason"]) else found[name]["reason"])
        for name in ("time", "coverage")
    ]


def sides(base, head):
    """Return the measurements of two sides, each a status; what is not ok has the reason `why`."""
    pairs = (("base", base), ("head", head))
    return [row("a", side, status, None if status == "ok" else "why") for side, status in pairs]


@pytest.mark.parametrize(
    ("status", "verdict", "reason"),
    [
        ("wrong", "wrong", "the head is wrong: why"),
        ("failed", "failed", "the head failed: why"),
        ("timeout", "failed", "the head timed out: why"),
        ("out_of_memory", "failed", "the head ran out of memory: why"),
        ("unsupported", "failed", "the head does not support it: why"),
        ("unavailable", "failed", "the head is unavailable: why"),
    ],
)
def test_a_head_that_lost_a_case_fails_it(status, verdict, reason):
    assert said(sides("ok", status)) == [(verdict, reason)] * 2


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("wrong", "the base is wrong: why"),
        ("timeout", "the base timed out: why"),
        ("unsupported", "the base does not support it: why"),
    ],
)
def test_beside_a_wrong_base_the_head_is_judged_for_correctness_alone(status, reason):
    alone = f"{reason}; the head was judged for correctness alone"
    assert said(sides(status, "ok")) == [("inconclusive", alone), ("new", reason)]


def test_a_wrong_head_is_wrong_beside_a_wrong_base_too_but_nothing_was_lost():
    time, coverage = said(sides("failed", "wrong"))
    assert time == ("wrong", "the head is wrong: why; the base failed too")
    assert coverage == ("same", "the base failed: why; the head is wrong: why")


def test_what_neither_side_can_do_here_is_inconclusive_and_nothing_was_lost():
    time, coverage = said(sides("unavailable", "unavailable"))
    assert time == ("inconclusive", "the base is unavailable: why; the head is unavailable: why")
    assert coverage == ("same", "the base is unavailable: why; the head is unavailable: why")


def test_cases_of_one_side_are_new_or_gone():
    assert said([row("a", "head")], "new") == [("new", None)] * 2
    assert said([row("a", "base")], "gone") == [("gone", None)] * 2
    assert said([], "gone") == [("gone", None)] * 2


def test_a_new_case_that_is_wrong_is_wrong():
    assert said([row("a", "head", "wrong", "why")], "new") == [("wrong", "the head is wrong: why")] * 2
    assert said([row("a", "head", "unavailable", "why")], "new") == [("new", "the head is unavailable: why")] * 2


def test_a_case_that_was_cut_is_not_measured():
    assert said([], cut="the time limit of 10 min") == [("inconclusive", "not measured: the time limit of 10 min")] * 2
    assert said([row("a", "base")]) == [("inconclusive", "not measured: interrupted")] * 2


def test_a_side_that_failed_has_no_numbers():
    found = judged(sides("ok", "failed"))
    assert list(found) == ["time", "coverage"]
    assert pd.isna([found["time"][name] for name in ("stage", "change", "p_value", "blocks", "margin")]).all()


# --- counted exactly


def counted(quantity, base, head, base_detail=None, head_detail=None):
    """Return the row of a quantity that the sides counted like this."""
    rows = [
        row("a", "base", detail=base_detail, **{quantity: base}),
        row("a", "head", detail=head_detail, **{quantity: head}),
    ]
    return judged(rows).get(quantity)


@pytest.mark.parametrize("quantity", ["peak_bytes", "saved_bytes"])
@pytest.mark.parametrize(
    ("base", "head", "verdict", "change"),
    [
        (1000, 1000, "same", 0.0),
        (1000, 1010, "same", 0.01),
        (1000, 1011, "slower", 0.011),
        (1000, 990, "same", -0.01),
        (1000, 989, "faster", -0.011),
        (0, 0, "same", 0.0),
        (0, 8, "slower", math.inf),
        (8, 0, "faster", -1.0),
    ],
)
def test_more_bytes_beyond_the_margin_are_a_regression(quantity, base, head, verdict, change):
    found = counted(quantity, base, head)
    assert (found["verdict"], found["stage"], found["margin"]) == (verdict, "screen", 0.01)
    assert found["change"] == pytest.approx(change)
    assert pd.isna([found[name] for name in ("p_value", "alpha", "ci_low", "blocks", "reason")]).all()


@pytest.mark.parametrize(
    ("base", "head", "verdict"),
    [
        (1.0, 2.0, "same"),  # doubled, but not more
        (1.0, 2.1, "slower"),
        (0.1, 0.9, "same"),  # nine times as much, yet no worse than eager
        (0.1, 1.1, "slower"),
        (0.0, 1.1, "slower"),
        (5.0, 2.5, "same"),  # halved, but not more
        (5.0, 2.4, "faster"),
        (5.0, 0.0, "faster"),
        (0.9, 0.1, "same"),  # a ninth of it, yet what was there did no harm
    ],
)
def test_an_error_ratio_changed_where_it_more_than_doubles_or_halves_and_exceeds_one(base, head, verdict):
    assert counted("error_ratio", base, head)["verdict"] == verdict


def test_counts_that_differ_between_blocks_are_inconclusive():
    differs = '{"counts_differ": ["peak_bytes"]}'
    found = counted("peak_bytes", 1000, 2000, head_detail=differs)
    assert (found["verdict"], found["reason"]) == ("inconclusive", "blocks of the head disagree about it")
    found = counted("peak_bytes", 1000, 1000, base_detail=differs, head_detail=differs)
    assert found["reason"] == "blocks of the base and the head disagree about it"
    assert counted("saved_bytes", 1000, 1000, head_detail=differs)["verdict"] == "same"


def test_counts_of_one_side_are_inconclusive_and_of_neither_have_no_row():
    assert counted("peak_bytes", None, 5)["reason"] == "counted in the head only"
    assert counted("peak_bytes", 5, None)["reason"] == "counted in the base only"
    assert pd.isna(counted("peak_bytes", 5, None)["change"])
    assert counted("peak_bytes", None, None) is None


def test_coverage_of_two_right_sides_is_the_same():
    assert said(both("a"))[1] == ("same", None)

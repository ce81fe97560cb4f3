"""Verdicts on compile time: slower only beyond both margins, a quarter and a second."""

import math

import pytest
from ab_frames import COMPILE_BASE_NS, NOISE, ONE, both, frame, judged, noise, plan, samples

from gatebench.analyze.verdicts import verdicts


def compiled(ratios, fresh=None, base_ns=COMPILE_BASE_NS, quantity="compile_warm"):
    """Judge compile time of a case whose time is the same."""
    rows = samples("a", NOISE) + samples("a", ratios, quantity=quantity, base_ns=base_ns)
    rows += samples("a", [] if fresh is None else fresh, stage="confirm", quantity=quantity, base_ns=base_ns)
    return judged(rows, plan("a", compiles=["a"]), "compile")


def test_compiling_is_slower_beyond_both_margins():
    found = compiled(noise(12, 0.4), noise(16, 0.4))
    assert (found["verdict"], found["stage"], found["margin"]) == ("slower", "confirm", 0.25)
    assert found["minimum_detectable_effect"] >= 0.25  # what is smaller is never reported
    assert compiled(noise(12, -0.5), noise(16, -0.5))["verdict"] == "faster"


def test_a_change_of_compile_time_within_the_margin_is_the_same_and_no_suspect():
    assert compiled(noise(12, 0.1))["verdict"] == "same"
    assert compiled(noise(12, 0.4), noise(16, 0.1))["verdict"] == "same"


def test_a_second_of_compile_time_is_the_least_that_counts():
    found = compiled(noise(12, 0.6), base_ns=1e9)  # 0.8 s more
    assert found["verdict"] == "same"
    assert found["margin"] == pytest.approx(1.0)
    assert compiled(noise(12, 0.9), noise(16, 0.9), base_ns=1e9)["verdict"] == "slower"  # 1.5 s more


def test_a_confirmed_change_that_may_or_may_not_exceed_the_margin_is_inconclusive():
    found = compiled(noise(12, 0.4), 5 * noise(24) + math.log(1.24))
    assert (found["verdict"], found["stage"]) == ("inconclusive", "confirm")
    assert found["p_value"] <= found["alpha"]
    assert found["reason"].endswith("reaches beyond the margin of 25 %")


def test_compile_time_found_only_with_empty_caches_is_judged_by_its_few_blocks():
    found = compiled([0.5], quantity="compile_cold")
    assert (found["verdict"], found["blocks"], found["reason"]) == ("inconclusive", 1, "only 1 of 12 blocks")
    assert compiled([])["reason"] == "only 0 of 12 blocks"


def test_compile_times_that_were_dropped_do_not_count():
    rows = samples("a", NOISE) + samples("a", noise(12), quantity="compile_warm", base_ns=COMPILE_BASE_NS)
    rows += samples("a", noise(12, 3.0), first=20, quantity="compile_warm", base_ns=COMPILE_BASE_NS, dropped=1.0)
    found = judged(rows, plan("a", compiles=["a"]), "compile")
    assert (found["verdict"], found["blocks"]) == ("same", 12)


def test_filled_caches_go_before_empty_ones():
    rows = samples("a", noise(12, 2.0), quantity="compile_cold", base_ns=COMPILE_BASE_NS) + samples("a", NOISE)
    rows += samples("a", noise(12), quantity="compile_warm", base_ns=COMPILE_BASE_NS)
    assert judged(rows, plan("a", compiles=["a"]), "compile")["verdict"] == "same"


def test_compile_time_is_judged_only_where_the_plan_says_so():
    rows = samples("a", NOISE) + samples("a", noise(12, 0.5), quantity="compile_warm", base_ns=COMPILE_BASE_NS)
    found = verdicts(ONE, frame("measurements", both("a")), frame("samples", rows))
    assert found["quantity"].tolist() == ["time", "coverage"]

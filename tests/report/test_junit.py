"""JUnit XML of A/B runs and plain runs: valid, every case once, numbers and reasons in its messages."""

import pytest
from ab_reports import (  # fmt: skip
    EVERY,
    FAILED,
    FASTER,
    GONE,
    INCONCLUSIVE,
    NEW,
    SAME,
    SLOWER,
    WRONG,
    case,
    frame,
    manifest,
    report,
    side,
    verdict,
)
from hostile import HOSTILE, bend
from junit_rules import outcomes, parsed

from gatebench.report.ci.ab_json import ab_json
from gatebench.report.ci.junit import ab_junit, run_junit


def suite_of(*cases, **other):
    return parsed(ab_junit(ab_json(report(*cases, **other))))


def test_every_verdict_is_an_outcome_with_its_reason():
    found = outcomes(suite_of(*EVERY))
    assert {name: found[each["case_id"]] for name, each in {"slower": SLOWER, "faster": FASTER, "same": SAME, "inconclusive": INCONCLUSIVE, "new": NEW, "gone": GONE, "wrong": WRONG, "failed": FAILED}.items()} == {
        "slower": ("failure", "slower +3.2 % [2.6, 3.9], 1.84 ms → 1.90 ms, detectable 2.1 %; more memory +25.0 %, 1 MiB → 1.25 MiB"),
        "faster": ("passed", None),
        "same": ("passed", None),
        "inconclusive": ("skipped", "inconclusive: the interval -1.2 % to +4.1 % is wider than the margin of 3 %"),
        "new": ("skipped", "new: only the head has it"),
        "gone": ("skipped", "gone: only the base has it"),
        "wrong": ("error", "wrong: grad:x has error_ratio 31.2; at most 10 is accepted; coverage lost"),
        "failed": ("error", "timeout: no answer within 300 s"),
    }  # fmt: skip


def test_a_case_is_named_by_its_gate_and_implementation_and_shows_its_numbers():
    suite = suite_of(SLOWER)
    found = next(each for each in suite.findall("testcase") if each.get("name") == SLOWER["case_id"])
    assert found.get("classname") == "lstm.numba"
    assert found.findtext("system-out") == (
        "time: slower: +3.2 % [2.6, 3.9], 1.84 ms → 1.90 ms, detectable 2.1 %\n"
        "peak memory: more memory: +25.0 %, 1 MiB → 1.25 MiB\n"
        "error ratio: same: 0 %, 1.1 → 1.1"
    )
    assert suite.get("name") == "gatebench ab quick"
    assert {each.get("name"): each.get("value") for each in suite.iter("property")}["base"].startswith("main 1c8aaf7")


def test_what_cannot_run_or_was_not_measured_is_skipped():
    here = case("gru/cudnn", base=side("unavailable", reason="no CUDA device"), head=side("unavailable", reason="no CUDA device"))  # fmt: skip
    unasked = case("gru/eager", base=side(), head=side())
    found = outcomes(suite_of(here, unasked, not_measured={"glu/eager": "the time limit of 600 s"}))
    assert found[here["case_id"]] == ("skipped", "unavailable: no CUDA device")
    assert found[unasked["case_id"]] == ("skipped", "not measured: no verdict on its time")
    assert found["glu/eager"] == ("skipped", "not measured: the time limit of 600 s")


def test_coverage_that_is_lost_to_a_refusal_is_an_error():
    lost = case(
        "gru/mylab:fused", verdict("failed"), verdict("failed", quantity="coverage", reason="unsupported: odd sizes"),
        base=side(), head=side("unsupported", reason="odd sizes"),
    )  # fmt: skip
    assert outcomes(suite_of(lost))[lost["case_id"]] == ("error", "unsupported: odd sizes; coverage lost")


def test_the_controls_are_a_case_of_their_own():
    assert outcomes(suite_of(SAME))["controls"] == ("passed", None)
    assert outcomes(suite_of(SAME, control_failures=["one", "two"]))["controls"] == ("error", "one; two")
    assert outcomes(suite_of())["controls"] == ("skipped", "no control ran")


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_leaves_the_file_valid(name):
    document = bend(ab_json(report(*EVERY, control_failures=["x"])), HOSTILE[name])
    suite = parsed(ab_junit(document))
    assert len(suite.findall("testcase")) == len(EVERY) + 1


def measured(status="ok", reason=None, **other):
    return {
        "run_id": "r", "case_id": f"lstm/numba/{status}", "gate": "lstm", "implementation": "numba", "status": status,
        "reason": reason, "time_ns": 1.84e6 if status == "ok" else None, "ci_low_ns": None, "ci_high_ns": None,
        "error_ratio": 1.3 if status == "ok" else None, **other,
    }  # fmt: skip


def test_a_plain_run_passes_fails_and_skips_by_status():
    rows = [measured(), *(measured(status, f"why {status}") for status in ("wrong", "failed", "timeout", "out_of_memory", "unsupported", "unavailable"))]  # fmt: skip
    suite = parsed(run_junit(frame("measurements", rows), manifest()))
    assert {name.rpartition("/")[2]: outcome for name, outcome in outcomes(suite).items()} == {
        "ok": ("passed", None),
        "wrong": ("error", "wrong: why wrong"),
        "failed": ("error", "failed: why failed"),
        "timeout": ("error", "timeout: why timeout"),
        "out_of_memory": ("error", "out of memory: why out_of_memory"),
        "unsupported": ("skipped", "unsupported: why unsupported"),
        "unavailable": ("skipped", "unavailable: why unavailable"),
    }
    assert suite.findtext("testcase/system-out") == "time: 1.84 ms (no interval)\nerror ratio: 1.3"
    assert (suite.get("name"), suite.get("timestamp")) == ("gatebench run quick", "2026-11-22T10:15:00Z")


def test_a_run_without_cases_is_a_valid_file():
    assert parsed(run_junit(frame("measurements", []), manifest())).get("tests") == "0"

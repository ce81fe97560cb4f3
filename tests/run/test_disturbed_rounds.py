"""Rounds in which something foreign took CPU time: dropped and taken again, or kept and said."""

import pytest
from fakes import THREE, measured
from run_helpers import case

from gatebench.run.steps import disturbed


def disturbs(*rounds, cause="other processes", share=0.9):
    """Return a script in which something foreign takes this share of the machine in these rounds, as `second` sees it."""
    count = iter(range(10_000))
    # A round of three samples of 100 ms on two cores; ticks leave 20 ms of it unknown.
    columns = {"foreign_ns": share * 6e8, "capacity_ns": 6e8, "tick_ns": 2e7}
    columns = {"steal_ratio": share} if cause == "steal" else columns

    def script(worker, verb, args):
        if verb == "sample" and worker.settings.implementation == "second" and next(count) in rounds:
            return {**worker.usual(verb, args), **columns}
        return None

    return script


@pytest.mark.parametrize("cause", ["other processes", "steal"])
def test_a_disturbed_round_goes_for_all_and_is_taken_again(tmp_path, cause):
    _, entries = measured(tmp_path, [case(name) for name in THREE], disturbs(1, cause=cause), rounds=4)
    for entry in entries:
        assert [row["dropped"] for row in entry["samples"]] == [False, True, False, False, False]
        assert entry["samples"][1]["reason"] == f"{cause}: 90 % of the machine's CPU time"
        assert [row["round"] for row in entry["samples"]] == [0, 1, 2, 3, 4]


def test_dropped_rounds_are_repeated_at_most_half_as_often_again(tmp_path):
    _, entries = measured(tmp_path, [case(name) for name in THREE], disturbs(*range(100)), rounds=4)
    assert {len(entry["samples"]) for entry in entries} == {6}


def test_on_a_busy_machine_all_rounds_stay_and_the_cases_are_unsteady(tmp_path):
    _, entries = measured(tmp_path, [case(name) for name in THREE], disturbs(*range(100)), rounds=4)
    for entry in entries:
        assert entry["facts"]["unsteady"] is True
        assert [row["dropped"] for row in entry["samples"]] == [False] * 6
        assert all("other processes" in row["reason"] for row in entry["samples"])


def test_a_small_disturbance_drops_nothing(tmp_path):
    _, entries = measured(tmp_path, [case(name) for name in THREE], disturbs(0, share=0.12), rounds=4)
    assert {len(entry["samples"]) for entry in entries} == {4}
    assert {row["reason"] for entry in entries for row in entry["samples"]} == {None}


def test_a_small_disturbance_of_all_rounds_is_surer_than_that_of_one(tmp_path):
    # Of each round's 12 % the ticks leave 3 % unknown, of all rounds' 12 % less than 1 %.
    _, entries = measured(tmp_path, [case(name) for name in THREE], disturbs(*range(100), share=0.12), rounds=4)
    for entry in entries:
        assert entry["facts"]["unsteady"] is True
        assert [row["dropped"] for row in entry["samples"]] == [False] * 4
        assert {row["reason"] for row in entry["samples"]} == {"other processes: 12 % of the machine's CPU time"}


def test_a_neighbour_that_no_single_sample_shows_is_seen_over_the_round():
    # One busy neighbour beside cases on both of two cores: a quarter of each sample's 28 ms, and ticks leave 20 ms unknown.
    row = {"steal_ratio": 0.0, "foreign_ns": 14e6, "capacity_ns": 56e6, "tick_ns": 20e6}
    assert disturbed([row]) is None
    assert disturbed([row] * 4) == "other processes: 25 % of the machine's CPU time"


def test_rounds_too_short_for_the_ticks_are_judged_and_dropped_together(tmp_path):
    # Rounds of 10 ms on two cores, beside a process that has one of them: in no single one can ticks of 10 ms tell.
    short = {"foreign_ns": 1e7, "capacity_ns": 2e7, "tick_ns": 2e7}
    assert disturbed([short]) is None
    count = iter(range(10_000))

    def script(worker, verb, args):
        if verb == "sample" and worker.settings.implementation == "second":
            return {**worker.usual(verb, args), **(short if next(count) < 4 else {**short, "foreign_ns": 0.0})}
        return None

    _, entries = measured(tmp_path, [case(name) for name in THREE], script, rounds=12)
    for entry in entries:
        assert [row["dropped"] for row in entry["samples"]] == [True] * 4 + [False] * 12
        assert entry["samples"][0]["reason"] == "other processes: 50 % of the machine's CPU time"


@pytest.mark.parametrize(("wanted", "taken"), [(2, 2), (3, 3), (6, 6)])
def test_the_last_rounds_are_judged_however_short(tmp_path, wanted, taken):
    row = {"foreign_ns": 9e7, "capacity_ns": 2e7, "tick_ns": 2e7}  # four together are long enough

    def script(worker, verb, args):
        return {**worker.usual(verb, args), **row} if verb == "sample" else None

    _, (entry,) = measured(tmp_path, [case("first")], script, rounds=wanted)
    assert len(entry["samples"]) == taken + max(1, wanted // 2)
    assert all("other processes" in row["reason"] for row in entry["samples"])


def test_steal_is_summed_over_samples_that_belong_together():
    row = {"steal_ratio": 0.0, "steal_ns": 1e7, "capacity_ns": 2e7, "tick_ns": 2e7}
    assert disturbed([row]) is None
    assert disturbed([row] * 4) == "steal: 25 % of the machine's CPU time"


def test_a_case_with_more_than_a_fifth_of_its_rounds_dropped_is_unsteady(tmp_path):
    _, entries = measured(tmp_path, [case(name) for name in THREE], disturbs(0, 1), rounds=4)
    for entry in entries:
        assert entry["facts"]["unsteady"] is True
        assert sum(not row["dropped"] for row in entry["samples"]) == 4

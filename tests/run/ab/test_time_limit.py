"""A time limit over fake workers and a fake clock: what it cuts, what it shortens, and what it says of either."""

import math
import re

import pytest
from contests import contest, ids, judged, only, plan_of, run, side_of, times
from run_helpers import case

from gatebench.run.ab.budget import Budget


class Clock:
    """A clock that moves on with every request. end_s: when a job's time is over."""

    def __init__(self, step_s, end_s=math.inf):
        self.now, self.step_s, self.end_s = 0.0, step_s, end_s

    def __call__(self):
        return self.now


def ticking(clock, script):
    def ticked(worker, verb, args):
        clock.now += clock.step_s
        return script(worker, verb, args)

    return ticked


def test_a_time_limit_cuts_from_the_end_of_the_order_and_says_so(tmp_path):
    clock = Clock(0.1)
    wanted = contest("first", "second", "third")
    limit = Budget(50.0, clock)
    _, entries, plan, _ = run(tmp_path, wanted, ticking(clock, times(100.0)), limit)
    assert plan["not_measured"] == {ids(wanted)[2]: "the time limit of 50 s leaves no room for it, 70 s would do"}
    assert len(only(entries, ids(wanted)[1], "head")) == 12
    assert len(only(entries, ids(wanted)[2], "head")) == 2
    assert clock.now < 50.0


def test_a_limit_that_is_over_before_anything_was_timed_cuts_all(tmp_path):
    clock = Clock(10.0)
    wanted = contest("first", "second")
    _, _, plan, _ = run(tmp_path, wanted, ticking(clock, times(100.0)), Budget(5.0, clock))
    assert set(plan["not_measured"]) == set(ids(wanted))


def test_a_first_block_that_takes_too_long_ends_early(tmp_path):
    clock = Clock(1.0)
    wanted = contest("first", "second", "third")
    _, _, plan, _ = run(tmp_path, wanted, ticking(clock, times(100.0)), Budget(30.0, clock))
    assert set(plan["not_measured"]) >= {ids(wanted)[2]}


def test_suspects_that_time_does_not_allow_are_named(tmp_path):
    clock = Clock(0.1)
    wanted = contest("first", "second")
    script = ticking(clock, times(110.0))
    _, entries, plan, _ = run(tmp_path, wanted, script, Budget(50.0, clock))
    assert list(plan["not_measured"]) == [ids(wanted)[1]]
    assert {entry["stage"] for entry in only(entries, ids(wanted)[0], "head")} == {"screen", "confirm"}


def test_a_limit_that_is_short_of_all_blocks_confirms_every_suspect_with_fewer(tmp_path):
    clock, script = Clock(0.1), times(140.0, spread=0.6)
    wanted = contest("first", "second")
    _, _, free, _ = run(tmp_path / "free", wanted, script)
    assert "room" not in free["confirm_blocks"]
    _, entries, plan, _ = run(tmp_path / "short", wanted, ticking(clock, script), Budget(110.0, clock))
    room = plan["confirm_blocks"]["room"]
    assert plan["confirm_blocks"]["least"] < room < plan["confirm_blocks"]["most"]
    for case_id in ids(wanted):
        confirmed = [entry["block"] for entry in only(entries, case_id, "head") if entry["stage"] == "confirm"]
        assert len(confirmed) == room
    assert plan["not_measured"] == {}
    assert clock.now < 110.0


def test_a_confirmation_that_runs_out_of_time_is_judged_by_the_blocks_there_are(tmp_path):
    clock, slower = Clock(0.1), times(140.0)

    def script(worker, verb, args):
        clock.step_s = 0.1 if len(worker.lab.workers) <= 24 else 0.5  # all that was timed in the screening is too low
        return slower(worker, verb, args)

    wanted = contest("first")
    _, entries, plan, _ = run(tmp_path, wanted, ticking(clock, script), Budget(50.0, clock))
    confirmed = {entry["block"] for entry in entries if entry["stage"] == "confirm"}
    assert 0 < plan["confirm_blocks"]["room"] == len(confirmed) < plan["confirm_blocks"]["least"]
    assert plan["not_measured"] == {}


# --- what would have done


@pytest.mark.parametrize(
    ("stage", "limit_s", "script"), [("screening", 50, times(100.0)), ("confirmation", 80, times(140.0))]
)
def test_a_limit_that_is_said_to_do_does(tmp_path, stage, limit_s, script):
    wanted = contest("first", "second", "third")

    def plan_within(limit_s):
        clock = Clock(0.1)
        return run(tmp_path / f"{limit_s}", wanted, ticking(clock, script), Budget(limit_s, clock))[2]

    (reason,) = plan_within(limit_s)["not_measured"].values()
    told = re.fullmatch(rf"the time limit of {limit_s} s leaves no room for it, (\d+) s would do", reason)
    assert told is not None
    plan = plan_within(int(told[1]))
    assert plan["not_measured"] == {}
    assert "room" not in plan["confirm_blocks"]


def test_a_limit_that_is_over_in_the_first_block_says_what_would_do_by_what_was_timed():
    clock, cases = Clock(0.0), [case("first"), case("second")]
    budget = Budget(20.0, clock)
    with budget.clock_workers("origin"):
        clock.now += 2.0
        with budget.clock(cases[0]):
            clock.now += 6.0
    left = {cases[0].case_id: 11, cases[1].case_id: 12}  # the second one was not reached: it may take as long
    assert budget.enough_to_screen(cases, left, lambda case: "origin") == (8 + 11 * 6 + 12 * 6 + 12 * 2) / 0.75
    assert budget.reason(226.7) == "the time limit of 20 s leaves no room for it, 4 min would do"
    assert budget.reason(111.0).endswith(", 2 min would do")
    assert budget.reason(91.0).endswith(", 100 s would do")


# --- confirmation that outlasts the limit all the same


def over_in(clock, block, implementation, script):
    """Return a script that uses up the time as an implementation's head is measured in a block."""

    def ending(worker, verb, args):
        here = (side_of(worker), worker.case.get("implementation")) == ("head", implementation)
        if here and len(worker.lab.workers) == 2 * (block + 1):  # one pair of workers a block
            clock.now = clock.end_s + 1
        return script(worker, verb, args)

    return ending


def ended_in(folder, block, implementation, names=("first", "second"), script=None):
    """Run a job whose time is over in a block; returns (entries, plan, confirmation's blocks and verdict by case)."""
    clock, wanted = Clock(0.0, end_s=100.0), contest(*names)
    _, entries, plan, _ = run(
        folder, wanted, over_in(clock, block, implementation, script or times(140.0)), Budget(clock.end_s, clock)
    )
    found = judged(entries, plan)
    blocks = [sum(entry["stage"] == "confirm" for entry in only(entries, case_id, "head")) for case_id in ids(wanted)]
    return plan, blocks, [found[case_id] for case_id in ids(wanted)]


def test_a_limit_that_is_over_with_the_last_block_leaves_nothing_out(tmp_path):
    plan, blocks, found = ended_in(tmp_path, 12 + 16 - 1, "second")
    assert blocks == [16, 16]
    assert "room" not in plan["confirm_blocks"]
    assert [row["verdict"] for row in found] == ["slower", "slower"]


def test_a_limit_that_is_over_between_two_blocks_leaves_every_suspect_as_many(tmp_path):
    plan, blocks, found = ended_in(tmp_path, 12 + 4, "second")
    assert blocks == [5, 5]
    assert plan["confirm_blocks"]["room"] == 5
    assert plan["not_measured"] == {}
    assert [row["reason"] for row in found] == ["only 5 of 16 blocks: the time limit leaves no room for more"] * 2


def test_a_limit_that_is_over_within_a_block_leaves_room_for_what_every_suspect_had(tmp_path):
    plan, blocks, found = ended_in(tmp_path, 12 + 4, "first")
    assert blocks == [5, 4]
    assert plan["confirm_blocks"]["room"] == 4
    assert plan["not_measured"] == {}
    told = [f"only {count} of 16 blocks: the time limit leaves no room for more" for count in (5, 4)]
    assert [row["reason"] for row in found] == told


def test_a_suspect_that_is_never_reached_is_unconfirmed_for_want_of_time(tmp_path):
    plan, blocks, found = ended_in(tmp_path, 12, "first")
    assert blocks == [1, 0]
    assert plan["confirm_blocks"]["room"] == 1
    assert list(plan["not_measured"]) == [case("second").case_id]
    assert found[1]["reason"].startswith("seems slower, but was not confirmed: the time limit of 100 s leaves no room")
    assert found[1]["minimum_detectable_effect"] == math.inf


def test_a_case_that_was_no_suspect_could_have_had_no_more_blocks_than_the_suspects(tmp_path):
    _, blocks, found = ended_in(tmp_path, 12 + 2, "second", script=times(140.0, slow="second"))
    assert (blocks, found[0]["verdict"]) == ([0, 3], "same")
    assert found[0]["minimum_detectable_effect"] == math.inf


def test_where_every_suspect_is_cut_nothing_could_have_been_found(tmp_path):
    def script(worker, verb, args):
        if verb == "sample" and len(worker.lab.workers) == 24:  # the last of the screening takes all there is
            clock.now = max(clock.now, 99.0)
        return slower(worker, verb, args)

    clock, slower, wanted = Clock(0.01), times(140.0, slow="second"), contest("first", "second")
    lab, entries, plan, _ = run(tmp_path, wanted, ticking(clock, script), Budget(100.0, clock))
    assert list(plan["not_measured"]) == [case("second").case_id]
    assert len(lab.workers) == 24
    assert judged(entries, plan)[case("first").case_id]["minimum_detectable_effect"] == math.inf


def test_what_starting_workers_takes_is_timed_not_guessed():
    clock, cases = Clock(0.0), [case("first"), case("second")]
    budget = Budget(100.0, clock)
    with budget.clock_workers("origin"):
        clock.now += 6.0
        for each in cases:
            with budget.clock(each):
                clock.now += 1.0
        clock.now += 1.0
    blocks = {each.case_id: 40 for each in cases}
    assert budget.room_to_confirm(cases, blocks, lambda case: "origin", 5) == (95 - 9) // (7 + 1 + 1)


def test_no_limit_cuts_nothing(tmp_path):
    clock = Clock(1000.0)
    wanted = contest("first")
    _, _, plan, _ = run(tmp_path, wanted, ticking(clock, times(100.0)), Budget(None, clock), plan_of(wanted))
    assert plan["not_measured"] == {}

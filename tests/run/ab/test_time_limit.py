"""A time limit over fake workers and a fake clock: what it cuts, what it shortens, and what it says of either."""

from contests import contest, ids, only, plan_of, run, times
from run_helpers import case

from gatebench.run.ab.budget import Budget


class Clock:
    """A clock that moves on with every request."""

    def __init__(self, step_s):
        self.now, self.step_s = 0.0, step_s

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
    assert plan["not_measured"] == {ids(wanted)[2]: "the time limit of 50 s leaves no room for it"}
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

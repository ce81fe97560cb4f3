"""The A/B runner with fake workers: who is asked what and when, and what failures cost."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from contests import contest, ids, only, run, side_of, times
from fakes import catalogue
from jobs import narrowed
from repositories import SUITE
from run_helpers import case

from gatebench.contract import Failure
from gatebench.errors import SuiteError
from gatebench.run.ab.blocks import cores_of, rounds_of
from gatebench.run.ab.contest import make_contest
from gatebench.run.ab.runner import STRIKES
from gatebench.suites import Measure, read_suite


def fails(side, verb, status="failed", times=10**9, reason="no such luck"):
    """Return a script in which a side's first requests of one verb fail."""
    left = {"count": times}

    def script(worker, asked, args):
        if (asked, side_of(worker)) == (verb, side) and left["count"]:
            left["count"] -= 1
            raise Failure(status, reason)

    return script


# --- order


def test_sides_that_are_alike_are_screened_in_twelve_blocks_and_not_confirmed(tmp_path):
    wanted = contest("first", "second")
    _, entries, _, places = run(tmp_path, wanted, times(100.0))
    assert Counter((entry["side"], entry["stage"]) for entry in entries) == {
        ("base", "screen"): 24,
        ("head", "screen"): 24,
    }
    assert places.swaps == 12


def test_a_slower_head_is_confirmed_in_fresh_blocks_and_its_neighbour_is_not(tmp_path):
    wanted = contest("first", "second")
    _, entries, plan, _ = run(tmp_path, wanted, times(110.0, slow="second"))
    first, second = (only(entries, case_id, "head") for case_id in ids(wanted))
    assert {entry["stage"] for entry in first} == {"screen"}
    confirmed = [entry["block"] for entry in second if entry["stage"] == "confirm"]
    assert len(confirmed) >= plan["confirm_blocks"]["least"]
    assert confirmed == list(range(12, 12 + len(confirmed)))


def test_each_block_has_workers_of_its_own_for_both_sides(tmp_path):
    lab, _, _, _ = run(tmp_path, contest("first"), times(100.0))
    assert Counter(side_of(worker) for worker in lab.workers) == {"base": 12, "head": 12}
    assert lab.most_running == 1


def test_implementations_of_one_origin_share_a_worker_and_a_plugin_has_its_own(tmp_path):
    files = {"second": (Path("/second.py"),)}
    known = replace(catalogue("first", "second", "third"), files=files)
    wanted = contest("first", "second", "third", catalogues={"base": known, "head": known})
    lab, _, _, _ = run(tmp_path, wanted, times(100.0))
    plugins = Counter((side_of(worker), worker.settings.plugins) for worker in lab.workers)
    assert plugins == {(side, files): 12 for side in ("base", "head") for files in ((), ("/second.py",))}
    assert {implementation for verb, implementation, _ in lab.said("prepare")} == {""}


def test_an_implementation_that_kills_the_worker_harms_no_neighbour(tmp_path):
    def script(worker, verb, args):
        if verb == "warm" and worker.case["implementation"] == "first":
            raise Failure("failed", "dies of a bad pointer")

    wanted = contest("first", "second")
    _, entries, _, _ = run(tmp_path, wanted, script)
    first, second = (only(entries, case_id, "head") for case_id in ids(wanted))
    assert {entry["status"] for entry in first} == {"failed"}
    assert [entry["status"] for entry in second] == ["ok"] * 12


def test_what_breaks_down_leaves_its_neighbours_fresh_workers_on_both_sides(tmp_path):
    def script(worker, verb, args):
        if verb == "warm" and worker.case["implementation"] == "first" and side_of(worker) == "head":
            raise Failure("failed", "no such luck")  # and the process lives on, whatever is left of it

    lab, entries, _, _ = run(tmp_path, contest("first", "second"), script)
    assert len([entry for entry in entries if entry["status"] == "failed"]) == STRIKES
    assert len(lab.workers) == 2 * (12 + STRIKES)


def test_what_only_the_head_has_shares_no_worker_with_what_both_have():
    wanted = contest("first", "second", kinds={case("second").case_id: "new"})
    assert wanted.worker_of(case("first")) != wanted.worker_of(case("second"))


def test_a_head_without_any_case_that_is_asked_for_is_refused_whatever_the_base_has(tmp_path):
    (tmp_path / "speed.toml").write_text(
        SUITE.replace('plugins = ["my_glu.py"]', "").replace('"toy:glu", "native"', '"*"')
    )
    suite = read_suite(tmp_path / "speed.toml")
    known = {"base": catalogue("first", "second"), "head": catalogue("first")}

    def of(name):
        asked = narrowed("*", glob=f"glu/{name}/*")
        return make_contest(suite, asked, known, suite.measure, 8 << 30, {"base": (), "head": ()})

    assert set(of("first").kinds.values()) == {"both"}
    with pytest.raises(SuiteError, match=r"speed\.toml: leaves no cases"):
        of("second")


def test_what_an_installed_package_gives_has_a_worker_of_its_own():
    known = replace(catalogue("first", "second", "third"), packages={"second": {"package": "mylab", "version": None}})
    wanted = contest("first", "second", "third", catalogues={"base": known, "head": known})
    keys = [wanted.worker_of(case(name)) for name in ("first", "second", "third")]
    assert keys[0] == keys[2] != keys[1]


def test_the_first_sample_of_a_round_comes_from_each_side_as_often(tmp_path):
    wanted = contest("first")
    _, entries, _, _ = run(tmp_path, wanted, times(100.0))
    firsts = Counter(e["side"] for e in entries for s in e["samples"] if s["position"] == 0)
    assert firsts == {"base": 12, "head": 12}


def test_workers_run_where_their_side_lies_in_this_block(tmp_path):
    lab, _, _, _ = run(tmp_path, contest("first"), times(100.0))
    base = [str(worker.settings.launch.directory) for worker in lab.workers if side_of(worker) == "base"]
    assert base == ["/0", "/1"] * 6
    padding = {dict(worker.settings.launch.environment)["GATEBENCH_PADDING"] for worker in lab.workers}
    assert len(padding) > 12


def test_both_sides_of_a_block_share_their_core_and_the_next_block_has_another(tmp_path, monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {4, 7})
    lab, _, _, _ = run(tmp_path, contest("first"), times(100.0))
    cores = [worker.settings.launch.cores for worker in lab.workers]
    assert cores == [(4,), (4,), (7,), (7,)] * 6


def test_a_case_that_takes_all_cores_is_not_kept_on_some(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {4, 7})
    assert cores_of(0, 2) == ()


def test_the_base_fixes_the_calls_per_sample(tmp_path):
    def script(worker, verb, args):
        if verb == "warm":
            return {
                "loops": args["loops"] or (4 if side_of(worker) == "base" else 32),
                "seconds": 0.1,
                "unsteady": False,
            }
        return None

    wanted = contest("first")
    _, entries, _, _ = run(tmp_path, wanted, script)
    assert {entry["facts"]["loops"] for entry in entries} == {4}


def test_both_sides_are_verified_and_counted_in_two_blocks(tmp_path):
    lab, _, _, _ = run(tmp_path, contest("first"), times(100.0))
    assert len(lab.said("verify")) == 4
    assert len(lab.said("profile")) == 4


# --- kinds and failures


def test_a_case_that_only_the_head_has_is_timed_alone_in_three_blocks(tmp_path):
    wanted = contest("first", "second")
    wanted = contest("first", "second", kinds={ids(wanted)[1]: "new"})
    _, entries, _, _ = run(tmp_path, wanted, times(100.0))
    assert len(only(entries, ids(wanted)[1], "head")) == 3
    assert only(entries, ids(wanted)[1], "base") == []


def test_a_case_that_only_the_base_has_is_not_measured(tmp_path):
    wanted = contest("first", "second")
    wanted = contest("first", "second", kinds={ids(wanted)[1]: "gone"})
    _, entries, _, _ = run(tmp_path, wanted, times(100.0))
    assert {entry["case_id"] for entry in entries} == {ids(wanted)[0]}


@pytest.mark.parametrize("wrong", ["base", "head"])
def test_a_wrong_side_ends_the_case_once_the_other_is_verified(tmp_path, wrong):
    other = "head" if wrong == "base" else "base"
    lab, entries, _, _ = run(tmp_path, contest("first"), fails(wrong, "verify", "wrong"))
    assert [
        (entry["side"], entry["status"]) for entry in sorted(entries, key=lambda entry: entry["side"] != wrong)
    ] == [(wrong, "wrong"), (other, "ok")]
    assert lab.said("sample") == []


def test_what_breaks_down_once_is_tried_again(tmp_path):
    wanted = contest("first")
    _, entries, _, _ = run(tmp_path, wanted, fails("head", "sample", times=1))
    statuses = [entry["status"] for entry in only(entries, ids(wanted)[0], "head")]
    assert Counter(statuses) == {"failed": 1, "ok": 11}


def test_what_breaks_down_in_two_blocks_is_given_up(tmp_path):
    wanted = contest("first", "second")
    _, entries, _, _ = run(tmp_path, wanted, fails("head", "prepare", reason="dies of it"))
    for case_id in ids(wanted):
        assert [entry["status"] for entry in only(entries, case_id, "head")] == ["failed", "failed"]
        assert len(only(entries, case_id, "base")) == 2


def test_a_case_that_the_head_refuses_and_the_base_does_is_a_row_for_both(tmp_path):
    wanted = contest("first", "second")
    refused = {"head": {ids(wanted)[1]: ("unsupported", "not any more")}}
    wanted = contest("first", "second", refused=refused)
    _, entries, _, _ = run(tmp_path, wanted, times(100.0))
    rows = {
        entry["side"]: (entry["status"], entry["reason"]) for entry in entries if entry["case_id"] == ids(wanted)[1]
    }
    assert rows == {"head": ("unsupported", "not any more"), "base": ("ok", None)}


def test_plugins_of_a_side_move_with_its_checkout(tmp_path):
    known = catalogue("first")
    places = {"base": Path("/0"), "head": Path("/1")}
    sides = {side: replace(known, files={"first": (place / "my.py",)}) for side, place in places.items()}
    lab, _, _, _ = run(tmp_path, contest("first", catalogues=sides), times(100.0))
    for worker in lab.workers:
        assert worker.settings.plugins == (str(worker.settings.launch.directory / "my.py"),)


def test_what_a_side_measured_before_it_broke_down_makes_no_block(tmp_path):
    wanted = contest("first")
    _, entries, _, _ = run(tmp_path, wanted, fails("head", "sample", times=1))
    broken = next(entry for entry in entries if entry["status"] == "failed")
    assert broken["samples"] == []
    beside = next(e for e in entries if e["side"] == "base" and e["block"] == broken["block"])
    assert len(beside["samples"]) <= 1  # it does not go on alone


def test_both_sides_settle_in_their_first_block_and_warm_up_alike_later(tmp_path):
    asked = []

    def script(worker, verb, args):
        if verb == "warm":
            asked.append((side_of(worker), args["loops"], args["limit_s"]))
            return {
                "loops": args["loops"] or 8,
                "seconds": 0.4 if side_of(worker) == "base" else 0.1,
                "unsteady": False,
            }
        return None

    run(tmp_path, contest("first"), script)
    assert asked[:2] == [("base", None, None), ("head", None, None)]
    assert {entry[1:] for entry in asked[2:]} == {(8, 0.4)}


@pytest.mark.parametrize(
    ("sample_s", "rounds"), [(None, 24), (0.005, 24), (0.010, 24), (0.021, 10), (0.03, 8), (1.0, 6)]
)
def test_long_calls_have_fewer_rounds_in_a_block(sample_s, rounds):
    assert rounds_of(Measure(rounds=24, sample_ms=5.0), sample_s) == rounds
    assert rounds_of(Measure(rounds=2, sample_ms=5.0), sample_s) == 2

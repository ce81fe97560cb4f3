"""The runner with fake workers: who is asked what, in which order, and what a failure costs."""

from collections import Counter
from pathlib import Path

import fakes
import pytest
from fakes import THREE, fails, measured, status_of
from run_helpers import by_implementation, case, plan, run

from gatebench.contract import Failure
from gatebench.run.plan import Plan
from gatebench.run.runner import Runner
from gatebench.run.schedule import round_orders
from gatebench.store.journal import Journal
from gatebench.suites import Measure

# --- order


def test_rounds_follow_the_schedule_exactly(tmp_path):
    cases = [case(name) for name in THREE]
    lab, _ = measured(tmp_path, cases, rounds=5)
    orders = round_orders(cases, 5, f"0/0/{cases[0].problem_id}")
    assert [event[1] for event in lab.said("sample")] == [each.implementation for order in orders for each in order]


def test_a_problem_is_made_ready_then_timed_then_wrapped_up(tmp_path):
    lab, _ = measured(tmp_path, [case(name) for name in THREE], rounds=2)
    verbs = [event[0] for event in lab.log if event[0] not in ("start", "stopped", "resumed", "ended")]
    assert verbs == ["prepare", "verify", "warm"] * 3 + ["sample"] * 6 + ["profile", "close"] * 3


def test_problems_follow_each_other_whole_whatever_the_order_of_cases(tmp_path):
    cases = [case("first", T=3), case("first", T=2), case("second", T=3), case("second", T=2)]
    lab, _ = measured(tmp_path, cases, rounds=2)
    assert [event[2] for event in lab.said("sample")] == [3] * 4 + [2] * 4


def test_only_one_worker_runs_at_a_time(tmp_path):
    lab, _ = measured(tmp_path, [case(name, T=length) for length in (2, 3) for name in THREE], rounds=4)
    assert lab.most_running == 1
    assert len(lab.workers) == 3


def test_the_fake_would_show_two_running_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(fakes.FakeWorker, "stop", lambda self: None)
    lab, _ = measured(tmp_path, [case(name) for name in THREE])
    assert lab.most_running == 3


def test_each_block_has_fresh_workers_and_all_end(tmp_path):
    lab, entries = measured(tmp_path, [case(name) for name in THREE], blocks=3)
    assert Counter(worker.settings.implementation for worker in lab.workers) == dict.fromkeys(THREE, 3)
    assert not any(worker.alive for worker in lab.workers)
    assert Counter(entry["block"] for entry in entries) == {0: 3, 1: 3, 2: 3}
    ends = [number for number, event in enumerate(lab.log) if event[0] == "ended"]
    starts = [number for number, event in enumerate(lab.log) if event[0] == "start"]
    assert max(ends[:3]) < starts[3]


def test_an_interrupt_while_workers_start_leaves_none_alive(tmp_path):
    lab = fakes.Lab()

    def start(settings, timeout_s):
        if len(lab.workers) == 2:
            raise KeyboardInterrupt
        return lab(settings, timeout_s)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, plan(fakes.catalogue(*THREE), [case(name) for name in THREE]), start=start)
    assert len(lab.workers) == 2
    assert not any(worker.alive for worker in lab.workers)


def test_later_blocks_keep_the_loops_and_verify_no_more(tmp_path):
    asked = []

    def script(worker, verb, args):
        if verb == "warm":
            asked.append(args["loops"])

    lab, _ = measured(tmp_path, [case("first")], script, blocks=3)
    assert asked == [None, 8, 8]
    assert len(lab.said("verify")) == 1
    assert len(lab.said("profile")) == 1


def test_what_compiles_is_compiled_before_anything_is_timed(tmp_path):
    wanted = plan(
        fakes.catalogue("first", "compile", compiles=("compile",)),
        [case(name, T=length) for length in (2, 3) for name in ("first", "compile")],
    )
    lab, _ = measured(tmp_path, [], wanted=wanted)
    prepared = [event[1:] for event in lab.log if event[0] in ("prepare", "sample")]
    assert prepared[:2] == [("compile", 2), ("compile", 3)]


# --- failures


def test_a_wrong_case_never_gets_samples(tmp_path):
    def script(worker, verb, args):
        if verb == "verify" and worker.settings.implementation == "second":
            return {"accuracy": [{"tensor": "output", "error_ratio": 50.0}], "wrong": "output: error_ratio 50"}
        return None

    lab, entries = measured(tmp_path, [case(name) for name in THREE], script, blocks=2)
    wrong = [entry for entry in entries if entry["case"]["implementation"] == "second"]
    assert [(entry["status"], entry["samples"], entry["block"]) for entry in wrong] == [("wrong", [], 0)]
    assert wrong[0]["accuracy"] == [{"tensor": "output"}]
    assert "second" not in {event[1] for event in lab.said("warm", "sample", "profile")}
    assert len(lab.said("sample")) == 2 * 2 * 2


@pytest.mark.parametrize("verb", ["prepare", "verify", "warm", "sample", "profile", "close"])
@pytest.mark.parametrize("reason", ["it broke", "dies of it"])
def test_a_case_that_fails_costs_only_itself(tmp_path, verb, reason):
    cases = [case(name, T=length) for length in (2, 3) for name in THREE]
    lab, entries = measured(tmp_path, cases, fails("failed", reason, verb, "second", 2))
    expected = {(name, length): "ok" for length in (2, 3) for name in THREE} | {("second", 2): "failed"}
    assert status_of(entries) == expected
    assert next(entry["reason"] for entry in entries if entry["status"] == "failed") == reason
    assert sum(worker.settings.implementation == "second" for worker in lab.workers) == 1 + reason.startswith("dies")


def test_a_failed_case_is_not_tried_again_in_later_blocks(tmp_path):
    lab, entries = measured(tmp_path, [case("first"), case("second")], fails("timeout", "dies", "sample", "second"), blocks=3)  # fmt: skip
    assert Counter(status for status in (entry["status"] for entry in entries)) == {"ok": 3, "timeout": 1}
    assert len([event for event in lab.said("prepare") if event[1] == "second"]) == 1
    assert sum(worker.settings.implementation == "second" for worker in lab.workers) == 1  # nor is its worker started


def test_a_worker_that_dies_in_every_case_is_given_up_and_the_others_go_on(tmp_path):
    cases = [case(name, T=length) for length in range(1, 31) for name in ("first", "second")]
    lab, entries = measured(tmp_path, cases, fails("failed", "dies", "prepare", "second"))
    statuses = Counter((entry["case"]["implementation"], entry["status"]) for entry in entries)
    assert statuses == {("first", "ok"): 30, ("second", "failed"): 30}
    assert sum(worker.settings.implementation == "second" for worker in lab.workers) == 20


def test_out_of_memory_is_tried_once_more_alone(tmp_path):
    def script(worker, verb, args):
        hungry = worker.settings.implementation == "second" and verb == "warm"
        if hungry and any(other.alive for other in worker.lab.workers if other is not worker):
            raise Failure("out_of_memory", "dies of hunger")

    lab, entries = measured(tmp_path, [case(name, T=length) for length in (2, 3) for name in THREE], script, blocks=2)
    assert set(status_of(entries).values()) == {"ok"}
    alone = [entry for entry in entries if entry["facts"].get("alone")]
    assert {entry["case"]["implementation"] for entry in alone} == {"second"}
    assert len(alone) == 4
    assert max(worker.settings.memory_bytes for worker in lab.workers) == 8 << 30  # the whole allowance
    # In the second block it is not tried beside the others first.
    assert len([event for event in lab.said("warm") if event[1] == "second"]) == 2 * 2 + 2


def test_out_of_memory_alone_too_is_the_cases_own_failure(tmp_path):
    script = fails("out_of_memory", "dies of hunger", "prepare", "second")
    _, entries = measured(tmp_path, [case(name) for name in THREE], script)
    assert by_implementation(entries)["second"] == ("out_of_memory", "dies of hunger")
    assert {by_implementation(entries)[name][0] for name in ("first", "third")} == {"ok"}


@pytest.mark.parametrize("verb", ["sample", "profile"])
def test_a_worker_killed_while_it_is_stopped_is_tried_once_more_alone(tmp_path, verb):
    killed = []

    def script(worker, asked, args):
        if asked == verb and worker.settings.implementation == "second" and not killed:
            killed.extend(other for other in worker.lab.workers if other.settings.implementation == "third")
            killed[0].alive = False

    _, entries = measured(tmp_path, [case(name) for name in THREE], script, rounds=6)
    assert set(status_of(entries).values()) == {"ok"}
    assert [entry["case"]["implementation"] for entry in entries if entry["facts"].get("alone")] == ["third"]


def test_many_cases_that_starve_do_not_use_up_their_neighbours_lives(tmp_path):
    script = fails("out_of_memory", "dies of hunger", "prepare", "second")
    cases = [case(name, T=length) for length in range(1, 31) for name in ("first", "second")]
    _, entries = measured(tmp_path, cases, script)
    assert {entry["status"] for entry in entries if entry["case"]["implementation"] == "first"} == {"ok"}


def test_a_worker_that_greets_as_unavailable_is_not_started_for_every_case(tmp_path):
    lab = fakes.Lab()

    def start(settings, timeout_s):
        worker = lab(settings, timeout_s)
        if settings.implementation == "second":
            worker.greeting = {"availability": {"status": "unavailable", "reason": "no licence"}}
        return worker

    cases = [case(name, T=length) for length in (2, 3, 4) for name in ("first", "second")]
    entries = run(tmp_path, plan(fakes.catalogue("first", "second"), cases), start=start)
    assert by_implementation(entries)["second"] == ("unavailable", "no licence")
    assert sum(worker.settings.implementation == "second" for worker in lab.workers) == 1


def test_refused_cases_get_their_row_and_no_worker(tmp_path):
    wanted = plan(fakes.catalogue(*THREE, unavailable=("third",)), [case(name) for name in THREE], blocks=2)
    lab, entries = measured(tmp_path, [], wanted=wanted)
    assert by_implementation(entries)["third"] == ("unavailable", "it is not here")
    assert "third" not in {worker.settings.implementation for worker in lab.workers}


def test_a_starting_worker_has_longer_than_a_request(tmp_path):
    given = []

    def start(settings, timeout_s):
        given.append(timeout_s)
        return fakes.Lab()(settings, timeout_s)

    run(tmp_path, plan(fakes.catalogue("first"), [case("first")], timeout_s=0.5), start=start)
    assert given == [120.0]


# --- stability


def stability_plan(*seeds):
    request = {"gate": "glu", "gate_options": {}, "init": "torch", "inputs": "normal", "dtype": "float64", "batch": 1,
               "seq_len": 4, "hidden_size": 2, "input_size": 2}  # fmt: skip
    requests = tuple({**request, "seed": seed} for seed in seeds)
    return Plan((), requests, Measure(), fakes.catalogue("eager"), 8 << 30)


def stability_entries(folder: Path, lab, wanted):
    journal = Journal(folder, "20260101T000000Z-0000")
    try:
        Runner(wanted, journal, start=lab).run()
        return sorted(journal.entries("stability"), key=lambda entry: entry["order"])
    finally:
        journal.close()


def test_a_stability_request_that_kills_its_worker_costs_only_itself(tmp_path):
    def script(worker, verb, args):
        if args["request"]["seed"] == 1:
            raise Failure("failed", "dies of it")

    lab = fakes.Lab(script)
    entries = stability_entries(tmp_path, lab, stability_plan(0, 1, 2))
    assert [(entry["rows"][0]["status"], entry["rows"][0]["reason"]) for entry in entries] == [
        ("ok", None), ("failed", "dies of it"), ("ok", None),
    ]  # fmt: skip
    assert len(lab.workers) == 2
    assert not any(worker.alive for worker in lab.workers)


def test_stability_requests_that_are_done_are_not_repeated(tmp_path):
    stability_entries(tmp_path, fakes.Lab(), stability_plan(0, 1))
    lab = fakes.Lab()
    assert len(stability_entries(tmp_path, lab, stability_plan(0, 1, 2))) == 3
    assert len(lab.said("stability")) == 1

"""The journal, and going on: a resumed run measures whole units and repeats none."""

from collections import Counter

import fakes
import pytest
from fakes import THREE, measured
from run_helpers import case, plan

from gatebench.contract import Failure
from gatebench.errors import StoreError
from gatebench.run.plan import Plan
from gatebench.store.journal import Journal
from gatebench.suites import Measure


class Killed(BaseException):
    """Stands for SIGKILL in a fake: nothing may catch it and go on."""


def killed_after(count):
    """Return a script that ends the runner at its request number `count`."""
    numbers = iter(range(10_000))

    def script(worker, verb, args):
        if next(numbers) == count:
            raise Killed

    return script


@pytest.mark.parametrize("count", [0, 7, 17, 22, 30, 44, 60])
def test_resuming_measures_whole_units_and_repeats_none(tmp_path, count):
    wanted = plan(fakes.catalogue(*THREE), [case(name, T=n) for n in (2, 3) for name in THREE], blocks=2, rounds=2)
    with pytest.raises(Killed):
        measured(tmp_path, [], killed_after(count), wanted=wanted)
    before = {path.name: path.read_bytes() for path in tmp_path.rglob("case-*.json")}
    assert len(before) % 3 == 0  # fakes are killed inside a unit, never between its files
    lab, entries = measured(tmp_path, [], wanted=wanted)
    units = Counter((event[1], event[2]) for event in lab.said("sample"))
    assert sum(units.values()) == 2 * (12 - len(before))
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("case-*.json")}.items() >= before.items()
    assert Counter(entry["block"] for entry in entries) == {0: 6, 1: 6}


def test_a_unit_of_which_one_case_is_missing_is_measured_whole_again(tmp_path):
    wanted = plan(fakes.catalogue(*THREE), [case(name, T=length) for length in (2, 3) for name in THREE], rounds=2)
    measured(tmp_path, [], wanted=wanted)
    next(path for path in tmp_path.rglob("case-*.json") if '"seq_len": 3' in path.read_text()).unlink()
    lab, entries = measured(tmp_path, [], wanted=wanted)
    assert Counter(event[1:] for event in lab.said("sample")) == {(name, 3): 2 for name in THREE}
    assert len(entries) == 6


def test_a_run_that_is_complete_starts_no_worker(tmp_path):
    wanted = plan(fakes.catalogue(*THREE), [case(name) for name in THREE], blocks=2)
    measured(tmp_path, [], wanted=wanted)
    lab, _ = measured(tmp_path, [], wanted=wanted)
    assert lab.log == []


def test_a_resumed_run_knows_failures_loops_and_who_measures_alone(tmp_path):
    def starve(worker, verb, args):
        hungry = worker.settings.implementation == "second" and verb == "warm"
        if hungry and any(other.alive for other in worker.lab.workers if other is not worker):
            raise Failure("out_of_memory", "dies of hunger")
        if worker.settings.implementation == "third" and verb == "verify":
            raise Failure("failed", "it broke")

    first = plan(fakes.catalogue(*THREE), [case(name) for name in THREE], blocks=1)
    measured(tmp_path, [], starve, wanted=first)
    asked = []

    def watch(worker, verb, args):
        if verb == "warm":
            asked.append((worker.settings.implementation, args["loops"]))

    lab, _ = measured(
        tmp_path, [], watch, wanted=Plan(first.cases, (), Measure(blocks=2, rounds=2), first.catalogue, 8 << 30)
    )
    assert sorted(asked) == [("first", 8), ("second", 8)]
    second = next(worker for worker in lab.workers if worker.settings.implementation == "second")
    assert second.settings.memory_bytes == 8 << 30


def test_a_damaged_journal_entry_is_measured_again(tmp_path):
    wanted = plan(fakes.catalogue("first"), [case("first", T=length) for length in (2, 3)])
    measured(tmp_path, [], wanted=wanted)
    next(tmp_path.rglob("case-*.json")).write_text('{"kind": "ca')
    lab, entries = measured(tmp_path, [], wanted=wanted)
    assert len(entries) == 2
    assert len(lab.said("prepare")) == 1


def test_a_journal_in_use_is_refused(tmp_path):
    journal = Journal(tmp_path, "20260101T000000Z-0000")
    try:
        with pytest.raises(StoreError, match="another process is measuring it"):
            Journal(tmp_path, "20260101T000000Z-0000")
    finally:
        journal.close()
    Journal(tmp_path, "20260101T000000Z-0000").close()

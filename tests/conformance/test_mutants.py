"""Every deliberately broken implementation is caught by the check that is meant to catch it."""

import importlib
import sys
from pathlib import Path

import pytest

from gatebench.conformance.kit import CHECKS
from gatebench.contract import Failure
from gatebench.run.fleet import start_worker
from gatebench.run.process import WorkerSettings

FOLDER = Path(__file__).resolve().parents[1] / "mutants"
FILES = ("of_values", "of_honesty")
NO_MUTANT = {"one-stream"}  # needs a CUDA device


@pytest.fixture(scope="module")
def caught_by():
    """Return mutant -> (gate, check, file)."""
    sys.path.insert(0, str(FOLDER))
    try:
        right = importlib.import_module("right")
        found = {}
        for name in FILES:
            importlib.import_module(name)
            found |= {mutant: (*entry, name) for mutant, entry in right.CAUGHT_BY.items() if mutant not in found}
    finally:
        sys.path.remove(str(FOLDER))
    return found


def test_there_are_enough_mutants_and_checks(caught_by):
    assert len(caught_by) >= 40
    assert len(CHECKS) >= 30


def test_every_check_has_a_mutant(caught_by):
    assert set(CHECKS) - {check for _, check, _ in caught_by.values()} == NO_MUTANT


def test_every_mutant_is_caught(caught_by):
    missed = {}
    for file in FILES:
        fleet = Workers(str(FOLDER / f"{file}.py"))
        try:
            for mutant, (gate, check, _) in ((name, entry) for name, entry in caught_by.items() if entry[2] == file):
                status, message = fleet.outcome(mutant, gate, check)
                if status != "failed":
                    missed[mutant] = f"{check}: {status} {message}"
        finally:
            fleet.close()
    assert not missed


class Workers:
    """One worker for all mutants of a file, a new one after each that a mutant took down."""

    def __init__(self, file):
        self.settings = WorkerSettings("", (file,), 1)
        self.worker = None

    def outcome(self, mutant, gate, check):
        if self.worker is None or not self.worker.alive:
            self.close()
            self.worker = start_worker(self.settings, 100.0)
        try:
            found = self.worker.request("check", 100.0, gate=gate, check=check, implementation=mutant)
        except Failure as failure:
            return failure.status, failure.reason
        return found["status"], found["message"]

    def close(self):
        if self.worker is not None:
            self.worker.close()

"""One test: verify the case, then let pytest-benchmark's rounds take the samples. Imports torch."""

import functools
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gatebench.cases import Case
from gatebench.contract import Failure
from gatebench.pytest_plugin.collection import SampleClock
from gatebench.pytest_plugin.runs import SuiteRun
from gatebench.registry import default_registry
from gatebench.run.inline import process_as_it_was
from gatebench.run.one_case import OneCase
from gatebench.store.exchange import extra_info, params
from gatebench.store.schema import REFUSALS


def measure_case(benchmark: Any, run: SuiteRun, case: Case, order: int, clock: SampleClock) -> None:
    """Verify a case and time it through pytest-benchmark's fixture; what it comes to is the test's outcome.

    Where benchmarks are disabled it is verified only. A refusal skips, anything else but `ok` fails, in one line.
    """
    here = OneCase(case, run.plan.measure, default_registry(), order)
    benchmark.params = params({**case.to_json(), **asdict(case.shape)})
    try:
        with process_as_it_was(), warnings.catch_warnings():
            warnings.simplefilter("default")  # told, but no failure: what a library warns of makes no result wrong
            _verify_and_time(benchmark, run, here, clock)
    except Failure as failure:
        here.entry.fail(failure)
    except BaseException:
        _discard(benchmark)  # Ctrl-C: rounds of half a case are no result
        raise
    status, reason = here.entry.status, here.entry.reason
    if benchmark.enabled:
        row = run.ended(here.entry)
        status, reason = row["status"], row["reason"]
        benchmark.extra_info |= extra_info(row, [0] * (row["samples"] or 0))
    if status != "ok":
        _discard(benchmark)
        _end(status, reason or "no reason given")


def _verify_and_time(benchmark: Any, run: SuiteRun, here: OneCase, clock: SampleClock) -> None:
    case, catalogue = here.entry.case, run.plan.catalogue
    refused = catalogue.refusal(case)

    def set_up() -> None:
        clock.seconds = 0.0
        if here.entry.facts:
            return  # verified before the first round
        if refused is not None:
            raise Failure(*refused)
        for path in catalogue.plugin_files(case):
            _add_plugin(path)
        here.verify()

    def take_round() -> None:
        if not here.entry.samples:
            here.warm()  # in here no tracer or profiler is on, which would change how many calls make a sample
        clock.seconds = here.sample() / 1e9

    target = take_round if benchmark.enabled else lambda: None
    benchmark.pedantic(target, setup=set_up, rounds=run.plan.measure.rounds)
    if benchmark.enabled:
        benchmark.stats.iterations = here.entry.facts[
            "loops"
        ]  # of a round; pytest-benchmark saw one call of take_round
        here.close()


@functools.cache
def _add_plugin(path: Path) -> None:
    """Import a plugin file, once in this process; raises Failure where another suite's plugin gives the same names."""
    try:
        default_registry().add_file(path)
    except Exception as error:  # a plugin's import may raise anything
        from gatebench.measure.failures import classify

        raise classify(error) from error


def _discard(benchmark: Any) -> None:
    """Take what was timed out of pytest-benchmark's tables and files: a wrong result never gets a time."""
    benchmark.has_error = True
    if benchmark.stats is not None:
        benchmark.stats.stats.data.clear()


def _end(status: str, reason: str) -> NoReturn:
    line = " ".join(f"{status.replace('_', ' ')}: {reason}".split())
    if status in REFUSALS:
        skipped = pytest.skip.Exception(line)
        skipped._use_item_location = True  # the suite, not this file
        raise skipped
    pytest.fail(line, pytrace=False)

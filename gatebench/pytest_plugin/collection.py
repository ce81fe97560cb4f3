"""Suites as modules of tests: one function per case, named by case id, that asks for pytest-benchmark's fixture."""

import re
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gatebench.cases import Case
from gatebench.errors import UserError
from gatebench.pytest_plugin.runs import SuiteRun, plan_suite

MISSING = "needs pytest-benchmark; accepted: any release from 5; pip install 'gatebench[pytest]'"


@dataclass
class SampleClock:
    """What pytest-benchmark reads before and after a round: 0, then the time of one call as gatebench measured it."""

    seconds: float = 0.0

    def one_call(self) -> float:
        """Return the time in seconds; pytest-benchmark's files call the timer by this name."""
        return self.seconds


class SuiteFile(pytest.Module):
    """A suite; a module without code, so that fixtures of a module's scope find one."""

    def _getobj(self) -> types.ModuleType:
        return types.ModuleType(self.path.stem)

    def collect(self) -> Iterator[pytest.Function]:
        """Return a test per case; a suite that cannot be run is an error of one line."""
        if not self.config.pluginmanager.hasplugin("pytest-benchmark"):
            raise self.CollectError(f"{self.path.name}: {MISSING}")
        try:
            run = plan_suite(self.path, self.config)
        except UserError as error:
            raise self.CollectError(str(error)) from None
        for order, case in enumerate(run.plan.cases):
            yield self._item(run, case, order)

    def _item(self, run: SuiteRun, case: Case, order: int) -> pytest.Function:
        clock = SampleClock()
        item = SuiteItem.from_parent(self, name=case.case_id, callobj=_test_of(run, case, order, clock))
        item.add_marker(pytest.mark.benchmark(group=case.problem_id, timer=clock.one_call))
        for text in (run.plan.catalogue.family(case.gate), case.mode, case.dtype, case.implementation):
            name = marker_name(text)
            self.config.addinivalue_line("markers", f"{name}: cases of gatebench suites")
            item.add_marker(name)
        return item


class SuiteItem(pytest.Function):
    """The test of one case."""

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the suite, its first line, and the case id: the code of the test is gatebench's own."""
        return self.path, 0, self.name


def marker_name(text: str) -> str:
    """Return a name that `-m` takes: `mylab:fused` is `mylab_fused`."""
    name = re.sub(r"\W", "_", text)
    return name if name[0].isalpha() else f"x{name}"  # pytest keeps names with a leading underscore for itself


def _test_of(run: SuiteRun, case: Case, order: int, clock: SampleClock) -> Callable[[Any], None]:
    def measure(benchmark: Any) -> None:
        from gatebench.pytest_plugin.measuring import measure_case  # imports torch

        measure_case(benchmark, run, case, order, clock)

    return measure

"""For plugin authors: the conformance kit as functions, and as tests in one's own pytest.

    from gatebench.testing import check_implementation, conformance_tests

    test_lstm = conformance_tests("mylab:fused", gates=["lstm"], expected_failures={"determinism": "atomics, by design"})

Every check runs in a worker process, so that one that crashes or hangs is a failed check and not a lost session.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatebench.conformance.kit import CHECKS, Check, CheckResult
from gatebench.errors import UserError, unknown
from gatebench.run.checker import Target, check_ids, find_targets, run_checks
from gatebench.run.discover import discover

__all__ = ["CHECKS", "Check", "CheckResult", "check_implementation", "conformance_tests"]


def check_implementation(
    target: str | Path,
    gates: Sequence[str] = (),
    *,
    checks: Sequence[str] = (),
    fast: bool = False,
    device: str = "cpu",
    threads: int = 1,
    plugins: Sequence[str | Path] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> list[CheckResult]:
    """Run the kit on a plugin file or an implementation by name, for all gates it does unless `gates` names some.

    checks: ids to run, all unless given; fast: only the most telling ones; plugins: further files to import; options:
    by gate or implementation, {"compile": {"chunk": 4}}. Returns one CheckResult per implementation, gate and check, in
    the kit's order; status "passed", "failed" or "not applicable", message in words, seconds.
    Raises UserError for unknown names and options, and for a plugin that cannot be used.
    """
    return list(
        run_checks(_targets(target, gates, plugins, options), check_ids(fast, checks), device=device, threads=threads)
    )


def conformance_tests(
    target: str | Path,
    gates: Sequence[str],
    *,
    expected_failures: Mapping[str, str] | None = None,
    checks: Sequence[str] = (),
    fast: bool = False,
    device: str = "cpu",
    threads: int = 1,
    plugins: Sequence[str | Path] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
) -> Callable[..., None]:
    """Return a test function, parametrised over gates and checks, to be bound to a name that begins with `test`.

    expected_failures: {check id: reason}; such a check must fail, and is reported as expected with the reason: one that
    passes fails the test, so that the list stays true. The kit runs once per gate, when its first test does.
    Raises UserError for an id that does not exist.
    """
    import pytest

    expected = dict(expected_failures or {})
    for id in expected:
        if id not in CHECKS:
            raise unknown("expected_failures", "check", id, CHECKS)
    ids = check_ids(fast, checks)
    found: dict[str, list[CheckResult]] = {}

    def worst(gate: str, check: str) -> CheckResult:
        """Return the result of a file's only implementation, or the worst of its several ones."""
        if gate not in found:
            targets = _targets(target, [gate], plugins, options)
            found[gate] = list(run_checks(targets, ids, device=device, threads=threads))
        return min((result for result in found[gate] if result.check == check), key=_severity)

    @pytest.mark.parametrize("check", ids)
    @pytest.mark.parametrize("gate", list(gates))
    def test_conformance(gate: str, check: str) -> None:
        result = worst(gate, check)
        if check in expected:
            assert result.status != "passed", f"{check} passes: take it out of expected_failures ({expected[check]})"
            if result.status == "failed":
                pytest.xfail(f"{expected[check]}: {result.message}")
        if result.status == "not applicable":
            pytest.skip(result.message)
        rule = CHECKS[check]
        assert result.status == "passed", (
            f"{result.implementation}: {result.message}\nthe rule: {rule.sentence}\nlook at: {rule.hint}"
        )

    return test_conformance


def _severity(result: CheckResult) -> int:
    return ("failed", "passed", "not applicable").index(result.status)


def _targets(
    target: str | Path, gates: Sequence[str], plugins: Sequence[str | Path],
    options: Mapping[str, Mapping[str, Any]] | None,
) -> list[Target]:  # fmt: skip
    files = [*map(Path, plugins), *([Path(target)] if str(target).endswith(".py") else [])]
    targets = find_targets(discover(files), str(target), gates, options)
    missing = set(gates) - {entry.gate for entry in targets}
    if missing:
        raise UserError("gates", f"{target} does not do {', '.join(sorted(missing))}", "gates that it does", "take them out")  # fmt: skip
    return targets

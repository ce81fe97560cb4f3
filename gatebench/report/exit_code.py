"""The exit code of a run, from its rows: 130 interrupted, 3 something is wrong or failed, 0."""

import pandas as pd

from gatebench.store.schema import FAILURES, REFUSALS


def exit_code(measurements: pd.DataFrame, named: tuple[str, ...], interrupted: bool) -> int:
    """Return the exit code. named: implementations asked for with -i, whose refusals count as failures.

    Columns: status, implementation.
    """
    if interrupted:
        return 130
    failed = measurements["status"].isin(FAILURES)
    refused = measurements["status"].isin(REFUSALS) & measurements["implementation"].isin(named)
    return 3 if bool((failed | refused).any()) else 0


def verify_exit_code(
    measurements: pd.DataFrame, gates: tuple[str, ...], implementations: tuple[str, ...], interrupted: bool
) -> int:
    """Return the exit code: 3 also where a named implementation was right nowhere that it was asked.

    gates, implementations: named by the user; where gates are, an implementation must compute each of them, in some
    dtype and mode. Columns: gate, status, implementation.
    """
    if interrupted:
        return 130
    right = measurements[measurements["status"] == "ok"]
    for name in implementations:
        done = set(right.loc[right["implementation"] == name, "gate"])
        asked = set(measurements.loc[measurements["implementation"] == name, "gate"]) & set(gates)
        if not done or asked - done:
            return 3
    return 3 if bool(measurements["status"].isin(FAILURES).any()) else 0


def stability_exit_code(stability: pd.DataFrame, interrupted: bool) -> int:
    """Return the exit code of a stability run: 3 also where nothing has a value. Columns: status."""
    if interrupted:
        return 130
    nothing = len(stability) > 0 and not (stability["status"] == "ok").any()
    return 3 if nothing or bool(stability["status"].isin(FAILURES).any()) else 0

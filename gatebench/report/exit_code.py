"""The exit code of a run, from its rows: 130 interrupted, 3 something is wrong or failed, 0."""

import pandas as pd

from gatebench.store.schema import FAILURES, REFUSALS

# What tells combinations of a stability run apart, and the metrics that each of them has, whatever is asked for.
COMBINATION = (
    "gate",
    "options",
    "init",
    "inputs",
    "dtype",
    "seq_len",
    "input_size",
    "hidden_size",
    "batch",
    "seed",
    "task",
)
OF_ALL = ("class", "nonfinite_count", "first_bad_step")


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
    """Return the exit code of a run's stability: 3 also where nothing has a value. Columns: status."""
    if interrupted:
        return 130
    nothing = len(stability) > 0 and not (stability["status"] == "ok").any()
    return 3 if nothing or bool(stability["status"].isin(FAILURES).any()) else 0


def asked_stability_exit_code(stability: pd.DataFrame, interrupted: bool) -> int:
    """Return the exit code of combinations that were asked for by name: 3 where one failed or came to nothing.

    One came to nothing where something of it was refused and nothing that can be asked for has a value: a class alone is
    said of every combination. Columns: status, metric, and those of COMBINATION.
    """
    if interrupted:
        return 130
    refused = stability["status"] != "ok"
    value = ~refused & ~stability["metric"].isin(OF_ALL)
    found = pd.DataFrame({"refused": refused, "value": value}).groupby([stability[name] for name in COMBINATION], dropna=False).any()  # fmt: skip
    nothing = bool((found["refused"] & ~found["value"]).any())
    return 3 if nothing or bool(stability["status"].isin(FAILURES).any()) else 0

"""The table of a calibration: per case how far two sides that are alike differ, and what that hides."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE
from gatebench.analyze.calibration import calibration
from gatebench.analyze.plan import MARGINS, make_plan
from gatebench.report.ci.words import percent
from gatebench.report.table import Block
from gatebench.report.terminal import print_block, print_json, print_line, relative
from gatebench.store.read import Results, Run

_AUTOCORRELATED = 0.3  # above it, samples of one process tell much the same: more blocks help, more rounds do not
_LEGEND = (
    "spread: standard deviation of paired blocks, both sides alike",
    "detects: smallest change that `gatebench ab` finds in 80 % of runs, with these blocks of screening + confirmation",
)


def calibration_of(run: Run) -> pd.DataFrame:
    """Return the noise of each case of a stored calibration, in the order of the run, with the blocks that `ab` takes.

    The manifest has the margin and the cases that compile; one of an older version has neither, and the defaults stand in.
    """
    results = Results((run,))
    cases = list(dict.fromkeys(results.measurements["case_id"]))
    given = run.manifest.get("calibration") or {"margin": MARGINS["time"], "compiles": []}
    compiles = [case for case in given["compiles"] if case in cases]  # an interrupted run has not all of them
    plan = make_plan(cases=dict.fromkeys(cases, "both"), controls={}, compiles=compiles, sides={}, margin=given["margin"])  # fmt: skip
    found = calibration(results.samples, plan).set_index("case_id")
    return found.reindex([case for case in cases if case in found.index]).reset_index()


def print_calibration(run: Run, as_json: bool = False) -> None:
    """Print the noise of each case, what could not be measured, and the worst of it in a sentence."""
    found, measurements = calibration_of(run), Results((run,)).measurements
    failed = measurements[measurements["status"] != "ok"].drop_duplicates("case_id")
    if as_json:
        failures = failed[["case_id", "status", "reason"]].to_dict("records")
        environment = run.manifest["environment_class"]
        print_json({"run_id": run.run_id, "environment_class": environment, "cases": found.to_dict("records"), "failed": failures})  # fmt: skip
        return
    print_block(noise_block(found))
    if len(failed):
        lines = tuple(f"{row.case_id}: {row.status}: {row.reason}" for row in failed.itertuples())
        print_block(Block("Not calibrated", (), (), lines))
    print_line(f"run {run.run_id}: environment class {run.manifest['environment_class']}")
    print_line(f"stored in {relative(run.path)}")


def noise_block(found: pd.DataFrame) -> Block:
    """Return the table of calibrated cases, what deserves a look below it; columns as analyze.calibration returns them."""
    cases = found.to_dict("records")
    rows = tuple(
        (
            str(row["case_id"]), _share(row["spread"]), _share(row["minimum_detectable_effect"]),
            f"{row['screen_blocks']} + {row['confirm_blocks']}",
        )
        for row in cases
    )  # fmt: skip
    notes = tuple(f"{row['case_id']}: {', '.join(troubles)}" for row in cases if (troubles := _troubles(row)))
    return Block(
        "Noise of this machine", ("case", "spread", "detects", "blocks"), rows, (*_LEGEND, *notes), unfolded=True
    )


def _share(value: float) -> str:
    return "?" if pd.isna(value) else percent(value)


def _troubles(row: Mapping[str, Any]) -> list[str]:
    """Say in words what of a case's noise deserves a look."""
    found = []
    if row["slow_share"]:
        slow, by = row["slow_share"], row["slow_by"]
        rare, change, word = (slow, by, "slower") if slow <= 0.5 else (1 - slow, by / (1 + by), "faster")
        found.append(f"{percent(rare)} of processes are {percent(change)} {word}")
    if row["autocorrelation"] > _AUTOCORRELATED:
        found.append(f"samples of a process are alike (autocorrelation {row['autocorrelation']:.1f})")
    if row["place_low"] > 0 or row["place_high"] < 0:
        found.append(f"the place of the checkout changes {percent(row['place_effect'], sign=True)}")
    if row["disturbed"] > INCONCLUSIVE_ABOVE:
        found.append(f"{percent(row['disturbed'])} of samples disturbed")
    return found

"""A stored run of two versions: its report, and its verdicts once more from the plan and the parquet alone."""

import sys
from typing import Any

from gatebench.analyze.verdicts import controls, exit_code, summary, verdicts
from gatebench.errors import StoreError, UserError
from gatebench.report.ab_blocks import ab_blocks
from gatebench.report.ci.ab_json import AbReport, ab_json
from gatebench.report.ci.escapes import escaped
from gatebench.report.terminal import print_block, print_json, print_line, relative
from gatebench.store.read import Results, Run

RECOMPUTED_DIFFERS = 2  # exit code


def ab_document(run: Run) -> dict[str, Any]:
    """Return the value of `gatebench ab --json` for a stored run; raises StoreError where plan or tables cannot be read."""
    results, plan = Results((run,)), run.plan()
    results.require()
    found = results.verdicts
    if found.loc[found["quantity"] == "time", "case_id"].tolist() != plan["order"]:
        what = "verdicts.parquet and plan.json are not of the same cases"
        raise StoreError(f"run {run.path.name}", what, "", "restore or remove the folder")
    counted = summary(found, plan)
    return ab_json(AbReport(
        run.manifest, plan, found, results.measurements, results.accuracy, counted["counts"],
        counted["decided_share"] if counted["decidable"] else None, controls(plan, found),
        exit_code(plan, found, plan["interrupted"], plan["fail_on"], plan["decided"]),
    ))  # fmt: skip


def print_ab(run: Run, document: dict[str, Any], long: bool = False, as_json: bool = False) -> None:
    """Print a run of two versions: the verdict first."""
    if as_json:
        print_json(document)
        return
    for block in ab_blocks(document, long):
        print_block(block)
    elapsed = run.manifest.get("elapsed") or {}
    print_line(f"run {run.run_id}" + (f", in {elapsed['total_s']:.0f} s" if elapsed else ""))
    if run.manifest["status"] == "partial":
        print_line("interrupted: what was not confirmed by then is inconclusive")
    print_line(f"stored in {relative(run.path)}")


def recompute(run: Run) -> list[str]:
    """Compute a run's verdicts again from plan.json, measurements and samples; returns what differs, empty where nothing.

    Raises StoreError where plan or tables cannot be read: that says nothing about the verdicts.
    """
    results = Results((run,))
    results.require("measurements", "samples", "verdicts")
    stored, again = results.verdicts, verdicts(run.plan(), results.measurements, results.samples)
    if len(stored) != len(again):
        return [f"{len(again)} rows, and {len(stored)} are stored"]
    different = []
    for column in stored.columns:
        same = (stored[column] == again[column]) | (stored[column].isna() & again[column].isna())
        for place in same.index[~same]:
            row = stored.loc[place]
            values = _python(again.loc[place, column]), _python(row[column])
            different.append(f"{row['case_id']} {row['quantity']}: {column} is {values[0]!r}, and {values[1]!r} is stored")  # fmt: skip
    return different


def _python(value: Any) -> Any:
    """Return a cell as Python's own value, whose repr is what a reader would write."""
    return value.item() if hasattr(value, "item") else value


def print_recomputed(run: Run) -> int:
    """Say whether a run's verdicts come out again, value for value; returns the exit code.

    Raises UserError for a run that has none.
    """
    if run.purpose != "ab":
        raise UserError(
            "--recompute",
            f"run {run.run_id} has no verdicts",
            "a run of `gatebench ab` is accepted",
            "see `gatebench list runs`",
        )
    different = recompute(run)
    for line in different:
        print(escaped(line), file=sys.stderr)
    count = len(Results((run,)).verdicts)
    if different:
        print(f"run {run.run_id}: {len(different)} values differ when recomputed", file=sys.stderr)
        return RECOMPUTED_DIFFERS
    print(f"run {run.run_id}: all {count} verdicts come out again, value for value")
    return 0

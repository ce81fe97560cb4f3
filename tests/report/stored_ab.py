"""A stored A/B of two cases and a control, written with the verdicts that its plan and its samples give."""

from gatebench.analyze.plan import make_plan
from gatebench.analyze.verdicts import verdicts
from gatebench.store.write import as_table, write_run
from tests.analyze.ab_frames import NOISE, both, samples

RUN_ID = "20261122T101500Z-4f1c"
SAME, SUSPECT, CONTROL = CASES = ("glu/native/x", "glu/eager/x", "glu/gatebench:control/x")
_DESCRIBED = {"gate": "glu", "family": "glu", "implementation_options": "{}", "mode": "forward", "dtype": "float32"}


def plan(cases=CASES):
    """Return the plan of these cases as plan.json holds it."""
    sides = {
        "base": {"given": "main", "sha": "b" * 40, "dirty": False, "subject": "first"},
        "head": {"given": "working tree", "sha": "c" * 40, "dirty": True, "subject": None},
    }
    controls = {case: 0.0 for case in cases if case == CONTROL}
    of = make_plan(cases=dict.fromkeys(cases, "both"), controls=controls, compiles=[], sides=sides)
    return of | {"interrupted": False}


def write_ab(store, run_id=RUN_ID, suite="quick", **changes):
    """Write the run below `store` and return its folder; changes: of its manifest."""
    measured = [row | _about(case) for case in CASES for row in both(case, time_ns=1e6, blocks=12)]
    sampled = [row for case in CASES for row in samples(case, NOISE + (0.05 if case == SUSPECT else 0.0))]
    tables = {"measurements": measured, "samples": sampled, "accuracy": [], "stability": []}
    frames = {name: as_table(name, tables[name]).to_pandas() for name in ("measurements", "samples")}
    found = verdicts(plan(), frames["measurements"], frames["samples"]).astype(object)
    tables["verdicts"] = found.where(found.notna(), None).to_dict("records")
    for rows in tables.values():
        for row in rows:
            row["run_id"] = run_id
    manifest = {
        "run_id": run_id, "created_utc": "2026-11-22T10:15:00Z", "status": "complete", "purpose": "ab",
        "suite": {"name": suite}, "environment_class": "e", "resumes": None,
    }  # fmt: skip
    gates = [{"name": "glu", "family": "glu"}]
    folders = store / "_staging" / run_id, store / "runs" / run_id
    return write_run(*folders, manifest | changes, gates, tables, plan())


def _about(case):
    return {"problem_id": "glu/x", "harness": "worker", "implementation": case.split("/")[1], **_DESCRIBED}

"""A contest over fake workers: two sides, no checkouts, no processes, in a moment."""

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fakes import Lab, catalogue
from run_helpers import QUICK, case

from gatebench.analyze.plan import make_plan
from gatebench.analyze.verdicts import verdicts
from gatebench.cases import Case
from gatebench.run.ab.budget import Budget
from gatebench.run.ab.contest import Contest, Runtime
from gatebench.run.ab.runner import AbRunner
from gatebench.run.publish import sample_rows
from gatebench.store.journal import Journal
from gatebench.store.write import as_table

RUN_ID = "20260101T000000Z-0000"


class FakePlaces:
    """Two places that are never on a disk. Mutable: `swaps` counts."""

    def __init__(self) -> None:
        self.places = {"base": Path("/0"), "head": Path("/1")}
        self.swaps = 0

    def place(self, side: str) -> Path:
        """Return where a side lies."""
        return self.places[side]

    def swap(self) -> None:
        """Let the sides change places."""
        self.places = {"base": self.places["head"], "head": self.places["base"]}
        self.swaps += 1


def contest(*names: str, kinds: Mapping[str, str] | None = None, refused: Any = None, **changes: Any) -> Contest:
    """Return a contest of one glu case for each implementation name."""
    cases = tuple(case(name) for name in names)
    both = {each.case_id: "both" for each in cases} | dict(kinds or {})
    known = catalogue(*names)
    arguments: dict[str, Any] = {
        "cases": cases, "kinds": both, "controls": {}, "refused": {"base": {}, "head": {}} | (refused or {}),
        "catalogues": {"base": known, "head": known}, "measure": QUICK, "memory_bytes": 8 << 30,
    }  # fmt: skip
    return Contest(**(arguments | changes))


def plan_of(wanted: Contest, **changes: Any) -> dict[str, Any]:
    """Return the plan of a contest."""
    sides = {"base": {"given": "main"}, "head": {"given": "working tree"}}
    return make_plan(
        cases={each.case_id: wanted.kinds[each.case_id] for each in wanted.cases}, controls=wanted.controls, compiles=[],
        sides=sides, rounds=wanted.measure.rounds, **changes,
    )  # fmt: skip


def side_of(worker: Any) -> str:
    """Return which side a fake worker belongs to."""
    return dict(worker.settings.launch.environment)["GATEBENCH_SIDE"]


def times(head_ns: float, slow: str = "", spread: float = 0.006) -> Callable[..., dict[str, Any] | None]:
    """Return a script: the base's calls take 100 ns, the head's `head_ns` (of one implementation, where it is named).

    spread: range of the noise, as a share; some, so that no two blocks are equal.
    """

    def script(worker: Any, verb: str, args: Mapping[str, Any]) -> dict[str, Any] | None:
        changed = side_of(worker) == "head" and slow in ("", worker.case.get("implementation"))
        if verb != "sample":
            return None
        noise = spread * random.Random(len(worker.lab.log)).random()
        return {"loops": 8, "wall_ns": (head_ns if changed else 100.0) * (1 + noise), "steal_ratio": 0.0}

    return script


def run(
    folder: Path, wanted: Contest, script: Any = None, budget: Budget | None = None, plan: dict[str, Any] | None = None
):  # type: ignore[no-untyped-def]
    """Run a contest with fake workers; returns (lab, entries, plan, places)."""
    lab, places = Lab(script), FakePlaces()
    plan = plan or plan_of(wanted)
    runtimes = {side: Runtime("python", (), {"GATEBENCH_SIDE": side}) for side in ("base", "head")}
    journal = Journal(folder, RUN_ID)
    try:
        AbRunner(wanted, plan, journal, places, runtimes, budget or Budget(None), start=lab).run()
    finally:
        journal.close()
    return lab, journal.entries("case"), plan, places


def judged(entries: list[dict[str, Any]], plan: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the verdict on each case's time, from what a journal holds and the plan as it is stored; all cases are right."""
    sides = {(entry["case_id"], entry["side"]) for entry in entries}
    rows = [{"run_id": RUN_ID, "case_id": case_id, "side": side, "status": "ok"} for case_id, side in sorted(sides)]
    tables = {"measurements": rows, "samples": sample_rows(RUN_ID, entries)}
    frames = [as_table(name, table).to_pandas() for name, table in tables.items()]
    found = verdicts(json.loads(json.dumps(plan)), *frames).query("quantity == 'time'")
    return found.set_index("case_id").to_dict("index")


def ids(wanted: Contest) -> list[str]:
    """Return the case ids of a contest."""
    return [each.case_id for each in wanted.cases]


def only(cases: list[dict[str, Any]], case_id: str, side: str) -> list[dict[str, Any]]:
    """Return the entries of a case and side, by block."""
    found = [entry for entry in cases if (entry["case_id"], entry["side"]) == (case_id, side)]
    return sorted(found, key=lambda entry: entry["block"])


__all__ = ["RUN_ID", "Case", "FakePlaces", "contest", "ids", "judged", "only", "plan_of", "run", "side_of", "times"]

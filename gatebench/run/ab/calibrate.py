"""A/A of the code at hand: what this machine's noise lets `ab` detect, stored with the environment class."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from gatebench.analyze.plan import make_plan
from gatebench.run.ab.budget import Budget
from gatebench.run.ab.checkouts import build, check_out
from gatebench.run.ab.job import (
    AbRequest,
    compiled,
    header_of,
    margin_of,
    prepare_contest,
    runtimes_of,
    suite_of,
)
from gatebench.run.ab.runner import AbRunner
from gatebench.run.ab.settings import settings_of
from gatebench.run.ab.sides import Side, resolve
from gatebench.run.ab.spreads import PURPOSE
from gatebench.run.execute import Outcome, conduct, new_run_id, terminations_interrupt
from gatebench.run.git import git
from gatebench.run.machine_lock import alone_on_machine
from gatebench.run.progress import Progress
from gatebench.run.publish import publish
from gatebench.store.journal import Journal


def run_calibration(
    request: AbRequest, blocks: int, store: Path, progress: Progress, say: Callable[[str], None]
) -> Outcome:
    """Measure each case of a suite against itself in fresh blocks and publish the run; raises UserError."""
    with ExitStack() as stack:
        stack.enter_context(terminations_interrupt())
        here = _alike(request.here, stack)
        say(f"calibrating: {here['head']}, against itself")
        checkouts = stack.enter_context(check_out(here, request.here))
        stack.enter_context(alone_on_machine(request.wait))
        settings = settings_of(checkouts.place("head"))
        if command := request.build or settings.build:
            say(f"building: {command}")
            build(checkouts, command, {})
        suite = suite_of(request, settings.suite, here, checkouts)
        runtimes = runtimes_of({"base": None, "head": None}, checkouts)
        contest = prepare_contest(request, suite, here, checkouts, runtimes)
        calibrated = {"margin": margin_of(request, settings), "compiles": compiled(contest)}
        # As `ab` plans it: what that refuses is refused here, before anything is measured.
        plan = make_plan(cases=contest.kinds, controls=contest.controls, sides={}, **calibrated)
        journal = Journal(store, new_run_id())
        header = {**header_of(request, suite, here, contest), "purpose": PURPOSE, "calibration": calibrated}
        journal.write_header(header)
        runner = AbRunner(contest, plan, journal, checkouts, runtimes, Budget(None), progress)

        def to_folder(interrupted: bool, seconds: float) -> Path:
            elapsed = {"total_s": seconds, "compile_s": None}
            return publish(store, journal, "partial" if interrupted else "complete", {**header, "elapsed": elapsed})

        return Outcome(*conduct(journal, lambda: runner.calibrate(blocks), to_folder))


def _alike(here: Path, stack: ExitStack) -> dict[str, Side]:
    """Return the working tree twice; outside a repository two empty folders, so that what is installed is measured."""
    if git(here, "rev-parse", "--verify", "--quiet", "HEAD") is not None:
        head = resolve("HEAD", None, here)[1]
        return {"base": head, "head": head}
    empty = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    return {side: Side(side, "what is installed", folder=empty) for side in ("base", "head")}

"""One A/B from two sides to a run folder: check out, build, describe, plan, measure, publish."""

import hashlib
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gatebench.analyze.plan import DECIDED, FAIL_ON, MARGINS, ROUNDS, SAMPLE_MS, check_options, make_plan
from gatebench.catalogue import Catalogue
from gatebench.errors import UserError
from gatebench.run.ab.budget import Budget
from gatebench.run.ab.checkouts import Checkouts, build, check_out
from gatebench.run.ab.contest import SIDES, Contest, Runtime, make_contest
from gatebench.run.ab.controls import SIDE
from gatebench.run.ab.publish import publish_ab
from gatebench.run.ab.runner import AbRunner
from gatebench.run.ab.settings import Settings, find_in_head, settings_of
from gatebench.run.ab.sides import Side, resolve
from gatebench.run.ab.spreads import stored_spreads
from gatebench.run.discover import discover
from gatebench.run.environment import environment_class, shared_memory_bytes
from gatebench.run.execute import Outcome, Request, conduct, make_header, new_run_id, terminations_interrupt
from gatebench.run.machine_lock import alone_on_machine
from gatebench.run.plan import Plan
from gatebench.run.progress import Progress
from gatebench.store.journal import Journal
from gatebench.suites import Narrowing, Suite, find_suite, read_suite

_PACKAGE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class AbRequest:
    """What a user asked for. None: the default, or what the head's pyproject.toml says."""

    base: str | None = None
    head: str | None = None
    suite: str | None = None
    here: Path = field(default_factory=Path.cwd)
    narrowing: Narrowing = field(default_factory=Narrowing)
    plugins: tuple[Path, ...] = ()
    build: str | None = None
    pythons: Mapping[str, str | None] = field(default_factory=dict)
    margin: float | None = None
    time_limit_s: float | None = None
    fail_on: tuple[str, ...] = FAIL_ON
    decided: float = DECIDED
    wait: bool = True
    command: str = ""


def run_ab(request: AbRequest, store: Path, progress: Progress, say: Callable[[str], None]) -> Outcome:
    """Measure two versions of the code and publish the run with its verdicts; raises UserError for what cannot be.

    say: prints a line about what is being done.
    """
    check_options(MARGINS["time"] if request.margin is None else request.margin, request.decided, request.fail_on)
    pythons = {side: _interpreter(side, request.pythons.get(side)) for side in SIDES}
    base, head = resolve(request.base, request.head, request.here)
    sides = {"base": base, "head": head}
    say(f"base: {base}")
    say(f"head: {head}")
    with ExitStack() as stack:
        stack.enter_context(terminations_interrupt())
        checkouts = stack.enter_context(check_out(sides, request.here))
        stack.enter_context(alone_on_machine(request.wait))  # a build disturbs another job, and is disturbed by it
        settings = settings_of(checkouts.place("head"))
        command = request.build if request.build is not None else settings.build
        if command:
            say(f"building: {command}")
            build(checkouts, command, pythons)
        suite = suite_of(request, settings.suite, sides, checkouts)
        runtimes = runtimes_of(pythons, checkouts)
        contest = prepare_contest(request, suite, sides, checkouts, runtimes)
        if pythons["base"] == pythons["head"]:
            _check_own_code(contest, suite, checkouts)
        plan = make_plan(
            cases={case.case_id: contest.kinds[case.case_id] for case in contest.cases},
            controls=contest.controls,
            compiles=compiled(contest),
            sides={name: {**side.to_json(), "versions": contest.catalogues[name].environment["versions"]} for name, side in sides.items()},
            margin=margin_of(request, settings),
            spreads=stored_spreads(store, environment_class(contest.catalogues["head"].environment)),
            rounds=contest.measure.rounds,
            seed=contest.seed,
            decided=request.decided,
            fail_on=request.fail_on,
            time_limit_s=request.time_limit_s if request.time_limit_s is not None else settings.time_limit_s,
            command=request.command,
        )  # fmt: skip
        journal = Journal(store, new_run_id())
        header = {**header_of(request, suite, sides, contest), "purpose": "ab"}
        return _measure(store, journal, header, plan, contest, checkouts, runtimes, progress)


def _measure(
    store: Path, journal: Journal, header: dict[str, Any], plan: dict[str, Any], contest: Contest,
    checkouts: Checkouts, runtimes: Mapping[str, Runtime], progress: Progress,
) -> Outcome:  # fmt: skip
    """Run and publish; Ctrl-C and SIGTERM publish what there is, with the verdicts that it allows."""
    journal.write_header({**header, "plan": plan})
    runner = AbRunner(contest, plan, journal, checkouts, runtimes, Budget(plan["time_limit_s"]), progress)

    def to_folder(interrupted: bool, seconds: float) -> Path:
        elapsed = {"total_s": seconds, "compile_s": None}
        return publish_ab(store, journal, {**header, "elapsed": elapsed}, {**plan, "interrupted": interrupted})

    return Outcome(*conduct(journal, runner.run, to_folder))


# --- what is measured


def suite_of(request: AbRequest, configured: str | None, sides: Mapping[str, Side], checkouts: Checkouts) -> Suite:
    """Read the suite from the head: as given, as its pyproject.toml says, or the shipped `quick`."""
    place = checkouts.place("head")
    name = request.suite or configured or "quick"
    own = place / "suites" / f"{name}.toml"
    if own.is_file() and "/" not in name:
        return read_suite(own)
    if name.endswith(".toml") or "/" in name:
        start = request.here if request.suite else sides["head"].folder or place
        return read_suite(find_in_head("suite", name, start, sides["head"], place))
    return read_suite(find_suite(name))


def margin_of(request: AbRequest, settings: Settings) -> float:
    """Return the change of time that counts as the same: as asked for, as the head's pyproject.toml says, or the default."""
    margin = request.margin if request.margin is not None else settings.margin
    return margin if margin is not None else MARGINS["time"]


def compiled(contest: Contest) -> list[str]:
    """Return the cases whose compile time is judged, too."""
    return [case.case_id for case in contest.cases if contest.compiles(case)]


def prepare_contest(
    request: AbRequest, suite: Suite, sides: Mapping[str, Side], checkouts: Checkouts, runtimes: Mapping[str, Runtime]
) -> Contest:
    """Describe both sides by their own workers and expand the suite for both."""
    place = {side: checkouts.place(side) for side in SIDES}
    given = [
        find_in_head("--plugin", str(path), request.here, sides["head"], place["head"]) for path in request.plugins
    ]
    of_head = list(dict.fromkeys(path.resolve() for path in (*suite.plugins, *given)))
    root = place["head"].resolve()
    of_base = [place["base"] / path.relative_to(root) if path.is_relative_to(root) else path for path in of_head]
    plugins = {"head": of_head, "base": [path for path in of_base if path.is_file()]}
    catalogues = {side: _describe(side, plugins[side], runtimes[side].launch(place[side])) for side in SIDES}
    measure = replace(suite.measure, rounds=ROUNDS, sample_ms=SAMPLE_MS)
    files = {side: tuple(found) for side, found in plugins.items()}
    return make_contest(suite, request.narrowing, catalogues, measure, shared_memory_bytes(), files)


def _check_own_code(contest: Contest, suite: Suite, checkouts: Checkouts) -> None:
    """Raise UserError where no case is of the sides' own code: a job that compares a thing with itself is always green."""
    for side in SIDES:
        place, packages = checkouts.place(side), contest.catalogues[side].packages
        if any((folder / _PACKAGE.name).is_dir() for folder in (place, place / "src")):
            return  # GateBench itself is compared
        for case in contest.cases:
            own = contest.plugins_of(case, side) or case.gate in packages or case.implementation in packages
            if own and case.case_id not in contest.controls:
                return
    raise UserError(
        suite.file, "no case is of the code here: both sides would measure the installed gatebench", "a suite with `plugins`, or --plugin FILE, is accepted",
        "name the suite, e.g. `gatebench ab suites/speed.toml`, or write it into [tool.gatebench] of pyproject.toml",
    )  # fmt: skip


def _describe(side: str, plugins: Sequence[Path], launch: Any) -> Catalogue:
    try:
        return discover(plugins, ceilings=side == "head", launch=launch)
    except UserError as error:
        raise UserError(f"{side}: {error.where}", error.what, error.accepted, error.next_step) from error


def _interpreter(side: str, given: str | None) -> str | None:
    """Return the interpreter of a side, None for this one."""
    if given is None:
        return None
    found = shutil.which(given)
    if found is None:
        raise UserError(f"--python-{side}", f"{given!r} is no program", "a Python interpreter with torch is accepted", "give its path")  # fmt: skip
    return str(Path(found).absolute())


def runtimes_of(pythons: Mapping[str, str | None], checkouts: Checkouts) -> dict[str, Runtime]:
    """Return how each side's workers start: caches of their own, and this gatebench after their checkout."""
    found = {}
    for side in SIDES:
        path = _PACKAGE.parent
        if pythons[side] is not None:  # not all that lies beside this gatebench, which may be another interpreter's
            path = checkouts.scratch("library")
            if not (path / "gatebench").is_symlink():
                (path / "gatebench").symlink_to(_PACKAGE)
        environment = {
            SIDE: side,
            # By content, so that equal code has equal kernels, also where they were tuned by timing.
            "TORCHINDUCTOR_CACHE_DIR": str(checkouts.scratch("inductor")),
            "TRITON_CACHE_DIR": str(checkouts.scratch("triton")),
            # By path: beside the sources, where they move with the checkout.
            "NUMBA_CACHE_DIR": "",
            "PYTHONPYCACHEPREFIX": "",
        }
        found[side] = Runtime(
            pythons[side] or sys.executable, (path,), environment, checkouts.scratch(f"extensions-{side}")
        )
    return found


def _hashed(path: Path) -> dict[str, str]:
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def header_of(request: AbRequest, suite: Suite, sides: Mapping[str, Side], contest: Contest) -> dict[str, Any]:
    """Return what the journal keeps of the request, as of a run of the head, with both sides."""
    catalogue = contest.catalogues["head"]
    measured = tuple(case for case in contest.cases if case.gate in catalogue.gates)
    plan = Plan(measured, (), contest.measure, catalogue, contest.memory_bytes, contest.seed)
    header = make_header(
        Request(replace(suite, plugins=contest.plugins["head"], measure=contest.measure), request.narrowing), plan
    )
    head = sides["head"]
    return {
        **header,
        "git": {"sha": head.sha, "dirty": head.dirty} if head.sha else None,
        "sides": {
            name: {**side.to_json(), "plugins": [_hashed(path) for path in contest.plugins[name]]}
            for name, side in sides.items()
        },
    }

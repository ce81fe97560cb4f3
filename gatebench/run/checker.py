"""Run the conformance kit in worker processes: a check that crashes or hangs its process is a failed check."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatebench.catalogue import Catalogue
from gatebench.conformance.kit import CHECKS, CheckResult
from gatebench.contract import Failure
from gatebench.errors import UserError, unknown
from gatebench.options import OptionValue
from gatebench.run.environment import shared_memory_bytes
from gatebench.run.fleet import start_worker
from gatebench.run.process import STARTING_S, WorkerProcess, WorkerSettings
from gatebench.run.progress import Progress, Silent

TIMEOUT_S = 300.0  # of one check; compiling takes most of it


@dataclass(frozen=True)
class Target:
    """One implementation and one gate that the kit looks at, their options, and the plugin files that give them."""

    implementation: str
    gate: str
    files: tuple[str, ...] = ()
    gate_options: tuple[tuple[str, OptionValue], ...] = ()
    implementation_options: tuple[tuple[str, OptionValue], ...] = ()


def find_targets(
    catalogue: Catalogue, wanted: str, gates: Sequence[str] = (), options: Mapping[str, Mapping[str, Any]] | None = None
) -> list[Target]:
    """Return what `gatebench check WANTED` means: the implementations of a plugin file, or one by name; all its gates.

    options: by gate or implementation. Raises UserError for an unknown name or option, a broken plugin, and gates that
    the implementation does not do.
    """
    path = Path(wanted)
    if path.suffix == ".py":
        if path.resolve() in catalogue.broken:
            raise UserError(
                f"plugin {path.name}",
                catalogue.broken[path.resolve()],
                "a plugin that can be used",
                "mend it, then check again",
            )
        names = [name for name, files in catalogue.files.items() if path.resolve() in files and name in catalogue.implementations]  # fmt: skip
        if not names:
            own = [name for name, files in catalogue.files.items() if path.resolve() in files]
            next_step = f"gatebench check eager -g {own[0]} --plugin {wanted}" if own else "gatebench new implementation NAME --gate lstm"  # fmt: skip
            raise UserError(f"plugin {path.name}", "gives no implementation", "a function decorated by gatebench.implementation is one", next_step)  # fmt: skip
    elif wanted in catalogue.implementations:
        names = [wanted]
    else:
        raise unknown("check", "implementation", wanted, [*catalogue.implementations, "a plugin file"])
    for gate in gates:
        if gate not in catalogue.gates:
            raise unknown("-g", "gate", gate, catalogue.gates)
    given = options or {}
    for name in given:
        if name not in (*names, *(gates or catalogue.gates)):
            raise unknown("-o", "gate or implementation", name, [*names, *(gates or catalogue.gates)])
    targets = [
        Target(
            name, gate, tuple(str(file) for file in catalogue.files_of(gate, name)),
            catalogue.check_options("-o", gate, given.get(gate, {})),
            catalogue.check_implementation_options("-o", name, given.get(name, {})),
        )
        for name in names for gate in gates or catalogue.gates if _does(catalogue, name, gate)
    ]  # fmt: skip
    if not targets:
        raise UserError("-g", f"{', '.join(names)} does none of {', '.join(gates)}", "a gate that it does", "gatebench list implementations")  # fmt: skip
    return targets


def _does(catalogue: Catalogue, name: str, gate: str) -> bool:
    entries = catalogue.implementations[name]["entries"]
    return any(gate in entry["gates"] or "*" in entry["gates"] for entry in entries)


def check_ids(fast: bool, only: Iterable[str] = ()) -> list[str]:
    """Return the ids of the checks to run, in the kit's order; raises UserError for an unknown one."""
    only = list(only)
    for id in only:
        if id not in CHECKS:
            raise unknown("--only", "check", id, CHECKS)
    return [id for id, check in CHECKS.items() if (id in only if only else check.fast or not fast)]


def run_checks(
    targets: Iterable[Target], ids: Sequence[str], *, device: str = "cpu", threads: int = 1, stop_at_first: bool = False,
    progress: Progress | None = None, timeout_s: float = TIMEOUT_S,
) -> Iterator[CheckResult]:  # fmt: skip
    """Yield the result of each check of each target; one worker per implementation, a new one after each death.

    stop_at_first: after a failure, only those further checks whose failure explains it.
    """
    targets, progress = list(targets), progress or Silent()
    progress.start(float(len(targets) * len(ids)))
    worker: WorkerProcess | None = None
    started_for: tuple[str, tuple[str, ...]] | None = None
    stopping = False
    try:
        for target in targets:
            if stopping:
                return
            for id in ids:
                if stopping and not CHECKS[id].explains:
                    continue
                progress.say(f"{target.implementation} {target.gate}: {id}")
                try:
                    if worker is None or not worker.alive or started_for != (target.implementation, target.files):
                        worker = _replace(worker, target, device, threads)
                        started_for = (target.implementation, target.files)
                    options = {"gate": dict(target.gate_options), "implementation": dict(target.implementation_options)}
                    answer = worker.request(
                        "check", timeout_s, gate=target.gate, check=id, device=device, options=options
                    )
                    result = CheckResult(**answer)
                except Failure as failure:
                    status = "not applicable" if failure.status in ("unavailable", "unsupported") else "failed"
                    result = CheckResult(target.implementation, target.gate, id, status, failure.reason)
                progress.advance(1.0)
                if not stopping or result.status == "failed":
                    yield result
                stopping = stopping or (stop_at_first and result.status == "failed")
    finally:
        progress.stop()
        if worker is not None:
            worker.close()


def _replace(worker: WorkerProcess | None, target: Target, device: str, threads: int) -> WorkerProcess:
    if worker is not None:
        worker.close()
    settings = WorkerSettings(target.implementation, target.files, threads, shared_memory_bytes(), device)
    return start_worker(settings, STARTING_S)

"""Ask short-lived worker processes what there is: gates, implementations, environment. A plugin that crashes one
of them costs its own names only."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from gatebench.catalogue import Catalogue
from gatebench.contract import Failure
from gatebench.errors import PluginError, UserError, unknown
from gatebench.run.environment import shared_memory_bytes
from gatebench.run.fleet import start_worker
from gatebench.run.process import STARTING_S, Launch, WorkerSettings
from gatebench.run.progress import notice_when_slow
from gatebench.run.scrub import scrub


def discover(plugins: Iterable[Path] = (), ceilings: bool = False, launch: Launch | None = None) -> Catalogue:
    """Return what can be measured here; with `ceilings` the speed of each cache level and of matrix products too (about two seconds).

    launch: where the workers run that are asked. Raises UserError where torch cannot be imported, PluginError for a plugin that breaks the rules or is missing.
    """
    try:
        described = _describe((), ceilings, launch)
    except Failure as failure:
        raise UserError(
            "gatebench",
            f"a worker cannot start: {scrub(failure.reason)}",
            "",
            "check the installation of torch, and of packages that give gatebench plugins",
        ) from failure
    catalogue = Catalogue(
        described["gates"], described["implementations"], described["environment"],
        broken_gates=described["broken_gates"], packages=described["packages"],
    )  # fmt: skip
    installed = catalogue
    given: dict[Path, dict[str, Any]] = {}
    for path in dict.fromkeys(path.resolve() for path in plugins):
        try:
            given[path] = _describe_plugin(path, installed, launch)
        except Failure as failure:
            catalogue = catalogue.with_broken_plugin(path, _where_and_why(failure))
    # An implementation may do a gate that another file gives, in whichever order they are named.
    known = {*catalogue.gates, *catalogue.broken_gates, *(name for described in given.values() for name in described["gates"])}  # fmt: skip
    for path, described in given.items():
        wrong = _unknown_gate(described, known)
        catalogue = catalogue.with_broken_plugin(path, wrong, described) if wrong else catalogue.with_plugin(path, described)  # fmt: skip
    return catalogue


def _describe_plugin(path: Path, installed: Catalogue, launch: Launch | None) -> dict[str, Any]:
    """Return the gates and implementations that a file adds to what is installed; raises Failure if it cannot be imported."""
    if not path.is_file():
        raise PluginError(f"plugin {path.name}", "no such file", "a Python file is accepted", "check the path")
    with notice_when_slow(f"plugin {path.name}: still importing; given up after {STARTING_S:.0f} s"):
        described = _describe((str(path),), False, launch)
    return {
        "gates": {name: gate for name, gate in described["gates"].items() if name not in installed.gates},
        "implementations": {
            name: entry for name, entry in described["implementations"].items() if name not in installed.implementations
        },
    }


def _where_and_why(failure: Failure) -> str:
    where = f" ({scrub(failure.where)})" if failure.where and failure.where != "worker process" else ""
    return scrub(failure.reason) + where


def _unknown_gate(described: Mapping[str, Any], known: Collection[str]) -> str | None:
    """Return what is wrong where one of a file's implementations does a gate that nothing gives."""
    for name, implementation in described["implementations"].items():
        for entry in implementation["entries"]:
            for gate in entry["gates"]:
                if gate != "*" and gate not in known:
                    error = unknown(entry["origin"], f"gate of {name}", gate, known)
                    return f"{error}; where another file gives it, name that with --plugin, too"
    return None


def _describe(plugins: tuple[str, ...], ceilings: bool, launch: Launch | None) -> dict[str, Any]:
    settings = WorkerSettings("", plugins, 1, shared_memory_bytes(), launch=launch or Launch())
    worker = start_worker(settings, STARTING_S)
    try:
        return worker.request("describe", STARTING_S, names=[], ceilings=ceilings)
    finally:
        worker.close()

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
from gatebench.run.process import STARTING_S, WorkerSettings
from gatebench.run.progress import notice_when_slow
from gatebench.run.scrub import scrub


def discover(plugins: Iterable[Path] = (), ceilings: bool = False) -> Catalogue:
    """Return what can be measured here; with `ceilings` the speed of each cache level too (about a second).

    Raises UserError where torch cannot be imported, PluginError for a plugin that breaks the rules or is missing.
    """
    try:
        described = _describe((), ceilings)
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
    paths = list(dict.fromkeys(path.resolve() for path in plugins))
    answers = [_describe_plugin(path) for path in paths]
    # An implementation may do a gate that another file gives, in whichever order they are named.
    known = {*catalogue.gates, *catalogue.broken_gates}
    known.update(name for answer in answers if not isinstance(answer, str) for name in answer["gates"])
    for path, answer in zip(paths, answers, strict=True):
        if isinstance(answer, str):
            catalogue = catalogue.with_broken_plugin(path, answer)
        elif reason := _unknown_gate(answer, known):
            catalogue = catalogue.with_broken_plugin(path, reason)
        else:
            catalogue = catalogue.with_plugin(path, answer)
    return catalogue


def _describe_plugin(path: Path) -> dict[str, Any] | str:
    """Return what a file gives, or why it cannot be imported."""
    if not path.is_file():
        raise PluginError(f"plugin {path.name}", "no such file", "a Python file is accepted", "check the path")
    try:
        with notice_when_slow(f"plugin {path.name}: still importing; given up after {STARTING_S:.0f} s"):
            return _describe((str(path),), False)
    except Failure as failure:
        where = f" ({scrub(failure.where)})" if failure.where and failure.where != "worker process" else ""
        return scrub(failure.reason) + where


def _unknown_gate(described: Mapping[str, Any], known: Collection[str]) -> str | None:
    """Return what is wrong where one of a plugin's implementations does a gate that nothing gives."""
    for name, implementation in described["implementations"].items():
        for entry in () if implementation["builtin"] else implementation["entries"]:
            for gate in entry["gates"]:
                if gate != "*" and gate not in known:
                    return str(unknown(entry["origin"], f"gate of {name}", gate, known))
    return None


def _describe(plugins: tuple[str, ...], ceilings: bool) -> dict[str, Any]:
    worker = start_worker(WorkerSettings("", plugins, 1, shared_memory_bytes()), STARTING_S)
    try:
        return worker.request("describe", STARTING_S, names=[], ceilings=ceilings)
    finally:
        worker.close()

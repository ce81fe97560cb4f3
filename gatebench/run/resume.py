"""Resume a run that was interrupted: from staging after SIGKILL or a full disk, or a published partial one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gatebench.catalogue import Catalogue
from gatebench.errors import StoreError, UserError
from gatebench.run.ab.publish import publish_ab
from gatebench.run.discover import discover
from gatebench.run.environment import environment_class
from gatebench.run.execute import Outcome, Request, make_plan, measure, new_run_id
from gatebench.run.own_files import found_again
from gatebench.run.plan import Plan
from gatebench.run.progress import Progress
from gatebench.run.publish import describe_plugin, publish
from gatebench.run.republish import recall_into
from gatebench.store.journal import Journal, staged_runs
from gatebench.store.read import WORKER, Run, find_run, load
from gatebench.suites import Measure, Narrowing, Suite


def resume(
    store: Path, name: str | None, progress: Progress, plugins: Sequence[Path] = (),
    accept: Callable[[Plan], None] = lambda plan: None,
) -> Outcome:  # fmt: skip
    """Go on with a run: one left in staging (SIGKILL, full disk), or a published partial one, as a new folder.

    name: a run id or part of it; None takes the newest run that can be resumed. plugins: where plugin files lie, if not
    beside the suite or here. accept: is shown the plan before anything is measured, and may raise. Raises UserError
    where there is nothing to resume, the environment class or a plugin differs.
    """
    staged, published = resumable(store, name)
    if published is None:
        journal = Journal(store, staged)
        try:
            header = journal.header()
            if header.get("purpose", "run") != "run" or header.get("harness", WORKER) != WORKER:
                return _publish_as_it_is(store, journal, header)
            plan = _plan_again(header, plugins)
            accept(plan)
        except BaseException:
            journal.close()
            raise
    else:
        header = _header_of(published, plugins)
        plan = _plan_again(header, plugins)
        accept(plan)
        journal = Journal(store, new_run_id())
        try:
            recall_into(journal, published)
            journal.write_header(header)
        except BaseException:
            journal.remove()  # the published run still holds it all
            raise
    return measure(store, journal, plan, header, progress)


def _publish_as_it_is(store: Path, journal: Journal, header: Mapping[str, Any]) -> Outcome:
    """Publish what a killed job measured that cannot go on: the checkouts of `ab` and `calibrate` are gone, and so is pytest's process."""
    if header.get("purpose") == "ab":
        folder = publish_ab(store, journal, header, {**header["plan"], "interrupted": True})
    else:
        folder = publish(store, journal, "partial", header)
    return Outcome(folder, interrupted=True)


def resumable(store: Path, name: str | None) -> tuple[str, Run | None]:
    """Return (run id, None) for the newest staged run that matches, or (run id, run) for a published partial one."""
    staged = [run_id for run_id in staged_runs(store) if name is None or name in run_id]
    staged = [run_id for run_id in staged if not _published_already(store, run_id)]
    if name is not None:
        if staged:
            return staged[-1], None
        run = find_run(store, name)
        if run.purpose != "run":
            what = "is of checkouts that are gone"
            raise StoreError(
                f"run {run.run_id}", what, "a run of a suite", f"gatebench compare {run.run_id}, or start it anew"
            )
        if not _by_workers(run):
            raise StoreError(f"run {run.run_id}", f"was measured by {run.manifest['harness']}", "a run of `gatebench run`", "measure it again that way")  # fmt: skip
        if run.manifest["status"] != "partial":
            raise StoreError(
                f"run {run.run_id}", "is complete", "a partial run, or one left in staging", "start a new run"
            )
        later = [other.run_id for other in load(store).folders if other.manifest.get("resumes") == run.run_id]
        if later:
            raise StoreError(f"run {run.run_id}", f"was resumed already, as {later[-1]}", "a run that no other resumes", f"gatebench compare {later[-1]}")  # fmt: skip
        return run.run_id, run
    partial = []
    if store.is_dir():
        runs = [
            run for run in load(store).folders if run.folder == "runs" and run.purpose == "run" and _by_workers(run)
        ]
        partial = [run for run in runs if run.manifest["status"] == "partial"]
    if not staged and not partial:
        raise StoreError(
            f"store {store}", "no run to resume", "a partial run, or one left in staging", "start a new run"
        )
    if partial and (not staged or partial[-1].run_id > staged[-1]):
        return partial[-1].run_id, partial[-1]
    return staged[-1], None


def _by_workers(run: Run) -> bool:
    """Say whether worker processes measured a run: only they can measure its rest alike."""
    return (run.manifest.get("harness") or WORKER) == WORKER


def _published_already(store: Path, run_id: str) -> bool:
    """Say whether a staged run was killed after its folder appeared, and remove what is left of it in staging."""
    if not (store / "runs" / run_id / "manifest.json").is_file():
        return False
    Journal(store, run_id).remove()
    return True


def _header_of(run: Run, plugins: Sequence[Path]) -> dict[str, Any]:
    """Return a journal's header for a published run, from its manifest."""
    manifest = run.manifest
    keep = ("created_utc", "suite", "request", "git", "plugins", "environment", "environment_class", "seed", "measure")
    missing = [name for name in keep if name not in manifest]
    if missing or "cases" not in manifest["request"]:
        what = f"manifest.json does not say what was asked for ({', '.join(missing) or 'request.cases'})"
        raise StoreError(f"run {run.run_id}", what, "a run that `gatebench run` wrote", "start a new run")
    gates = run.gates()
    return {
        **{name: manifest[name] for name in keep},
        "plugins": [
            {**plugin, "path": str(_plugin_again(plugin, plugins))} if plugin["file"] else plugin
            for plugin in manifest["plugins"]
        ],
        "resumes": run.run_id,
        "gates": gates,
        "gates_by_name": {gate["name"]: {"family": gate["family"]} for gate in gates},
    }


def _plan_again(header: Mapping[str, Any], plugins: Sequence[Path]) -> Plan:
    """Plan what a header asks for; raises UserError where the machine or a plugin is another one."""
    suite, request = header["suite"], header["request"]
    files = [_plugin_again(plugin, plugins) for plugin in header["plugins"] if plugin["file"]]
    catalogue = discover(files)
    for plugin in header["plugins"]:
        if not plugin["file"]:
            _check_package(plugin, catalogue)
    found = environment_class(catalogue.environment)
    if found != header["environment_class"]:
        raise UserError("--resume", f"environment class {found} is not the run's {header['environment_class']}",
                        "the machine and libraries that began it are accepted", "start a new run")  # fmt: skip
    parsed = Suite(
        suite["name"], request["why"], header["seed"], Measure(**header["measure"]), tuple(request["cases"]),
        tuple(found_again(request["stability"], header.get("own_files", {}))), (), suite["text"], suite["file"],
    )  # fmt: skip
    narrowing: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in request["narrowing"].items()
    }
    if "implementation_options" in narrowing:  # its name until options of gates came beside
        narrowing["options"] = narrowing.pop("implementation_options")
    return make_plan(Request(parsed, Narrowing(**narrowing), tuple(files)), catalogue)


def _check_package(plugin: Mapping[str, Any], catalogue: Catalogue) -> None:
    """Raise UserError where another package or version gives a name now, or none does."""
    found = catalogue.packages.get(plugin["name"], {"package": "no package", "version": ""})
    now, then = (f"{source['package']} {source['version']}".strip() for source in (found, plugin))
    if now != then:
        raise UserError("--resume", f"{plugin['name']} is given by {now}", f"{then}, with which the run began",
                        "install it, or start a new run")  # fmt: skip


def _plugin_again(plugin: Mapping[str, Any], given: Sequence[Path]) -> Path:
    """Return the file of a plugin, unchanged: as given, where it was, or in this folder."""
    name = plugin["file"]
    places = [*(path for path in given if path.name == name), Path(plugin.get("path") or name), Path(name)]
    found = [path for path in places if path.is_file()]
    if not found:
        raise UserError(
            "--resume", f"plugin {name} is not here", "the file that the run began with", f"--plugin {name}"
        )
    for path in found:
        if describe_plugin("", path)["sha256"] == plugin["sha256"]:
            return path.resolve()
    raise UserError(
        "--resume", f"plugin {name} has changed since the run began", "the file that it began with", "start a new run"
    )

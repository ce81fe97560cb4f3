"""Print two stored runs beside each other: the change of each case, their means, and what else changed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from gatebench.analyze.two_runs import changes, mean_changes
from gatebench.comparable import MEASURED, comparable_facts, differences
from gatebench.errors import UserError
from gatebench.report.change_table import change_blocks, long_changes, means_of_changes, only_in
from gatebench.report.choosing import Choice, choose_rows, expand_gates
from gatebench.report.means import check_groups
from gatebench.report.stored_run import View
from gatebench.report.table import Block, wide_legend
from gatebench.report.terminal import print_block, print_json, print_line
from gatebench.store.read import Results, Run, load

WARNING = (
    "Stored runs cannot gate: two jobs differ by far more than two versions of the code do, so a change seen here is no "
    "verdict. `gatebench ab` measures both versions in one job."
)
ACROSS = (
    "Two environment classes: these are speeds of two machines (or of two sets of libraries), not a change of the code."
)


def print_two_runs(before: Run, after: Run, view: View, across_machines: bool) -> None:
    """Print B beside A; raises UserError for two environment classes, unless `across_machines`, and for unknown names."""
    by = check_groups(view.by) or ["gate"]
    across = check_alike(before, after, across_machines, f"compare {before.run_id} {after.run_id}")
    sides = [_load(run) for run in (before, after)]
    choice = Choice(view.gates, view.implementations, view.modes, view.glob, "these runs")
    gates = expand_gates(choice, (before, after))
    frames = [(side.measurements, side.samples) for side in sides]
    changed = choose_rows(changes(*frames), gates, choice)
    means = mean_changes(changed, sides[0].samples, sides[1].samples, by)
    other = what_changed(before.manifest, after.manifest)
    if view.as_json:
        print_json(_as_json(before, after, across, changed, means, other))
        return
    shown = [long_changes(changed, across)] if view.long else change_blocks(changed, across)
    shown.append(means_of_changes(means, by, across))
    for block in shown:
        print_block(block)
    if notes := only_in(changed, view.long):
        print_block(Block("Not in both", (), (), notes))
    for block in what_changed_block(before, after):
        print_block(block)
    _print_footer(before, after, legend(changed, shown), across)


def check_alike(before: Run, after: Run, across_machines: bool, where: str) -> bool:
    """Say whether two runs are of two environment classes; raises UserError then, unless `across_machines`."""
    unlike = _unlike(before.manifest, after.manifest)
    if unlike and not across_machines:
        what = "; ".join(f"{name} {old} and {new}" for name, old, new in unlike)
        raise UserError(
            where, f"two environment classes ({what})".replace(";", ","), "two runs of one class are accepted",
            "--across-machines shows the speeds, not as a change of the code",
        )  # fmt: skip
    return bool(unlike)


def what_changed_block(before: Run, after: Run) -> tuple[Block, ...]:
    """Return a table of what else differs between two runs; none where nothing does."""
    rows = tuple((name, _word(old), _word(new)) for name, old, new in what_changed(before.manifest, after.manifest))
    return (Block("What else changed", ("what", "A", "B"), rows, numbers=False),) if rows else ()


def _load(run: Run) -> Results:
    results = load(run.path)
    results.require("measurements", "samples")
    return results


def _unlike(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return what makes two runs' timings incomparable, an empty list where they are of one class."""
    classes = [manifest.get("environment_class") for manifest in (before, after)]
    if classes[0] == classes[1]:
        return []
    facts = (comparable_facts(manifest.get("environment") or {}) for manifest in (before, after))
    return differences(*facts) or [("class", *classes)]


def what_changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (name, value in A, value in B) of what two manifests differ in: code, versions, suite, plugins, machine."""
    return differences(_circumstances(before), _circumstances(after))


def _circumstances(manifest: Mapping[str, Any]) -> dict[str, Any]:
    git, suite = manifest.get("git") or {}, manifest.get("suite") or {}
    environment = {name: value for name, value in (manifest.get("environment") or {}).items() if name not in MEASURED}
    return {
        "commit": git.get("sha"), "uncommitted changes": git.get("dirty"),
        "gatebench": manifest.get("gatebench_version"), "suite": suite.get("name"), "suite's text": suite.get("sha256"),
        "seed": manifest.get("seed"), "measure": manifest.get("measure") or {}, "status": manifest.get("status"),
        "plugin": {plugin["name"]: plugin.get("sha256") or plugin.get("version") for plugin in manifest.get("plugins") or ()},
        **environment,
    }  # fmt: skip


def _word(value: Any) -> str:
    words = {None: "none", True: "yes", False: "no"}
    text = words[value] if value is None or isinstance(value, bool) else str(value)
    return text[:12] if len(text) in (40, 64) and set(text) <= set("0123456789abcdef") else text  # a hash


def _as_json(
    before: Run, after: Run, across: bool, changed: pd.DataFrame, means: pd.DataFrame, other: list[tuple[str, Any, Any]]
) -> dict[str, Any]:
    runs = {
        name: {"run_id": run.run_id, "environment_class": run.manifest.get("environment_class")}
        for name, run in (("before", before), ("after", after))
    }
    return {
        **runs, "across_machines": across, "warning": ACROSS if across else WARNING,
        "what_changed": [{"what": name, "before": old, "after": new} for name, old, new in other],
        "changes": changed.to_dict("records"), "means": means.to_dict("records"),
    }  # fmt: skip


def legend(changed: pd.DataFrame, shown: list[Block]) -> list[str]:
    """Return what the marks of these tables mean, a line each; those that are rare only where they stand."""
    lines = ["[ ] 95 % interval over blocks, Welch's t   ~ unsettled, or machine busy, in A or B"]
    if changed["change_inconclusive"].any():
        lines.append("! inconclusive: others disturbed over a fifth of its samples in A or B")
    return [*lines, *([wide] if (wide := wide_legend(shown)) else [])]


def _print_footer(before: Run, after: Run, legend: list[str], across: bool) -> None:
    for line in legend:
        print_line(line)
    for name, run in (("A", before), ("B", after)):
        git = run.manifest.get("git") or {}
        commit = f", commit {git['sha'][:12]}{' with uncommitted changes' if git.get('dirty') else ''}" if git.get("sha") else ""  # fmt: skip
        print_line(f"{name}: run {run.run_id}{commit}")
    print_line(ACROSS if across else WARNING)

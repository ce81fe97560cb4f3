"""Print what is there and what would be measured: catalogue, environment, dry run; and what verify found."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from gatebench.report.ci.escapes import escaped
from gatebench.report.environment import environment_rows
from gatebench.report.fitness import fitness_block
from gatebench.report.names import options_label
from gatebench.report.stability_requests import lines, parts
from gatebench.report.table import Block
from gatebench.report.terminal import print_block, print_json
from gatebench.store.schema import REFUSALS
from gatebench.words import counted

_FEW = 4  # refusals or gates of one implementation that are told one by one
_SHORT = {"yes": "yes", "never": "–"}


def print_dry_run(plan: Any, as_json: bool) -> None:
    """Print what a plan would measure: cases, refusals, parts of stability, counts, expected time."""
    refusals = {case.case_id: plan.catalogue.refusal(case) for case in plan.cases}
    runnable = [case for case in plan.cases if refusals[case.case_id] is None]
    seconds = plan.expected_seconds()
    if as_json:
        print_json(
            {
                "cases": list(refusals),
                "runnable": len(runnable),
                "stability": len(plan.stability),
                "stability_parts": parts(plan.stability),
                "expected_seconds": seconds,
            }
        )
        return
    for case_id, refused in refusals.items():
        print(escaped(case_id + (f"    {refused[0]}: {refused[1]}" if refused else "")))
    for line in lines(plan.stability):
        print(escaped(line))
    problems = len({case.problem_id for case in runnable})
    cases = f"{counted(len(plan.cases), 'case')} of {counted(problems, 'problem')}, {len(runnable)} to be measured"
    requests = counted(len(plan.stability), "stability request")
    print(", ".join([*([cases] if plan.cases else []), requests]))
    long = f"{seconds / 3600:,.1f} hours" if seconds > 5400 else f"{seconds / 60:.1f} minutes"
    print(f"expected time: about {long} with warm compile caches")


def print_verified(measurements: pd.DataFrame, as_json: bool) -> None:
    """Print the largest error per gate and implementation, and every failure."""
    if as_json:
        print_json({"cases": measurements.to_dict("records")})
        return
    rows, notes = [], []
    refused: dict[str, list[str]] = {}
    labels = [f"({text})" if (text := options_label(options)) else "" for options in measurements["gate_options"]]
    measurements = measurements.assign(
        gate=(measurements["gate"] + " " + pd.Series(labels, measurements.index)).str.strip()
    )
    for (gate, implementation), group in measurements.groupby(["gate", "implementation"], sort=False):
        if group["status"].isin(REFUSALS).all():
            refused.setdefault(str(implementation), []).append(str(gate))
            continue
        counts = group["status"].value_counts()
        worst = group.loc[group["error_ratio"].idxmax()] if group["error_ratio"].notna().any() else None
        error = "–" if worst is None else f"{worst['error_ratio']:.2g} ({worst['tensor']}, {worst['dtype']})"
        rows.append((gate, implementation, ", ".join(f"{count} {status}" for status, count in counts.items()), error))
    bad = measurements[measurements["status"] != "ok"]
    wholly = [row.gate in refused.get(row.implementation, []) for row in bad.itertuples()]
    partly = bad[[not whole for whole in wholly]].drop_duplicates(["implementation", "status", "reason"])
    notes += [f"{row.case_id}: {row.status}: {row.reason}" for row in partly.itertuples()]
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for row in bad[wholly].drop_duplicates(["implementation", "gate"]).itertuples():
        reasons.setdefault((row.implementation, row.status, row.reason), []).append(row.gate)
    for implementation, gates in refused.items():
        own = {key: members for key, members in reasons.items() if key[0] == implementation}
        if len(own) > _FEW:
            notes.append(f"{implementation} refuses {', '.join(gates)}: `gatebench list --coverage` and --json say why")
        else:
            notes += [
                f"{name}: {status}: {reason}: {', '.join(gates)}" for (name, status, reason), gates in own.items()
            ]
    header = ("gate", "implementation", "cases", "largest error ratio")
    print_block(Block("Is it right? (against float64)", header if rows else (), tuple(rows), tuple(notes)))


def print_catalogue(catalogue: Any, what: str, as_json: bool) -> None:
    """Print gates, implementations and suites."""
    from gatebench.suites import find_suite, read_suite, shipped_suites

    suites = {name: read_suite(find_suite(name)).why for name in shipped_suites()}
    parts = {"gates": catalogue.gates, "implementations": catalogue.implementations, "suites": suites}
    if as_json:
        print_json({name: value for name, value in parts.items() if what in ("all", name)})
        return
    if what in ("all", "gates"):
        rows = tuple(
            (gate["name"], gate["family"], _options_text(gate["options"]), gate["source"])
            for gate in catalogue.gates.values()
        )
        print_block(Block("Gates", ("gate", "family", "options", "source"), rows, numbers=False))
    if what in ("all", "implementations"):
        rows = tuple((name, *_implementation_cells(entry)) for name, entry in catalogue.implementations.items())
        print_block(
            Block(
                "Implementations",
                ("implementation", "gates", "modes", "dtypes", "devices", "unavailable here"),
                rows,
                ("which gates: `gatebench list --coverage`, or --json",),
                numbers=False,
            )
        )
    if what in ("all", "suites"):
        print_block(Block("Suites", ("suite", "why"), tuple(suites.items()), numbers=False))


def print_gate(gate: Mapping[str, Any], as_json: bool) -> None:
    """Print one gate as a catalogue describes it: formula, tensors, options, source and reference code."""
    if as_json:
        print_json({"gate": gate})
        return
    rows = [
        (kind, name, str(tuple(size)))
        for kind, tensors in (("input", gate["inputs"]), ("parameter", gate["parameters"])) for name, size in tensors.items()
    ]  # fmt: skip
    rows += [("state", name, f"(1, {width})") for name, width in gate["state"].items()]
    rows += [("option", name, f"{option['default']}: {option['doc']}") for name, option in gate["options"].items()]
    notes = (
        "shapes are those of T = 2 steps, B = 1 row, I = H = 2",
        f"formula: {gate['equation']}",
        f"source: {gate['source']}",
        "reference code:",
        *(f"    {line}" for line in gate["reference"].splitlines()),
    )
    title = f"{gate['name']} ({gate['family']}): {gate['doc'].splitlines()[0]}"
    print_block(Block(title, ("what", "name", "shape, or default"), tuple(rows), notes, numbers=False))


def print_coverage(catalogue: Any, as_json: bool) -> None:
    """Print which implementation computes which gate here, and why the others do not."""
    names = list(catalogue.implementations)
    found = {gate: {name: catalogue.coverage(name, gate) for name in names} for gate in catalogue.gates}
    if as_json:
        print_json({"coverage": found})
        return
    reasons = dict.fromkeys(reason for row in found.values() for reason in row.values() if reason not in _SHORT)
    marks = {**_SHORT, **{reason: f"({number})" for number, reason in enumerate(reasons, start=1)}}
    rows = tuple((gate, *(marks[reason] for reason in row.values())) for gate, row in found.items())
    notes = [f"({number}) {reason}" for number, reason in enumerate(reasons, start=1)]
    notes.append("yes: computes it on this machine   –: never, by its nature")
    print_block(Block("Coverage", ("gate", *names), rows, tuple(notes), numbers=False))


def _options_text(options: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{name}={option['default']}" for name, option in options.items())


def _implementation_cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    def union(key: str) -> str:
        return ", ".join(dict.fromkeys(value for part in entry["entries"] for value in part[key]))

    claimed = {device for part in entry["entries"] for device in part["devices"]} or set(entry["unavailable"])
    reasons = {device: reason for device, reason in entry["unavailable"].items() if device in claimed}
    missing = "; ".join(f"{device}: {reason}" for device, reason in reasons.items())
    gates = union("gates").replace("*", "all")
    gates = f"{count} gates" if (count := gates.count(",") + 1) > _FEW else gates
    modes = "forward" if union("modes") == "forward" else "all"
    return gates, modes, union("dtypes"), union("devices"), missing


def print_environment(environment: Mapping[str, Any], fitness: Sequence[Mapping[str, str]], as_json: bool) -> None:
    """Print what timings on this machine depend on, and what of it hurts them."""
    if as_json:
        print_json({**environment, "fitness": fitness})
        return
    told = {"environment class": environment["environment_class"], **environment_rows(environment)}
    print_block(Block("Environment", ("what", "value"), tuple(told.items()), numbers=False))
    print_block(fitness_block(fitness))

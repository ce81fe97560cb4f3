"""Print reports: data on stdout, 100 columns wide where it is no terminal; JSON where a program reads it."""

import json
import math
import sys
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pandas as pd
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gatebench.analyze.compare import compare
from gatebench.errors import unknown
from gatebench.report.names import options_label
from gatebench.report.quantities import is_missing, significant
from gatebench.report.stability import case_summary
from gatebench.report.table import Block, blocks, long_table
from gatebench.store.read import Results, load

WIDTH = 100


def console() -> Console:
    """Return the console of stdout; 100 columns where it is no terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH, soft_wrap=False)


def print_json(value: Any) -> None:
    """Print JSON; non-finite numbers are the strings "inf", "-inf", "nan"."""
    print(json.dumps(_plain(value), indent=1, allow_nan=False, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if value is None or is_missing(value):
        return None
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "inf" if value > 0 else "-inf"
    return str(value) if isinstance(value, Path) else value


def print_block(block: Block) -> None:
    """Print one table and the lines below it."""
    out = console()
    if block.title:
        out.print(Text(block.title, style="bold"))
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1))
    for number, name in enumerate(block.header):
        table.add_column(
            Text(name), justify="right" if block.numbers and number else "left", overflow="fold", no_wrap=number == 0
        )
    for row in block.rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)
    for note in block.notes:
        out.print(Text(f"  {note}"))
    out.print()


def print_run(
    folder: Path, baseline: str | None, long: bool, metrics: tuple[str, ...], as_json: bool, **filters: Any
) -> Results:
    """Print the table of a run folder and return what was read. filters: gates, implementations, modes, glob."""
    from gatebench.errors import UserError

    results = load(folder)
    _check_filters(results.measurements, **filters)
    measurements = _filtered(results.measurements, **filters)
    samples, stability_rows = results.samples, results.stability
    if results.problems:
        raise UserError(*results.problems[0].split(": ", 1))
    if baseline is not None and baseline not in set(measurements["implementation"]):
        raise UserError(
            "--baseline",
            f"{baseline!r} is not in this run",
            f"accepted: {', '.join(measurements['implementation'].unique())}",
        )
    if as_json:
        compared = compare(measurements, samples, baseline)
        stability = case_summary(results.stability).to_dict("records") if len(results.stability) else []
        print_json(
            {"run_id": results.folders[0].run_id, "measurements": compared.to_dict("records"), "stability": stability}
        )
        return results
    if long or metrics:
        print_block(long_table(measurements, samples, metrics, baseline))
    else:
        for block in blocks(measurements, samples, stability_rows, baseline):
            print_block(block)
        if not len(measurements):
            _print_stability_table(results.stability)
    _print_footer(results, measurements)
    return results


def _check_filters(
    measurements: pd.DataFrame,
    gates: Iterable[str] = (),
    implementations: Iterable[str] = (),
    modes: Iterable[str] = (),
    glob: str = "",
) -> None:
    """Raise UserError for a name that the run does not hold."""
    del glob  # a glob that matches nothing prints nothing
    for flag, column, wanted in (
        ("-g", "gate", gates),
        ("-i", "implementation", implementations),
        ("-m", "mode", modes),
    ):
        for name in wanted:
            if name not in set(measurements[column]):
                raise unknown(flag, f"{column} of this run", name, measurements[column].unique())


def _filtered(
    measurements: pd.DataFrame,
    gates: Iterable[str] = (),
    implementations: Iterable[str] = (),
    modes: Iterable[str] = (),
    glob: str = "",
) -> pd.DataFrame:
    for column, wanted in (("gate", gates), ("implementation", implementations), ("mode", modes)):
        if wanted:
            measurements = measurements[measurements[column].isin(list(wanted))]
    if glob:
        measurements = measurements[
            [fnmatchcase(case, glob) or fnmatchcase(case, f"*{glob}*") for case in measurements["case_id"]]
        ]
    return measurements.reset_index(drop=True)


def _print_footer(results: Results, measurements: pd.DataFrame) -> None:
    run = results.folders[0]
    counts = measurements["status"].value_counts()
    words = ", ".join(f"{count} {str(status).replace('_', ' ')}" for status, count in counts.items())
    out = console()
    legend = "* fastest   = tied with it   ~ unsettled, or machine busy   [ ] 95 % interval over blocks"
    if (measurements["blocks"] == 1).any():
        legend += "   ? one block: ties unknown"
    out.print(Text(legend))
    out.print(
        Text(
            f"run {run.run_id}: {words or 'no cases'}"
            + (" (partial: interrupted)" if run.manifest["status"] == "partial" else "")
        )
    )
    out.print(Text(f"stored in {_relative(run.path)}"))


def _relative(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def print_stability(folder: Path, as_json: bool) -> Results:
    """Print the stability table of a run folder and return what was read."""
    results = load(folder)
    if as_json:
        print_json(
            {"run_id": results.folders[0].run_id, "stability": case_summary(results.stability).to_dict("records")}
        )
        return results
    _print_stability_table(results.stability)
    _print_footer(results, results.measurements)
    return results


def _print_stability_table(stability: pd.DataFrame) -> None:
    rows = []
    for row in case_summary(stability).to_dict("records"):
        lyapunov = (
            "–"
            if is_missing(row["lyapunov"])
            else f"{row['lyapunov']:.4f} ({row['lyapunov_low']:.4f} to {row['lyapunov_high']:.4f})"
        )
        options = options_label(row["options"])
        rows.append((
            row["gate"] + (f" ({options})" if options else ""), str(row["init"]), str(row["dtype"]),
            f"T{row['seq_len']} B{row['batch']} H{row['hidden_size']}", _steps(row["half_life"]), _steps(row["reach"]),
            lyapunov, str(row["label"] or "–"), str(row["seeds"]),
        ))  # fmt: skip
    bad = stability[stability["status"] != "ok"]
    reasons = [
        f"{row.gate}, {row.init}: {row.status}: {row.reason}"
        for row in bad.drop_duplicates(["gate", "init", "reason"]).itertuples()
    ]
    header = ("gate", "init", "dtype", "shape", "half-life", "reach", "Lyapunov (nats/step)", "class", "seeds")
    print_block(Block("Do gradients survive? (half-life and reach in steps)", header, tuple(rows), tuple(reasons)))


def _steps(value: float | None) -> str:
    return "–" if is_missing(value) else significant(float(value), 3)


def print_dry_run(plan: Any, as_json: bool) -> None:
    """Print what a plan would measure: cases, refusals, counts, expected time."""
    refusals = {case.case_id: plan.catalogue.refusal(case) for case in plan.cases}
    runnable = [case for case in plan.cases if refusals[case.case_id] is None]
    seconds = plan.expected_seconds()
    if as_json:
        print_json(
            {
                "cases": list(refusals),
                "runnable": len(runnable),
                "stability": len(plan.stability),
                "expected_seconds": seconds,
            }
        )
        return
    for case_id, refused in refusals.items():
        print(case_id + (f"    {refused[0]}: {refused[1]}" if refused else ""))
    problems = len({case.problem_id for case in runnable})
    print(
        f"{len(plan.cases)} cases of {problems} problems, {len(runnable)} to be measured, {len(plan.stability)} stability requests"
    )
    print(f"expected time: about {seconds / 60:.1f} minutes with warm compile caches")


def print_verified(measurements: pd.DataFrame, as_json: bool) -> None:
    """Print the largest error per gate and implementation, and every failure."""
    if as_json:
        print_json({"cases": measurements.to_dict("records")})
        return
    rows = []
    for (gate, implementation), group in measurements.groupby(["gate", "implementation"], sort=False):
        counts = group["status"].value_counts()
        worst = group.loc[group["error_ratio"].idxmax()] if group["error_ratio"].notna().any() else None
        error = "–" if worst is None else f"{worst['error_ratio']:.2g} ({worst['tensor']}, {worst['dtype']})"
        rows.append((gate, implementation, ", ".join(f"{count} {status}" for status, count in counts.items()), error))
    bad = measurements[measurements["status"] != "ok"].drop_duplicates(["implementation", "status", "reason"])
    notes = [f"{row.case_id}: {row.status}: {row.reason}" for row in bad.itertuples()]
    print_block(
        Block(
            "Is it right? (against float64)",
            ("gate", "implementation", "cases", "largest error ratio"),
            tuple(rows),
            tuple(notes),
        )
    )


def print_catalogue(catalogue: Any, what: str, as_json: bool) -> None:
    """Print gates, implementations and suites."""
    from gatebench.suites import find_suite as find
    from gatebench.suites import read_suite, shipped_suites

    suites = {name: read_suite(find(name)).why for name in shipped_suites()}
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
                ("implementation", "gates", "dtypes", "devices", "unavailable here"),
                rows,
                numbers=False,
            )
        )
    if what in ("all", "suites"):
        print_block(Block("Suites", ("suite", "why"), tuple(suites.items()), numbers=False))


def _options_text(options: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{name}={option['default']}" for name, option in options.items())


def _implementation_cells(entry: Mapping[str, Any]) -> tuple[str, str, str, str]:
    def union(key: str) -> str:
        return ", ".join(dict.fromkeys(value for part in entry["entries"] for value in part[key]))

    claimed = {device for part in entry["entries"] for device in part["devices"]} or set(entry["unavailable"])
    reasons = {device: reason for device, reason in entry["unavailable"].items() if device in claimed}
    missing = "; ".join(f"{device}: {reason}" for device, reason in reasons.items())
    gates = union("gates").replace("*", "all")
    return gates, union("dtypes"), union("devices"), missing


def print_environment(environment: Mapping[str, Any], as_json: bool) -> None:
    """Print what timings on this machine depend on."""
    if as_json:
        print_json(environment)
        return
    ceilings = [
        f"{_capacity(level['bytes'])}: {float(level['bytes_per_s']) / 1e9:.0f} GB/s"
        for level in environment.get("ceilings", [])
    ]
    rows = (
        ("environment class", environment["environment_class"]),
        ("processor", f"{environment['device_name']}, {environment['cores']} cores, {environment['capability']}"),
        ("memory", f"{environment['memory_gib']} GiB"),
        ("caches", ", ".join(f"{name} {size >> 10} KiB" for name, size in environment["caches"].items())),
        ("memory ceilings", "; ".join(ceilings) or "not measured"),
        ("CUDA", options_label(json.dumps(environment["cuda"])) if environment.get("cuda") else "no CUDA device"),
        ("governor", environment.get("governor") or "unknown"),
        ("system", f"{environment['system']}, {environment['machine']}"),
        ("versions", ", ".join(f"{name} {text}" for name, text in environment["versions"].items())),
    )
    print_block(Block("Environment", ("what", "value"), rows, numbers=False))


def _capacity(size: Any) -> str:
    return "memory" if size in ("inf", math.inf) else f"up to {float(size) / 2**20:.0f} MiB"

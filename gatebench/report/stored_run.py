"""Print one stored run: its table, a row per case, its stability; as text or JSON."""

import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from rich.text import Text

from gatebench.analyze.compare import compare, pay_back_calls
from gatebench.errors import UserError, unknown
from gatebench.own_files import short_name
from gatebench.report.quantities import is_missing, range_text, significant
from gatebench.report.stability import case_summary, gate_names, not_ok
from gatebench.report.table import Block, blocks, fastest, long_table
from gatebench.report.terminal import console, print_block, print_json
from gatebench.selection import FAMILY, expand_families, matches_glob
from gatebench.store.read import Results, load

_MANY_TABLES = 4  # more of them scroll out of sight: a summary follows


@dataclass(frozen=True)
class View:
    """What of a run is shown, and how. Hiding rows changes no number of the others."""

    baseline: str | None = None
    gates: tuple[str, ...] = ()
    implementations: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    glob: str = ""
    long: bool = False
    metrics: tuple[str, ...] = ()
    as_json: bool = False


def print_run(folder: Path, view: View, fresh: bool = False) -> Results:
    """Print the table of a run folder and return what was read; raises UserError for names that the run lacks.

    fresh: the run has just ended, so a baseline that came to nothing is replaced by the default one, with a note.
    """
    results = load(folder)
    measurements, samples, stability = results.measurements, results.samples, results.stability
    if results.problems:
        raise UserError(*results.problems[0].split(": ", 1))
    timed = measurements.loc[measurements["time_ns"].notna(), "implementation"]
    baseline = view.baseline
    if baseline is not None and baseline not in set(timed):
        if not fresh:
            raise unknown("--baseline", "timed implementation of this run", baseline, timed.unique())
        print(f"--baseline: {baseline} has no time in this run; the default baseline stands in", file=sys.stderr)
        baseline = None
    gates = _expand(view.gates, results)
    compared = compare(measurements, samples, baseline)
    compared = _chosen(compared.assign(pay_back_calls=pay_back_calls(compared)), gates, view)
    if gates or len(compared) < len(measurements):
        stability = stability[stability["gate"].isin([*gates, *compared["gate"]])]
    if view.as_json:
        rows = {"measurements": compared.to_dict("records"), "stability": _stability_records(stability)}
        print_json({"run_id": results.folders[0].run_id, **rows})
        return results
    if not len(measurements):
        print_block(_stability_block(stability))
    elif view.long or view.metrics:
        print_block(long_table(compared, view.metrics))
    else:
        tables = blocks(compared, samples, stability)
        for block in tables:
            print_block(block)
        if len(tables) > _MANY_TABLES:
            print_block(fastest(compared))
        if len(failed := _stability_failures(stability)):
            print_block(Block("Stability that came to nothing", (), (), failed))
    _print_footer(results, compared)
    return results


def print_stability(folder: Path, as_json: bool) -> Results:
    """Print the stability table of a run folder and return what was read."""
    results = load(folder)
    if as_json:
        print_json({"run_id": results.folders[0].run_id, "stability": _stability_records(results.stability)})
        return results
    print_block(_stability_block(results.stability))
    _print_footer(results, results.measurements)
    return results


def _expand(gates: tuple[str, ...], results: Results) -> tuple[str, ...]:
    """Return the gates' names; `family:<name>` stands for the run's gates of that family."""
    families = {gate["name"]: gate["family"] for gate in results.folders[0].gates()}
    choices = [*families, *(FAMILY + family for family in sorted(set(families.values())))]
    return tuple(expand_families(gates, families, lambda name: unknown("-g", "gate of this run", name, choices)))


def _chosen(compared: pd.DataFrame, gates: tuple[str, ...], view: View) -> pd.DataFrame:
    """Return the rows that the view shows; raises UserError for a name that the run does not hold."""
    chosen = compared
    for flag, column, wanted in (("-i", "implementation", view.implementations), ("-m", "mode", view.modes)):
        for name in wanted:
            if name not in set(compared[column]):
                raise unknown(flag, f"{column} of this run", name, compared[column].unique())
        if wanted:
            chosen = chosen[chosen[column].isin(wanted)]
    if gates:
        chosen = chosen[chosen["gate"].isin(gates)]
    if view.glob:
        chosen = chosen[[matches_glob(case_id, view.glob) for case_id in chosen["case_id"]]]
        if chosen.empty:
            raise UserError("-k", f"{view.glob!r} matches no case of this run", "a glob on case ids", "see --long")
    return chosen.reset_index(drop=True)


def _print_footer(results: Results, shown: pd.DataFrame) -> None:
    run = results.folders[0]
    counts = shown["status"].value_counts()
    words = ", ".join(f"{count} {str(status).replace('_', ' ')}" for status, count in counts.items())
    hidden = len(results.measurements) - len(shown)
    words = words or ("no case is left" if hidden else "stability only")
    words += f" ({hidden} more hidden)" if hidden else ""
    out = console()
    if shown["time_ns"].notna().any():
        legend = "* fastest   = tied with it   ~ unsettled, or machine busy   [ ] 95 % interval over blocks"
        out.print(Text(legend + ("   ? one block: ties unknown" if (shown["blocks"] == 1).any() else "")))
    elif len(shown):
        out.print(Text("Nothing was timed: the reasons are above."))
    elapsed = run.manifest.get("elapsed") or {}
    took = f", in {elapsed['total_s']:.0f} s, {elapsed['compile_s']:.0f} s of them compiling" if elapsed else ""
    out.print(Text(f"run {run.run_id}: {words}{took}"))
    if run.manifest["status"] == "partial":
        out.print(Text(f"interrupted: `gatebench run --resume {run.run_id}` measures the rest"))
    out.print(Text(f"stored in {_relative(run.path)}"))


def _relative(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _stability_records(stability: pd.DataFrame) -> list[dict]:
    return case_summary(stability).to_dict("records") if len(stability) else []


def _stability_failures(stability: pd.DataFrame) -> tuple[str, ...]:
    """Return a line per gate, init and reason for what has no values."""
    failed = not_ok(stability).drop_duplicates(["gate", "init", "status", "reason"])
    return tuple(f"{row.gate}, {short_name(row.init)} init: {row.status}: {row.reason}" for row in failed.itertuples())


def _stability_block(stability: pd.DataFrame) -> Block:
    """Return a row per case; an init, inputs, a dtype or a number of seeds that all rows share stands in the title."""
    cases = case_summary(stability)
    words = pd.DataFrame(
        {
            "gate": gate_names(cases),
            "init": cases["init"].map(short_name),
            "inputs": cases["inputs"].map(short_name),
            "dtype": cases["dtype"],
            "seeds": cases["seeds"].astype(str),
            "shape": [f"T{row.seq_len} B{row.batch} H{row.hidden_size}" for row in cases.itertuples()],
        }
    )
    told = {"init": "init {}", "inputs": "inputs {}", "dtype": "{}", "seeds": "seeds {}"}
    shared = [key for key in told if words[key].nunique() == 1]
    names = words.drop(columns=shared)
    numbers = pd.DataFrame(
        {
            "class": ["–" if is_missing(label) else str(label) for label in cases["label"]],
            "half-life": cases["half_life"].map(_steps),
            "reach": cases["reach"].map(_steps),
            "Lyapunov (nats/step)": [
                range_text(row.lyapunov, row.lyapunov_low, row.lyapunov_high) for row in cases.itertuples()
            ],
        }
    )
    in_title = ["half-life and reach in steps", *(told[key].format(words[key].iloc[0]) for key in shared)]
    title = f"Do gradients survive? ({', '.join(in_title)})"
    rows = pd.concat([names, numbers], axis=1)
    brackets = "in brackets: the 95 % interval over seeds; of one seed, two standard errors"
    notes = (*([brackets] if cases["lyapunov_low"].notna().any() else []), *_stability_failures(stability))
    return Block(
        title, tuple(rows.columns), tuple(rows.itertuples(index=False, name=None)), notes, names=len(names.columns)
    )


def _steps(value: float | None) -> str:
    return "–" if is_missing(value) else significant(float(value), 3)

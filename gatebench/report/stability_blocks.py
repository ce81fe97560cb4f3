"""Stability as tables of the terminal: what gradients do, spectra, training; what has no value and why."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from gatebench.own_files import short_name
from gatebench.report.quantities import is_missing, range_text, significant
from gatebench.report.stability import case_summary, gate_names, not_ok
from gatebench.report.stability_ends import spectra_table, training_ends
from gatebench.report.table import Block

_TOLD = {  # columns that stand in the title where all rows share them, and how
    "init": "init {}", "inputs": "inputs {}", "probe": "probe {}", "task": "task {}", "after": "after {} steps", "dtype": "{}",
    "seeds": "seeds {}", "shape": "{}",
}  # fmt: skip
_PLAIN = {"inputs": "", "probe": "ones", "task": "", "after": ""}  # shared by nearly all runs, and not worth a word
NOTHING = "–"


def stability_json(stability: pd.DataFrame) -> dict[str, list[dict]]:
    """Return what a run's stability gives to programs: a record per case, and one per spectrum and per training, if any."""
    tables = {"spectra": spectra_table(stability), "training": training_ends(stability)}
    records = {name: table.to_dict("records") for name, table in tables.items() if len(table)}
    return {"stability": case_summary(stability).to_dict("records"), **records}


def failures(stability: pd.DataFrame) -> tuple[str, ...]:
    """Return a line per gate and reason for what has no values."""
    return tuple(f"{row.gate}, init {row.init}: {row.status}: {row.reason}" for row in not_ok(stability).itertuples())


def stability_blocks(stability: pd.DataFrame) -> list[Block]:
    """Return the tables that a run's stability fills, the first always; below the last one what came to nothing."""
    blocks = [_gradients(stability)]
    if len(spectra := spectra_table(stability)):
        blocks.append(_spectra(spectra))
    if len(training := training_ends(stability)):
        blocks.append(_training(training))
    return [*blocks[:-1], replace(blocks[-1], notes=(*blocks[-1].notes, *failures(stability)))]


def _gradients(stability: pd.DataFrame) -> Block:
    cases = case_summary(stability)
    rows = list(cases.itertuples())
    cells = {
        "class": [NOTHING if is_missing(row.label) else row.label for row in rows],
        "half-life": _numbers(cases["half_life"]),
        "in theory": _numbers(cases["predicted_half_life"]),
        "reach": _numbers(cases["reach"]),
        "Lyapunov (nats/step)": [range_text(row.lyapunov, row.lyapunov_low, row.lyapunov_high) for row in rows],
        "mean field": _numbers(cases["predicted_lyapunov"]),
        "edge at g": _numbers(cases["predicted_edge"]),
    }
    notes = {
        "lyapunov_low": "in brackets: the 95 % interval over seeds; of one seed, two standard errors",
        "predicted_half_life": "in theory: the half-life of a gate whose weights are all 0 but for the bias",
        "predicted_lyapunov": "mean field: the largest exponent of an infinitely wide network",
        "predicted_edge": "edge at g: the gain above which the state 0 is unstable, infinitely wide",
    }
    told = tuple(note for column, note in notes.items() if cases[column].notna().any())
    after = cases["train_step"].map(_whole)
    return _block("Do gradients survive?", ["half-life and reach in steps"], cases, after, cells, told)


def _spectra(cases: pd.DataFrame) -> Block:
    cells = spectrum_cells(cases)
    notes = {
        "λ": "λ: first and last Lyapunov exponent, nats/step; D_KY: Kaplan-Yorke dimension; medians over seeds",
        "ln σ": "ln σ: first and last singular value of ds_T/ds_0, nats; medians over seeds",
        "ln|det|": "ln|det|: of ds_T/ds_0; median over seeds and batch rows",
    }
    told = tuple(note for column, note in notes.items() if _any(cells[column]))
    return _block("Spectra", [], cases, cases["train_step"].map(_whole), cells, told)


def spectrum_cells(cases: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of `spectra_table` as text: ends of the spectra, what is not resolved, dimension, determinant."""
    singular = zip(cases["log_singular_values"], cases["unresolved"], strict=True)
    return {
        "λ": [_ends(values) for values in cases["lyapunov_exponents"]],
        "D_KY": _numbers(cases["kaplan_yorke_dimension"]),
        "ln σ": [_ends(values) + (f" ({count} unresolved)" if count else "") for values, count in singular],
        "ln|det|": _numbers(cases["log_abs_det"]),
    }


def _training(cases: pd.DataFrame) -> Block:
    notes = (
        "loss: the first step's, and the mean of the last tenth; norms before clipping; medians over seeds",
        *(["not finite: steps of all seeds that were left out"] if cases["nonfinite_steps"].sum() else []),
    )
    after = cases["after_steps"].map(_whole)
    return _block("What training does", ["half-life in steps"], cases, after, training_cells(cases), notes)


def training_cells(cases: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of `training_ends` as text: loss and half-life before and after, clipping, steps left out."""
    rows = list(cases.itertuples())
    return {
        "loss": [_change(row.loss_first, row.loss_last) for row in rows],
        "half-life": [_change(row.half_life_first, row.half_life_last) for row in rows],
        "clipped": [NOTHING if is_missing(row.clip_rate) else f"{row.clip_rate:.0%}" for row in rows],
        "norm p50, p99": [f"{_number(row.gradient_norm_p50)}, {_number(row.gradient_norm_p99)}" for row in rows],
        "not finite": [NOTHING if is_missing(row.nonfinite_steps) else f"{row.nonfinite_steps:.0f}" for row in rows],
    }


def _block(
    title: str, in_title: list[str], cases: pd.DataFrame, after: pd.Series, cells: dict[str, list[str]], notes: tuple[str, ...]
) -> Block:  # fmt: skip
    """Return a row per case, without columns that hold nothing; what all rows share stands in the title."""
    if not len(cases):
        return Block(title, (), (), notes)
    words = pd.DataFrame(
        {
            "gate": gate_names(cases),
            "init": cases["init"].map(short_name),
            "inputs": ["" if inputs == "task" else short_name(inputs) for inputs in cases["inputs"]],
            "probe": cases.get("probe", "ones"),
            "task": ["" if is_missing(task) else task for task in cases["task"]],
            "after": after,
            "dtype": cases["dtype"],
            "seeds": cases["seeds"].astype(str),
            "shape": _shapes(cases),
        }
    )
    shared = [key for key in _TOLD if words[key].nunique() == 1]
    told = [key for key in shared if words[key].iloc[0] != _PLAIN.get(key)]
    said = [*in_title, *(_TOLD[key].format(words[key].iloc[0]) for key in told)]
    names = words.drop(columns=shared)
    rows = names.assign(**{column: texts for column, texts in cells.items() if _any(texts)})
    header = tuple(rows.columns)
    return Block(f"{title} ({', '.join(said)})", header, tuple(rows.itertuples(index=False, name=None)), notes, names=len(names.columns))  # fmt: skip


def _shapes(cases: pd.DataFrame) -> list[str]:
    """Name sizes; I only where it follows neither from H nor from the task."""
    found = []
    for row in cases.itertuples():
        width = "" if row.input_size == row.hidden_size or not is_missing(row.task) else f"I{row.input_size} "
        found.append(f"T{row.seq_len} B{row.batch} {width}H{row.hidden_size}")
    return found


def _any(texts: Sequence[str]) -> bool:
    return any(text != NOTHING for text in texts)


def _whole(step: float | None) -> str:
    return "" if is_missing(step) else str(int(step))


def _ends(values: list[float]) -> str:
    """Return the first and the last of a spectrum."""
    return f"{_number(values[0])} … {_number(values[-1])}" if values else NOTHING


def _change(first: float, last: float) -> str:
    return NOTHING if is_missing(first) and is_missing(last) else f"{_number(first)} → {_number(last)}"


def _numbers(values: pd.Series) -> list[str]:
    return [_number(value) for value in values]


def _number(value: float | None) -> str:
    return NOTHING if is_missing(value) else significant(float(value))

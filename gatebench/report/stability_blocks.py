"""Stability as tables of the terminal: what gradients do, spectra, precision, training; what has no value and why."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from gatebench.own_files import short_name
from gatebench.report.quantities import is_missing, range_text, significant
from gatebench.report.stability import CASE, case_summary, gate_names, not_ok
from gatebench.report.stability_ends import precision_table, saturation_ends, spectra_table, training_ends
from gatebench.report.table import Block

_TOLD = {  # columns that stand in the title where all rows share them, and how
    "init": "init {}", "inputs": "inputs {}", "probe": "probe {}", "task": "task {}", "after": "after {} steps", "dtype": "{}",
    "seeds": "seeds {}", "shape": "{}",
}  # fmt: skip
_PLAIN = {"inputs": "", "probe": "ones", "task": "", "after": ""}  # shared by nearly all runs, and not worth a word
_OTHERS = {"open": "of gates that are 0 or 1, share of 1", "flat": "slope below 0.01"}
NOTHING = "–"


def stability_json(stability: pd.DataFrame) -> dict[str, list[dict]]:
    """Return what a run's stability gives to programs: a record per case, and what else there is of each."""
    tables = {
        "spectra": spectra_table(stability), "low_precision": precision_table(stability),
        "saturation": saturation_ends(stability), "training": training_ends(stability),
    }  # fmt: skip
    records = {name: table.to_dict("records") for name, table in tables.items() if len(table)}
    return {"stability": case_summary(stability).to_dict("records"), **records}


def failures(stability: pd.DataFrame) -> tuple[str, ...]:
    """Return a line per gate and reason for what has no values."""
    return tuple(f"{row.gate}, init {row.init}: {row.status}: {row.reason}" for row in not_ok(stability).itertuples())


def stability_blocks(stability: pd.DataFrame) -> list[Block]:
    """Return the tables that a run's stability fills, the first at least; below the last one what came to nothing.

    Where the first one holds nothing, that is its answer: below it. Beside others, and without such an answer, it is left out.
    """
    blocks = [_gradients(stability)]
    told, missed = len(blocks[0].header) > blocks[0].names, failures(stability)
    if len(spectra := spectra_table(stability)):
        blocks.append(_spectra(spectra))
    if len(rounded := precision_table(stability)):
        blocks.append(_precision(rounded))
    if len(letters := _without_gradients(saturation_ends(stability), stability)):
        blocks.append(_saturation(letters))
    if len(training := training_ends(stability)):
        blocks.append(_training(training))
    place = -1 if told else 0
    blocks[place] = replace(blocks[place], notes=(*blocks[place].notes, *missed))
    return blocks if told or missed or len(blocks) == 1 else blocks[1:]


def _gradients(stability: pd.DataFrame) -> Block:
    cases = case_summary(stability)
    rows = list(cases.itertuples())
    # Beside a half-life or an exponent, a gap to a bound says little.
    gaps = cases["bound_gap"].where(cases["half_life"].isna() & cases["lyapunov"].isna())
    cells = {
        "class": [NOTHING if is_missing(row.label) else row.label for row in rows],
        "half-life": _numbers(cases["half_life"]),
        "in theory": _numbers(cases["predicted_half_life"]),
        "reach": _numbers(cases["reach"]),
        "Lyapunov (nats/step)": [range_text(row.lyapunov, row.lyapunov_low, row.lyapunov_high) for row in rows],
        "mean field": _numbers(cases["predicted_lyapunov"]),
        "edge at g": _numbers(cases["predicted_edge"]),
        "bound gap (nats)": _numbers(gaps),
    }
    medians = "; half-life and reach: medians over seeds and rows" if cases["half_life"].notna().any() else ""
    notes = {
        "label": f"class: that of the worst seed and row{medians}",
        "lyapunov_low": "in brackets: the 95 % interval over seeds; of one seed, two standard errors",
        "predicted_half_life": "in theory: the half-life of a gate whose weights are all 0 but for the bias",
        "predicted_lyapunov": "mean field: the largest exponent of an infinitely wide network",
        "predicted_edge": "edge at g: the gain above which the state 0 is unstable, infinitely wide",
    }
    told = tuple(note for column, note in notes.items() if cases[column].notna().any())
    if gaps.notna().any():
        told += ("bound gap: ln of the Jacobians' bound less ln of the gradient's norm, at lag T; median over seeds",)
    after = cases["train_step"].map(_whole)
    steps = any(_any(cells[column]) for column in ("half-life", "in theory", "reach"))
    in_title = ["half-life and reach in steps"] if steps else []
    return _block("Do gradients survive?", in_title, cases, after, cells, told)


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


def _precision(cases: pd.DataFrame) -> Block:
    cells = precision_cells(cases)
    notes = {
        "error": "error: ‖δ - δ64‖ / ‖δ64‖ of the first step's gradient (lag T; of stacks: the first layer's), δ64 in float64 at the same rounded weights; median over seeds",
        "underflow": "underflow: share of its entries that are 0 where float64's are not; median over seeds",
        "false plateau": "false plateau: the most lags at the end over which float64's norm falls to half or less and this one hardly (by under a tenth of that in nats), so that a half-life above says too much; median of the rows of all seeds that have one, and how many have",
        "loss scale": "loss scale: the largest power of two that keeps every gradient finite; median over seeds and rows",
        "half-life (float64)": "half-life (float64): at the same rounded weights; median over seeds and rows; where one above is far from it, rounding made that one",
    }  # fmt: skip
    told = tuple(note for column, note in notes.items() if _any(cells[column]))
    in_title = ["false plateau and half-life in steps"] if _any(cells["false plateau"]) else []
    return _block("Low precision", in_title, cases, cases["train_step"].map(_whole), cells, told)


def precision_cells(cases: pd.DataFrame) -> dict[str, list[str]]:
    """Return the columns of `precision_table` as text: errors at the first step, false plateaus, loss scale, half-life."""
    return {
        "error": _numbers(cases["relative_error"]),
        "underflow": [NOTHING if is_missing(share) else _share(share) for share in cases["underflow_share"]],
        "false plateau": [_plateau(row) for row in cases.itertuples()],
        "loss scale": [_power_of_two(scale) for scale in cases["usable_loss_scale"]],
        "half-life (float64)": _numbers(cases["reference_half_life"]),
    }


def _plateau(row: Any) -> str:
    if not row.rows:
        return NOTHING
    return f"{row.false_plateau:.0f} ({row.plateau_rows} of {row.rows} rows)" if row.plateau_rows else "none"


def _power_of_two(scale: float) -> str:
    known = not is_missing(scale) and 0 < scale < math.inf
    return f"2^{math.log2(scale):.0f}" if known else _number(scale)


def _without_gradients(cases: pd.DataFrame, stability: pd.DataFrame) -> pd.DataFrame:
    """Return the cases of which neither a half-life nor an exponent was measured: the first table says little of them."""
    summary = case_summary(stability)
    told = summary[summary["half_life"].notna() | summary["lyapunov"].notna()]
    keys = [frame[CASE].astype(object).where(frame[CASE].notna(), None) for frame in (cases, told)]
    names = set(keys[1].itertuples(index=False, name=None))
    return cases[[key not in names for key in keys[0].itertuples(index=False, name=None)]].reset_index(drop=True)


def _saturation(cases: pd.DataFrame) -> Block:
    cells = {"letters": [_letters(letters) for letters in cases["letters"]]}
    note = "by letter of the gate: share of its values at the ends of its range, where its derivative is nearly 0; mean over seeds"
    others = [f"{word}: {meaning}" for word, meaning in _OTHERS.items() if any(f" {word}" in text for text in cells["letters"])]  # fmt: skip
    block = _block("Saturation", [], cases, cases["train_step"].map(_whole), cells, ("; ".join([note, *others]),))
    return replace(block, numbers=False)


def _letters(letters: dict[str, dict[str, float]]) -> str:
    """Return e.g. `f 14%, i 2%`; behind the share stands what it is, where it is no share at the ends of a range."""
    told = [
        f"{letter} {_share(share)}{'' if what == 'saturated' else f' {what}'}"
        for letter, shares in letters.items() for what, share in shares.items()
    ]  # fmt: skip
    return ", ".join(told) or NOTHING


def _share(share: float) -> str:
    return "<1%" if 0 < share < 0.005 else f"{share:.0%}"


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

"""Stability as tables of the terminal: what gradients do, spectra, training; what has no value and why."""

from dataclasses import replace

import numpy as np
import pandas as pd

from gatebench.own_files import short_name
from gatebench.report.quantities import is_missing, range_text, significant
from gatebench.report.stability import CASE, case_summary, gate_names, measured, not_ok
from gatebench.report.table import Block

_TOLD = {  # columns that stand in the title where all rows share them, and how
    "init": "init {}", "inputs": "inputs {}", "probe": "probe {}", "task": "task {}", "after": "after {} steps", "dtype": "{}",
    "seeds": "seeds {}",
}  # fmt: skip
_PLAIN = {"probe": "ones", "task": "", "after": ""}  # shared by nearly all runs, and not worth a word

SPECTRUM_NOTES = (
    "λ: first and last Lyapunov exponent, nats/step; D_KY: Kaplan-Yorke dimension",
    "ln σ: first and last singular value of ds_T/ds_0, nats; all medians over seeds",
)
TRAINING_NOTES = ("loss: the first step's, and the mean of the last tenth; norms before clipping; medians over seeds",)


def stability_records(stability: pd.DataFrame) -> list[dict]:
    """Return a record per case, for JSON."""
    return case_summary(stability).to_dict("records") if len(stability) else []


def failures(stability: pd.DataFrame) -> tuple[str, ...]:
    """Return a line per gate, init and reason for what has no values."""
    failed = not_ok(stability).drop_duplicates(["gate", "init", "status", "reason"])
    return tuple(f"{row.gate}, {short_name(row.init)} init: {row.status}: {row.reason}" for row in failed.itertuples())


def stability_blocks(stability: pd.DataFrame) -> list[Block]:
    """Return the tables that a run's stability fills, the first always; below the last one what came to nothing."""
    blocks = [_gradients(stability)]
    ok = measured(stability)
    metrics = set(ok["metric"])
    if metrics & {"lyapunov_exponent", "log_singular_value", "log_abs_det"}:
        blocks.append(_spectra(ok))
    if "train_loss" in metrics:
        blocks.append(_training(ok))
    return [*blocks[:-1], replace(blocks[-1], notes=(*blocks[-1].notes, *failures(stability)))]


def _gradients(stability: pd.DataFrame) -> Block:
    cases = case_summary(stability)
    numbers = pd.DataFrame(
        {
            "class": ["–" if is_missing(label) else str(label) for label in cases["label"]],
            "half-life": cases["half_life"].map(_number),
            "reach": cases["reach"].map(_number),
            "Lyapunov (nats/step)": [
                range_text(row.lyapunov, row.lyapunov_low, row.lyapunov_high) for row in cases.itertuples()
            ],
        }
    )
    brackets = "in brackets: the 95 % interval over seeds; of one seed, two standard errors"
    notes = (brackets,) if cases["lyapunov_low"].notna().any() else ()
    return _block("Do gradients survive?", ["half-life and reach in steps"], cases, numbers, notes)


def _spectra(ok: pd.DataFrame) -> Block:
    return _block("Spectra", [], *spectrum_cells(ok), SPECTRUM_NOTES)


def spectrum_cells(ok: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row per case, and the same rows as text: ends of the spectra, what is not resolved, dimension, determinant."""
    cases, cells = [], []
    for key, case in ok[ok["probe"] == "ones"].groupby(CASE, dropna=False, sort=False):
        found = _spectrum_cells(dict(list(case.groupby("metric"))))
        if any(text != "–" for text in found.values()):
            cases.append({**dict(zip(CASE, key, strict=True)), "seeds": case["seed"].nunique()})
            cells.append(found)
    return pd.DataFrame(cases), pd.DataFrame(cells)


def _spectrum_cells(metrics: dict[str, pd.DataFrame]) -> dict[str, str]:
    exponents, singular = (_by_index(metrics.get(name)) for name in ("lyapunov_exponent", "log_singular_value"))
    dimension, determinant = metrics.get("kaplan_yorke_dimension"), metrics.get("log_abs_det")
    unresolved = 0
    if len(singular):
        labels = metrics["log_singular_value"]
        unresolved = labels.loc[labels["label"] == "unresolved", "index"].nunique()
    return {
        "λ": _ends(exponents),
        "D_KY": "–" if dimension is None else significant(float(dimension["value"].median())),
        "ln σ": _ends(singular) + (f" ({unresolved} unresolved)" if unresolved else ""),
        "ln|det|": "–" if determinant is None else significant(float(_middle(determinant["value"]))),
    }


def _ends(values: np.ndarray) -> str:
    """Return the first and the last of a spectrum."""
    return f"{significant(float(values[0]))} … {significant(float(values[-1]))}" if len(values) else "–"


def _middle(values: pd.Series) -> float:
    """Return the median, an observed value: nothing is interpolated between -inf and a number."""
    return float(np.quantile(values.dropna().to_numpy(dtype=float), 0.5, method="inverted_cdf"))


def _by_index(rows: pd.DataFrame | None) -> np.ndarray:
    """Return the medians over seeds by index."""
    if rows is None:
        return np.array([])
    return rows.groupby("index")["value"].agg(_middle).to_numpy(dtype=float)


def _training(ok: pd.DataFrame) -> Block:
    return _block("What training does", ["half-life in steps"], *training_cells(ok), TRAINING_NOTES)


def training_cells(ok: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a row per trained case, and the same rows as text: loss and half-life before and after, clipping, norms."""
    rows = ok[ok["task"].notna() & (ok["probe"] == "ones")]
    keys = [name for name in CASE if name not in ("train_step", "probe")]
    cases, cells = [], []
    for key, case in rows.groupby(keys, dropna=False, sort=False):
        metrics = dict(list(case[case["index"].isna() & (case["part"].fillna("") == "")].groupby("metric")))
        after = int(case["train_step"].max())
        cases.append({**dict(zip(keys, key, strict=True)), "seeds": case["seed"].nunique(), "train_step": float(after)})
        loss, half_life = metrics["train_loss"], metrics.get("half_life")
        cells.append({
            "loss": f"{_median(loss, 0)} → {_last_tenth(loss)}",
            "half-life": "–" if half_life is None else f"{_median(half_life, 0)} → {_median(half_life, after)}",
            "clipped": "–" if "clip_rate" not in metrics else f"{metrics['clip_rate']['value'].median():.0%}",
            "norm p50, p99": ", ".join(_median(metrics[f"train_gradient_norm_{name}"], after) for name in ("p50", "p99")),
            "not finite": f"{metrics['nonfinite_steps']['value'].median():.0f}",
        })  # fmt: skip
    return pd.DataFrame(cases), pd.DataFrame(cells)


def _median(rows: pd.DataFrame, step: int) -> str:
    values = rows.loc[rows["train_step"] == step, "value"].dropna()
    return _number(_middle(values)) if len(values) else "–"


def _last_tenth(loss: pd.DataFrame) -> str:
    steps = loss["train_step"].astype(float)
    last = loss[steps >= 0.9 * steps.max()]
    return _number(float(last.groupby("seed")["value"].mean().median()))


def _block(
    title: str, in_title: list[str], cases: pd.DataFrame, numbers: pd.DataFrame, notes: tuple[str, ...]
) -> Block:
    """Return a row per case; what all rows share stands in the title."""
    steps = cases["train_step"] if "train_step" in cases else pd.Series(np.nan, index=cases.index)
    words = pd.DataFrame(
        {
            "gate": gate_names(cases),
            "init": cases["init"].map(short_name),
            "inputs": cases["inputs"].map(short_name),
            "probe": cases.get("probe", "ones"),
            "task": ["" if is_missing(task) else task for task in cases["task"]],
            "after": ["" if is_missing(step) else str(int(step)) for step in steps],
            "dtype": cases["dtype"],
            "seeds": cases["seeds"].astype(str),
            "shape": [f"T{row.seq_len} B{row.batch} H{row.hidden_size}" for row in cases.itertuples()],
        }
    )
    shared = [key for key in _TOLD if words[key].nunique() <= 1]
    told = [key for key in shared if len(words) and words[key].iloc[0] != _PLAIN.get(key)]
    said = [*in_title, *(_TOLD[key].format(words[key].iloc[0]) for key in told)]
    names = words.drop(columns=shared)
    rows = pd.concat([names, numbers], axis=1)
    heading = f"{title} ({', '.join(said)})" if said else title
    cells = tuple(rows.itertuples(index=False, name=None))
    return Block(heading, tuple(rows.columns), cells, notes, names=len(names.columns))


def _number(value: float | None) -> str:
    return "–" if is_missing(value) else significant(float(value), 3)

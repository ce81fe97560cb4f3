"""Stability along an axis: half-lives and exponents against a number, spectra by index, training by step.

Columns needed: those of stability.parquet. All take the values over seeds together: median and outer deciles (observed
values, so that inf never becomes NaN), exponents as mean with a 95 % interval.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from gatebench.own_files import FROM_FILE, short_name
from gatebench.report.names import natural
from gatebench.report.quantities import is_missing
from gatebench.report.stability import BY_STEP, CASE, case_summary, gate_names, measured, quantiles, row_values

SPECTRA = {"lyapunov_exponent": "Lyapunov exponent", "log_singular_value": "ln σ / T"}
SIZES = ("train_step", "seq_len", "hidden_size")  # columns that a sweep goes along, where it is no number of an init
# What cases may differ in beside gate, init and dtype, and how a series says it.
TOLD = {
    "inputs": "inputs {}", "seq_len": "T={}", "hidden_size": "H={}", "input_size": "I={}", "batch": "B={}",
    "probe": "probe {}", "task": "{}", "train_step": "{} steps",
}  # fmt: skip
_UNTOLD = (("inputs", "task"), ("probe", "ones"))  # the task itself is said, and ones are the probe unless it says so


def series(stability: pd.DataFrame, but: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the rows with gates named with their options, and with `init` saying all else that cases differ in.

    but: columns that a figure draws as an axis of its own and that need no telling. What all cases share is not said.
    """
    rows = stability.assign(gate=gate_names(stability), init=stability["init"].map(short_name))
    cases = rows[[name for name in CASE if name in rows]].drop_duplicates()
    for column in _differing(cases, but):
        rows = rows.assign(init=[f"{init}{_told(column, value)}" for init, value in _pairs(rows, "init", column)])
    return rows


def _differing(cases: pd.DataFrame, but: tuple[str, ...]) -> list[str]:
    """Return the columns that tell cases apart, beside those that need no telling."""
    return [
        column
        for column in TOLD
        if column not in but
        and cases[column].nunique(dropna=column != "task") > 1
        and not (column == "input_size" and _follows(cases))
    ]


def _pairs(rows: pd.DataFrame, left: str, right: str) -> Iterator[tuple[Any, Any]]:
    return zip(rows[left], rows[right], strict=True)


def _follows(cases: pd.DataFrame) -> bool:
    """Say whether the input size follows from the task or the hidden size, as it does unless it is given."""
    return bool((cases.groupby(["task", "hidden_size"], dropna=False)["input_size"].nunique() <= 1).all())


def _told(column: str, value: Any) -> str:
    """Say what a case has in a column; nothing where it has nothing there, as a task where none was trained on."""
    if is_missing(value) or (column, value) in _UNTOLD:
        return ""
    return ", " + TOLD[column].format(f"{value:.0f}" if isinstance(value, float) else short_name(str(value)))


def sweep_axis(stability: pd.DataFrame) -> str | None:
    """Return what a sweep is drawn against: `init` where all share a form with a number, else a size or the training step."""
    cases = _cases(stability)
    numbered = [_numbered(init) for init in cases["init"].unique()]
    if len(numbered) > 1 and len({form for form, _ in numbered}) == 1 and numbered[0][0] is not None:
        return "init"
    return next((name for name in SIZES if cases[name].dropna().nunique() > 1), None)


def sweep_axes(stability: pd.DataFrame) -> list[str]:
    """Return all that a sweep can be drawn against: forms of inits that come with several numbers, then SIZES."""
    cases = _cases(stability)
    counts = Counter(form for form, _ in map(_numbered, cases["init"].unique()))
    return [
        *(form for form, count in counts.items() if form is not None and count > 1),
        *(name for name in SIZES if cases[name].dropna().nunique() > 1),
    ]


def _numbered(init: str) -> tuple[str | None, float]:
    """Return the form of an init and its number, e.g. forget_bias and 2.0; None and NaN where it has none."""
    form, _, number = str(init).partition("=")
    try:
        value = float(number)
    except ValueError:  # a store from elsewhere may hold any text
        return None, np.nan
    return (None, np.nan) if form.startswith(FROM_FILE) else (form, value)  # selectors of a file have a = too


def _cases(stability: pd.DataFrame) -> pd.DataFrame:
    """Return what was measured, once each; losses by step and the like are no cases of their own."""
    case = (stability["status"] == "ok") & ~stability["metric"].isin(BY_STEP)
    return stability.loc[case, CASE].drop_duplicates()


def sweep_table(stability: pd.DataFrame, along: str | None = None) -> pd.DataFrame:
    """Return one row per case of a sweep: the columns of case_summary, axis (its name), x, and what theory predicts.

    gate says the options and, where cases differ in more than gate, dtype and the axis, that too; the rows are in the order
    of gate (as the rows list them), dtype and x. Empty without an axis.
    along: one of sweep_axes, whose form of init leaves other inits out; without it, sweep_axis says.
    """
    axis = along or sweep_axis(stability)
    if axis is None:
        return pd.DataFrame()
    if axis not in ("init", *SIZES):
        stability = stability[stability["init"].str.startswith(f"{axis}=")]
        axis = "init"
    summary = case_summary(stability)
    numbered = [_numbered(init) for init in summary["init"]]
    summary["axis"] = numbered[0][0] if axis == "init" else axis
    summary["x"] = [number for _, number in numbered] if axis == "init" else summary[axis].astype(float)
    summary["gate"] = gate_names(summary)
    place = {gate: number for number, gate in enumerate(dict.fromkeys(summary["gate"]))}
    summary["place"] = summary["gate"].map(place)
    for column in _differing(summary, (axis,)):
        summary["gate"] = [f"{gate}{_told(column, value)}" for gate, value in _pairs(summary, "gate", column)]
    if axis != "init" and summary["init"].nunique() > 1:
        summary["gate"] += ", " + summary["init"].map(short_name)
    found = summary[summary["x"].notna()].reset_index(drop=True)
    keys = [(row.place, natural(row.gate), row.dtype, row.x) for row in found.itertuples()]
    return found.iloc[sorted(range(len(found)), key=keys.__getitem__)].drop(columns="place").reset_index(drop=True)


def spectrum_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return exponents and singular values by index: gate, init, dtype, kind, index, value, low, high, resolved, seeds.

    Both in nats/step: singular values as ln σ / T. value is the median over seeds, low and high the outer deciles.
    """
    rows = measured(stability, SPECTRA).dropna(subset=["value"])
    per_step = np.where(rows["metric"] == "log_singular_value", rows["seq_len"].astype(float), 1.0)
    rows = rows.assign(value=rows["value"].astype(float) / per_step, kind=rows["metric"].map(SPECTRA))
    keys = ["gate", "init", "dtype", "kind", "index"]
    found = [
        {**dict(zip(keys, key, strict=True)), **dict(zip(("low", "value", "high"), quantiles(group["value"].to_numpy(float)), strict=True)),
         "resolved": bool((group["label"] != "unresolved").all()), "seeds": group["seed"].nunique()}
        for key, group in rows.groupby(keys, sort=False)[["value", "label", "seed"]]
    ]  # fmt: skip
    return pd.DataFrame(found, columns=pd.Index([*keys, "value", "low", "high", "resolved", "seeds"]))


def training_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return losses and norms by step, clip rates by window, half-lives by snapshot: gate, init, dtype, what, step, value, low, high, seeds.

    value is the median over seeds, of half-lives over seeds and batch rows; low and high are the outer deciles.
    """
    keys, found = ["gate", "init", "dtype"], []
    columns = pd.Index([*keys, "what", "step", "value", "low", "high", "seeds"])
    rows = stability[(stability["status"] == "ok") & stability["task"].notna()]
    if rows.empty:
        return pd.DataFrame(columns=columns)
    wanted = {
        "loss": rows["metric"] == "train_loss",
        "gradient norm": rows["metric"] == "train_gradient_norm",
        "clip rate": (rows["metric"] == "clip_rate") & rows["index"].notna(),  # without index: all windows together
        "half-life": (rows["metric"] == "half_life") & (rows["probe"] == "ones"),
    }
    for what, mask in wanted.items():
        for key, group in rows[mask].groupby([*keys, "train_step"], sort=False)[["index", "value", "seed"]]:
            values = row_values(group) if what == "half-life" else group["value"].dropna().to_numpy(float)
            low, middle, high = quantiles(values)
            *case, step = key
            found.append({
                **dict(zip(keys, case, strict=True)), "what": what, "step": int(step), "value": middle, "low": low,
                "high": high, "seeds": group["seed"].nunique(),
            })  # fmt: skip
    return pd.DataFrame(found, columns=columns)

"""Stability along an axis: half-lives and exponents against a number, spectra by index, training by step.

Columns needed: those of stability.parquet. All take the values over seeds together: median and outer deciles (observed
values, so that inf never becomes NaN), exponents as mean with a 95 % interval.
"""

from collections import Counter

import numpy as np
import pandas as pd

from gatebench.report.stability import CASE, case_summary, gate_names, measured, quantiles

SPECTRA = {"lyapunov_exponent": "Lyapunov exponent", "log_singular_value": "ln σ / T"}
SIZES = ("train_step", "seq_len", "hidden_size")  # columns that a sweep goes along, where it is no number of an init
# What cases may differ in beside gate, init and dtype, and how a series that differs says so.
_TOLD = {
    "inputs": "inputs {}", "seq_len": "T={}", "hidden_size": "H={}", "input_size": "I={}", "batch": "B={}",
    "probe": "probe {}", "task": "{}", "train_step": "{} steps",
}  # fmt: skip


def series(stability: pd.DataFrame, but: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the rows with gates named with their options, and with `init` saying all else that cases differ in.

    but: columns that a figure draws as an axis of its own and that need no telling. An init of one's own weights, inputs
    and sizes stay as they are where all cases share them.
    """
    rows = stability.assign(gate=gate_names(stability))
    cases = rows[[name for name in CASE if name in rows]].drop_duplicates()
    for column, form in _TOLD.items():
        if column in but or cases[column].dropna().nunique() < 2 or (column == "input_size" and _follows(cases)):
            continue
        told = rows[column].map(lambda value, form=form: "" if pd.isna(value) else ", " + form.format(_plain(value)))
        rows = rows.assign(init=rows["init"] + told)
    return rows


def _follows(cases: pd.DataFrame) -> bool:
    """Say whether the input size follows from the task or the hidden size, as it does unless it is given."""
    return bool((cases.groupby(["task", "hidden_size"], dropna=False)["input_size"].nunique() <= 1).all())


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def sweep_axis(stability: pd.DataFrame) -> str | None:
    """Return what a sweep is drawn against: `init` where all share a form with a number, else a size or the training step."""
    cases = measured(stability)[CASE].drop_duplicates()
    if cases.empty:
        return None
    parts = cases["init"].astype(str).str.partition("=")
    if parts[0].nunique() == 1 and parts[2].nunique() > 1 and (parts[1] == "=").all():
        return "init"
    return next((name for name in SIZES if cases[name].dropna().nunique() > 1), None)


def sweep_axes(stability: pd.DataFrame) -> list[str]:
    """Return all that a sweep can be drawn against: forms of inits that come with several numbers, then SIZES."""
    cases = measured(stability)[CASE].drop_duplicates()
    parts = [str(init).partition("=") for init in cases["init"].unique()]
    numbers = pd.to_numeric(pd.Series([number for *_, number in parts], dtype=object), errors="coerce")
    counts = Counter(form for (form, *_), number in zip(parts, numbers, strict=True) if number == number)
    return [
        *(form for form, count in counts.items() if count > 1),
        *(name for name in SIZES if cases[name].dropna().nunique() > 1),
    ]


def sweep_table(stability: pd.DataFrame, along: str | None = None) -> pd.DataFrame:
    """Return one row per case of a sweep: the columns of case_summary, axis (its name), x, and what theory predicts.

    gate says the options and, where cases differ in more than gate, dtype and the axis, that too. Empty without an axis.
    along: one of sweep_axes, whose form of init leaves other inits out; without it, sweep_axis says.
    """
    axis = along or sweep_axis(stability)
    if axis is None:
        return pd.DataFrame()
    if axis not in ("init", *SIZES):
        stability = stability[stability["init"].str.startswith(f"{axis}=")]
        axis = "init"
    summary = case_summary(stability)
    form, _, number = (summary["init"].astype(str).str.partition("=")[part] for part in range(3))
    summary["axis"] = form.iloc[0] if axis == "init" else axis
    summary["x"] = pd.to_numeric(number if axis == "init" else summary[axis])
    summary["gate"] = gate_names(summary)
    for column, words in _TOLD.items():
        if column == axis or (column == "input_size" and _follows(summary)):
            continue
        if summary[column].dropna().nunique() > 1:
            summary["gate"] += ", " + summary[column].map(_plain).map(words.format)
    if axis != "init" and summary["init"].nunique() > 1:
        summary["gate"] += ", " + summary["init"]
    summary = summary[summary["x"].notna()]
    place = {gate: number for number, gate in enumerate(dict.fromkeys(summary["gate"]))}
    order = {"gate": place.get, "dtype": str, "x": float}
    return summary.sort_values(
        list(order), key=lambda column: column.map(order[column.name]), kind="stable", ignore_index=True
    )


def spectrum_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return exponents and singular values by index: gate, init, dtype, kind, index, value, low, high, resolved, seeds.

    Both in nats/step: singular values as ln σ / T. value is the median over seeds, low and high the outer deciles.
    """
    rows = measured(stability)
    rows = rows[rows["metric"].isin(list(SPECTRA))]
    per_step = np.where(rows["metric"] == "log_singular_value", rows["seq_len"].astype(float), 1.0)
    rows = rows.assign(value=rows["value"].astype(float) / per_step, kind=rows["metric"].map(SPECTRA))
    keys = ["gate", "init", "dtype", "kind", "index"]
    found = [
        {**dict(zip(keys, key, strict=True)), **dict(zip(("low", "value", "high"), quantiles(group["value"].to_numpy(float)), strict=True)),
         "resolved": bool((group["label"] != "unresolved").all()), "seeds": group["seed"].nunique()}
        for key, group in rows.groupby(keys, sort=False)
    ]  # fmt: skip
    return pd.DataFrame(found, columns=pd.Index([*keys, "value", "low", "high", "resolved", "seeds"]))


def training_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return losses and norms by step, clip rates by window, half-lives by snapshot: gate, init, dtype, what, step, value, low, high, seeds."""
    rows = measured(stability)
    rows = rows[rows["task"].notna()]
    whole, part = rows["index"].isna(), rows["part"].fillna("") == ""
    # Windows of clipping have an index, and the sum over all of them none; half-lives of rows have one, their median none.
    wanted = {
        "loss": rows["metric"] == "train_loss",
        "gradient norm": rows["metric"] == "train_gradient_norm",
        "clip rate": (rows["metric"] == "clip_rate") & ~whole,
        "half-life": (rows["metric"] == "half_life") & whole & part & (rows["probe"] == "ones"),
    }
    keys, found = ["gate", "init", "dtype"], []
    for what, mask in wanted.items():
        for key, group in rows[mask].groupby([*keys, "train_step"], sort=False):
            low, middle, high = quantiles(group["value"].dropna().to_numpy(float))
            *case, step = key
            found.append({
                **dict(zip(keys, case, strict=True)), "what": what, "step": int(step), "value": middle, "low": low,
                "high": high, "seeds": group["seed"].nunique(),
            })  # fmt: skip
    return pd.DataFrame(found, columns=pd.Index([*keys, "what", "step", "value", "low", "high", "seeds"]))

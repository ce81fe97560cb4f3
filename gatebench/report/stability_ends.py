"""Spectra, low precision, saturation and training in one row per case, in few numbers each; for tables and JSON.

Columns needed: those of stability.parquet. Medians are observed values: nothing is interpolated between -inf and a number.
"""

import numpy as np
import pandas as pd

from gatebench.report.stability import CASE, ENDS, by_case, measured, quantiles, row_values

WITHOUT_STEPS = [name for name in CASE if name not in ("train_step", "probe")]
SPECTRAL = ("lyapunov_exponent", "kaplan_yorke_dimension", "log_singular_value", "log_abs_det")
ROUNDED = (  # what is stored of a dtype below float64, through time and through layers
    "relative_error", "underflow_share", "false_plateau", "usable_loss_scale", "reference_half_life",
    "depth_relative_error", "depth_underflow_share",
)  # fmt: skip
# Told of letters that have no end of their range.
WITHOUT_ENDS = {"density": "open", "flat_share": "flat"}
LAST = 0.1  # share of the steps whose mean loss is the loss after training


def spectra_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return one row per case with a spectrum: its name, seeds, and medians over seeds.

    lyapunov_exponents (list, nats/step, descending), kaplan_yorke_dimension, log_singular_values (list, nats), unresolved
    (how many of them are in a seed), log_abs_det (over seeds and batch rows). Empty lists and NaN: not measured.
    """
    found = [{**name, **_spectra(metrics)} for name, metrics in by_case(measured(stability, SPECTRAL), CASE)]
    columns = [*CASE, "seeds", "lyapunov_exponents", "kaplan_yorke_dimension", "log_singular_values", "unresolved", "log_abs_det"]  # fmt: skip
    return pd.DataFrame(found, columns=pd.Index(columns))


def _spectra(metrics: dict[str, pd.DataFrame]) -> dict:
    singular = metrics.get("log_singular_value")
    unresolved = 0 if singular is None else singular.loc[singular["label"] == "unresolved", "index"].nunique()
    return {
        "lyapunov_exponents": _by_index(metrics.get("lyapunov_exponent")),
        "kaplan_yorke_dimension": _median(metrics.get("kaplan_yorke_dimension")),
        "log_singular_values": _by_index(singular),
        "unresolved": unresolved,
        "log_abs_det": quantiles(row_values(metrics.get("log_abs_det")))[1],
    }


def _by_index(rows: pd.DataFrame | None) -> list[float]:
    return [] if rows is None else [_median(group) for _, group in rows.groupby("index")]


def _median(rows: pd.DataFrame | None) -> float:
    return np.nan if rows is None else quantiles(rows["value"].dropna().to_numpy(float))[1]


def precision_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return one row per case below float64 with something of its precision: its name, seeds, and medians over seeds.

    relative_error and underflow_share (of the gradient at lag T, the first step; of stacks at the first layer's input),
    plateau_rows (how many rows of all seeds have a false plateau) of rows, false_plateau (steps, over those; 0: none has),
    usable_loss_scale and reference_half_life (over seeds and batch rows). NaN: not measured.
    """
    found = [{**name, **_precision(metrics)} for name, metrics in by_case(measured(stability, ROUNDED), CASE)]
    columns = [
        *CASE, "seeds", "relative_error", "underflow_share", "false_plateau", "plateau_rows", "rows", "usable_loss_scale",
        "reference_half_life",
    ]  # fmt: skip
    return pd.DataFrame(found, columns=pd.Index(columns))


def _precision(metrics: dict[str, pd.DataFrame]) -> dict:
    plateaus = row_values(metrics.get("false_plateau"))
    return {
        "relative_error": _at_the_first(metrics, "relative_error"),
        "underflow_share": _at_the_first(metrics, "underflow_share"),
        "false_plateau": quantiles(plateaus[plateaus > 0] if plateaus.any() else plateaus)[1],
        "plateau_rows": int((plateaus > 0).sum()),
        "rows": len(plateaus),
        "usable_loss_scale": quantiles(row_values(metrics.get("usable_loss_scale")))[1],
        "reference_half_life": quantiles(row_values(metrics.get("reference_half_life")))[1],
    }


def _at_the_first(metrics: dict[str, pd.DataFrame], name: str) -> float:
    """Return the median of what holds for the first step, which is the largest lag; of stacks for the first layer."""
    if name in metrics:
        by_lag = metrics[name]
        return _median(by_lag[by_lag["lag"] == by_lag["lag"].max()])
    by_layer = metrics.get(f"depth_{name}")
    return _median(None if by_layer is None else by_layer[by_layer["index"] == 0])


def saturation_ends(stability: pd.DataFrame) -> pd.DataFrame:
    """Return one row per case with saturated letters: its name, seeds, and letters, a dict: name -> {what: share}.

    what is saturated, the share of values at the ends of the letter's range; of letters without ends open (those that are
    0 or 1) or flat (slope below 0.01). Means over seeds.
    """
    rows = measured(stability)
    rows = rows[rows["metric"].isin([*ENDS, *WITHOUT_ENDS])]
    found = [
        {**dict(zip(CASE, key, strict=True)), "seeds": case["seed"].nunique(),
         "letters": {str(letter): _letter(values) for letter, values in case.groupby("part", sort=False)}}
        for key, case in rows.groupby(CASE, dropna=False, sort=False)
    ]  # fmt: skip
    return pd.DataFrame(found, columns=pd.Index([*CASE, "seeds", "letters"]))


def _letter(values: pd.DataFrame) -> dict[str, float]:
    means = values.groupby("metric")["value"].mean()
    ends = [float(means[name]) for name in ENDS if name in means]
    if ends:
        return {"saturated": sum(ends)}
    return {word: float(means[name]) for name, word in WITHOUT_ENDS.items() if name in means}


def training_ends(stability: pd.DataFrame) -> pd.DataFrame:
    """Return one row per trained case: its name (without probe), after_steps, seeds, and medians over seeds.

    loss_first (the first step's), loss_last (mean of the last tenth), half_life_first and _last (steps, over seeds and
    batch rows, probe ones), clip_rate (share of steps; NaN: no threshold), gradient_norm_p50, _p99 (before clipping), and
    nonfinite_steps (of all seeds together).
    """
    rows = measured(stability)
    rows = rows[rows["task"].notna() & (rows["probe"] == "ones") & (rows["part"].fillna("") == "")]
    found = [
        {**dict(zip(WITHOUT_STEPS, key, strict=True)), "after_steps": int(case["train_step"].max()),
         "seeds": case["seed"].nunique(), **_training(case)}
        for key, case in rows.groupby(WITHOUT_STEPS, dropna=False, sort=False) if (case["metric"] == "train_loss").any()
    ]  # fmt: skip
    columns = [
        *WITHOUT_STEPS, "after_steps", "seeds", "loss_first", "loss_last", "half_life_first", "half_life_last", "clip_rate",
        "gradient_norm_p50", "gradient_norm_p99", "nonfinite_steps",
    ]  # fmt: skip
    return pd.DataFrame(found, columns=pd.Index(columns))


def _training(case: pd.DataFrame) -> dict:
    # Windows of training have an index; without one stands what holds for all steps.
    whole = dict(list(case[case["index"].isna()].groupby("metric")))
    loss = whole["train_loss"]
    half_lives = case[case["metric"] == "half_life"]
    ends = half_lives["train_step"].min(), half_lives["train_step"].max()
    first, last = (quantiles(row_values(half_lives[half_lives["train_step"] == step]))[1] for step in ends)
    means = loss[loss["train_step"] >= (1 - LAST) * loss["train_step"].max()].groupby("seed")["value"].mean()
    return {
        "loss_first": _median(loss[loss["train_step"] == 0]),
        "loss_last": quantiles(means.to_numpy(float))[1],
        "half_life_first": first,
        "half_life_last": last,
        "clip_rate": _median(whole.get("clip_rate")),
        "gradient_norm_p50": _median(whole.get("train_gradient_norm_p50")),
        "gradient_norm_p99": _median(whole.get("train_gradient_norm_p99")),
        "nonfinite_steps": float(whole["nonfinite_steps"]["value"].sum()) if "nonfinite_steps" in whole else np.nan,
    }

"""Stability as small tables: curves by lag or by layer, and one line per case; from the long format of a store.

Metric names as in the column `metric` of stability.parquet; a case is what SERIES and sizes name.
"""

import numpy as np
import pandas as pd

from gatebench.analyze.statistics import mean_interval
from gatebench.own_files import short_name
from gatebench.report.names import by_value, options_label

# Most severe first; a case's class is the most severe of its seeds. Equal to gatebench.stability.metrics (tested).
CLASSES = ("nonfinite", "underflow", "exploding", "vanished", "vanishing", "marginal", "stable")
CASE = [
    "gate", "options", "init", "inputs", "dtype", "seq_len", "input_size", "hidden_size", "batch", "probe", "task", "train_step",
]  # fmt: skip
CURVES = {
    "lag": ("log_gradient_norm", "log_norm_bound", "log_weight_bound"),
    "layer": ("log_depth_gradient_norm", None, None),
}
PREDICTIONS = ("predicted_half_life", "predicted_lyapunov", "predicted_edge")
BY_STEP = (  # of training, not of a case: they say how it went, and nothing of gradients through time
    "train_loss", "train_gradient_norm", "train_gradient_norm_p50", "train_gradient_norm_p95", "train_gradient_norm_p99",
    "clip_rate", "clip_coefficient", "nonfinite_steps",
)  # fmt: skip
ENDS = {  # shares of a letter's values at an end of its range, where its derivative is nearly 0
    "saturation_low": "below 0.1",
    "saturation_high": "above 0.9",
    "saturation_tanh": "beyond ±0.99 (tanh)",
    "dead_share": "0 (relu)",
}
FLAT = "slope below 0.01"
SATURATION = ENDS | {"density": "1 (of 0 or 1)", "negative_lobe": "below 0 (swish, gelu)", "flat_share": FLAT}


def norm_curves(stability: pd.DataFrame) -> pd.DataFrame:
    """Return gradient norms by lag (gates with time) and by layer (stacks), in nats relative to the end.

    Columns needed: those of stability.parquet. Columns returned: gate, init, dtype, seq_len, hidden_size, kind (lag,
    layer), back (steps or layers back from the end), norm (median over seeds of the batch mean), low and high (lowest
    lower decile and highest upper decile of the batch over seeds), bound and weight_bound (median over seeds; NaN: none), seeds.
    """
    ok = measured(stability)
    whole = ok[ok["part"].fillna("") == ""]
    parts = [_curve(whole, kind, *metrics) for kind, metrics in CURVES.items()]
    curves = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return curves.sort_values(["gate", "init", "dtype", "seq_len", "hidden_size", "back"], ignore_index=True)


def _curve(rows: pd.DataFrame, kind: str, norm: str, bound: str | None, weight_bound: str | None) -> pd.DataFrame:
    keys = ["gate", "init", "dtype", "seq_len", "hidden_size"]
    wanted = rows[rows["metric"].isin([norm, f"{norm}_p10", f"{norm}_p90", bound, weight_bound])]
    back = wanted["lag"].astype(float)
    if kind == "layer":
        last = wanted.groupby(keys)["index"].transform("max")
        back = (last - wanted["index"]).astype(float)
    wanted = wanted.assign(back=back).dropna(subset=["back"])
    groups = wanted.groupby([*keys, "back", "metric"])["value"]
    how = {norm: "median", f"{norm}_p10": "min", f"{norm}_p90": "max", bound: "median", weight_bound: "median"}
    names = {norm: "norm", f"{norm}_p10": "low", f"{norm}_p90": "high", bound: "bound", weight_bound: "weight_bound"}
    columns = {
        names[metric]: getattr(groups, way)().xs(metric, level="metric")
        for metric, way in how.items()
        if metric in set(wanted["metric"])
    }
    table = pd.DataFrame(columns).reset_index() if columns else pd.DataFrame(columns=pd.Index([*keys, "back"]))
    seeds = wanted[wanted["metric"] == norm].groupby(keys)["seed"].nunique().rename("seeds").reset_index()
    table = table.merge(seeds, on=keys, how="left").assign(kind=kind)
    return table.reindex(columns=[*keys, "kind", "back", "norm", "low", "high", "bound", "weight_bound", "seeds"])


def case_summary(stability: pd.DataFrame) -> pd.DataFrame:
    """Return one row per case, in the order of the rows: gate, options, init, inputs, dtype, sizes, what its gradients do.

    label (class, the most severe over seeds), half_life, half_life_low, _high (steps: median, lower and upper decile
    over seeds and batch rows; inf: does not shrink), predicted_* (what theory says, NaN: nothing), reach (steps, median), lyapunov, lyapunov_low, _high (nats/step:
    mean over seeds with its 95 % interval, Student's t; one seed: two standard errors), bound_gap (nats, median over
    seeds), seeds, rows (seeds x batch rows behind the half-life).
    """
    ok = measured(stability)
    ok = ok[~ok["metric"].isin(BY_STEP)]
    rows = [
        {**dict(zip(CASE, key, strict=True)), **_summary(case)}
        for key, case in ok.groupby(CASE, dropna=False, sort=False)
    ]
    columns = [
        *CASE, "label", "half_life", "half_life_low", "half_life_high", "reach", "lyapunov", "lyapunov_low",
        "lyapunov_high", "bound_gap", "seeds", "rows", *PREDICTIONS,
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=pd.Index(columns))


def _summary(case: pd.DataFrame) -> dict:
    metrics = dict(list(case.groupby("metric")))
    half_lives = row_values(metrics.get("half_life"))
    low, middle, high = quantiles(half_lives)
    mean, mean_low, mean_high = _lyapunov(metrics.get("largest_lyapunov"))
    labels = set(metrics["class"]["label"].dropna()) if "class" in metrics else set()
    return {
        "label": next((name for name in CLASSES if name in labels), None),
        "half_life": middle, "half_life_low": low, "half_life_high": high,
        "reach": quantiles(row_values(metrics.get("reach")))[1],
        "lyapunov": mean, "lyapunov_low": mean_low, "lyapunov_high": mean_high,
        "bound_gap": quantiles(row_values(metrics.get("bound_gap")))[1],
        "seeds": case["seed"].nunique(), "rows": len(half_lives),
        **{name: metrics[name]["value"].iloc[0] if name in metrics else np.nan for name in PREDICTIONS},
    }  # fmt: skip


def row_values(rows: pd.DataFrame | None) -> np.ndarray:
    """Return the values of single batch rows; where only their median is stored (index null), those."""
    if rows is None:
        return np.array([])
    single = rows[rows["index"].notna()]
    return (single if len(single) else rows)["value"].dropna().to_numpy(dtype=float)


def quantiles(values: np.ndarray) -> tuple[float, float, float]:
    """Return lower decile, median and upper decile, observed values all, so that inf never becomes NaN."""
    if not len(values):
        return (np.nan, np.nan, np.nan)
    low, middle, high = np.quantile(values, [0.1, 0.5, 0.9], method="inverted_cdf")
    return float(low), float(middle), float(high)


def _lyapunov(rows: pd.DataFrame | None) -> tuple[float, float, float]:
    if rows is None:
        return (np.nan, np.nan, np.nan)
    values = rows["value"].to_numpy(dtype=float)
    if len(values) == 1:
        error = 2 * float(rows["standard_error"].astype(float).iloc[0])
        return float(values[0]), float(values[0]) - error, float(values[0]) + error
    if not np.isfinite(values).all():
        return float(np.median(values)), np.nan, np.nan
    return mean_interval(values)


def saturation_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return mean shares per gate letter: gate, init, dtype, letter, metric, side (words), share (0 to 1), seeds.

    The share of flat slopes only where ends do not say it already: of swish and gelu, which have none.
    """
    ok = measured(stability)
    rows = ok[ok["metric"].isin(list(SATURATION))]
    keys = ["gate", "init", "dtype", "part", "metric"]
    table = rows.groupby(keys, sort=False).agg(share=("value", "mean"), seeds=("seed", "nunique")).reset_index()
    with_ends = pd.MultiIndex.from_frame(table.loc[table["metric"].isin(list(ENDS)), keys[:-1]])
    told = (table["metric"] == "flat_share") & pd.MultiIndex.from_frame(table[keys[:-1]]).isin(with_ends)
    table = table[~told].rename(columns={"part": "letter"})
    return table.assign(side=table["metric"].map(SATURATION)).reset_index(drop=True)


def not_ok(stability: pd.DataFrame) -> pd.DataFrame:
    """Return what has no values and why, a row per gate and reason: gate, init and dtype (those it holds for), status, reason."""
    rows = stability[stability["status"] != "ok"]
    columns = ["gate", "init", "dtype", "status", "reason"]
    rows = rows.assign(gate=gate_names(rows), init=by_value(rows["init"], short_name))[columns]
    return rows.groupby(["gate", "status", "reason"], sort=False, as_index=False).agg(_listed)[columns]


def _listed(names: pd.Series) -> str:
    return ", ".join(dict.fromkeys(names))


def gate_names(stability: pd.DataFrame) -> pd.Series:
    """Name each row's gate with its options, e.g. `swiglu_ffn (beta=2.0)`. Columns: gate, options."""
    labels = by_value(stability["options"], lambda text: f" ({label})" if (label := options_label(text)) else "")
    return stability["gate"].astype(object) + labels


def measured(stability: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that hold a value."""
    return stability[stability["status"] == "ok"]

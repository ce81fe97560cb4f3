"""Stability as small tables: curves by lag or by layer, and one line per case; from the long format of a store.

Metric names as in the column `metric` of stability.parquet; a case is what the columns CASE name.
"""

from collections.abc import Iterable
from typing import Any

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
SUMMED = ("half_life", "largest_lyapunov", "class", "reach", "bound_gap", *PREDICTIONS)  # that case_summary is about
NUMBERS = ["lag", "index", "value", "standard_error", "label"]  # what a case has many of
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
    lower decile and highest upper decile of the batch over seeds), bound and weight_bound (median over seeds; NaN: none),
    seeds. Norms are -inf where a gradient is exactly 0, inf where one is not finite. Bounds of no norm are left out.
    """
    parts = [_curve(stability, kind, *metrics) for kind, metrics in CURVES.items()]
    curves = pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)
    return curves.sort_values(["gate", "init", "dtype", "seq_len", "hidden_size", "back"], ignore_index=True)


def _curve(stability: pd.DataFrame, kind: str, norm: str, bound: str | None, weight_bound: str | None) -> pd.DataFrame:
    keys = ["gate", "init", "dtype", "seq_len", "hidden_size"]
    taken = {  # column -> metric, and what stands for all seeds
        "norm": (norm, "median"), "low": (f"{norm}_p10", "min"), "high": (f"{norm}_p90", "max"),
        "bound": (bound, "median"), "weight_bound": (weight_bound, "median"),
    }  # fmt: skip
    columns = [*keys, "kind", "back", *taken, "seeds"]
    rows = measured(stability, [metric for metric, _ in taken.values() if metric])
    rows = rows.loc[rows["part"].fillna("") == "", [*keys, "metric", "seed", "lag", "index", "value"]]
    back = rows["lag"] if kind == "lag" else rows.groupby(keys)["index"].transform("max") - rows["index"]
    rows = rows.assign(back=back.astype(float), line=rows.groupby(keys).ngroup()).dropna(subset=["back", *keys])
    if rows.empty:
        return pd.DataFrame(columns=pd.Index(columns))
    # By number, and named in the end: five names take five times as long.
    values = rows.groupby(["line", "back", "metric"])["value"].agg(["median", "min", "max"])
    lost = values["median"].isna() & (values["max"] == np.inf)  # between 0, -inf, and what is not finite is no number
    values = values.assign(median=values["median"].mask(lost, np.inf)).unstack("metric")
    seeds = rows[(rows["metric"] == norm) & rows["value"].notna()].groupby("line")["seed"].nunique()
    found = {name: values[way, metric] for name, (metric, way) in taken.items() if (way, metric) in values}
    table = pd.DataFrame(found).reset_index().assign(kind=kind)
    names = rows.drop_duplicates("line").set_index("line")[keys].loc[seeds.index].assign(seeds=seeds)
    return table.join(names, on="line", how="inner").reindex(columns=columns)


def case_summary(stability: pd.DataFrame) -> pd.DataFrame:
    """Return one row per case, in the order of the rows: gate, options, init, inputs, dtype, sizes, what its gradients do.

    label (class, the most severe over seeds), half_life, half_life_low, _high (steps: median, lower and upper decile
    over seeds and batch rows; inf: does not shrink), predicted_* (what theory says, NaN: nothing), reach (steps, median), lyapunov, lyapunov_low, _high (nats/step:
    mean over seeds with its 95 % interval, Student's t; one seed: two standard errors), bound_gap (nats, median over
    seeds), seeds, rows (seeds x batch rows behind the half-life).
    """
    ok = stability[(stability["status"] == "ok") & ~stability["metric"].isin(BY_STEP)]
    rows = [{**name, **_summary(metrics)} for name, metrics in by_case(ok, CASE, SUMMED)]
    columns = [
        *CASE, "label", "half_life", "half_life_low", "half_life_high", "reach", "lyapunov", "lyapunov_low",
        "lyapunov_high", "bound_gap", "seeds", "rows", *PREDICTIONS,
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=pd.Index(columns))


def by_case(
    rows: pd.DataFrame, keys: list[str], of: Iterable[str] | None = None
) -> list[tuple[dict[str, Any], dict[str, pd.DataFrame]]]:
    """Return for each case, in the order of the rows, what names it (keys, seeds: how many), and its rows by metric.

    of: the metrics whose rows are wanted; None: all.
    """
    if rows.empty:
        return []
    cases = rows.groupby(keys, dropna=False, sort=False)
    names = cases["seed"].nunique().rename("seeds").reset_index()
    found: list[tuple[dict, dict]] = [(name, {}) for name in names.to_dict("records")]
    kept = [name for name in NUMBERS if name in rows]
    wanted = rows[["metric", *kept]].assign(case=cases.ngroup())  # counted from 0, as the names are
    wanted = wanted if of is None else wanted[wanted["metric"].isin(list(of))]
    wanted = wanted.astype({"label": object} if "label" in kept else {})  # Arrow's texts take long to split
    for (number, metric), part in wanted.groupby(["case", "metric"])[kept]:
        found[number][1][metric] = part
    return found


def _summary(metrics: dict[str, pd.DataFrame]) -> dict:
    half_lives = row_values(metrics.get("half_life"))
    low, middle, high = quantiles(half_lives)
    mean, mean_low, mean_high = _lyapunov(metrics.get("largest_lyapunov"))
    labels = set(metrics["class"]["label"].dropna()) if "class" in metrics else set()
    return {
        "label": next((name for name in CLASSES if name in labels), None),
        "half_life": middle, "half_life_low": low, "half_life_high": high,
        "reach": quantiles(row_values(metrics.get("reach")))[1],
        "lyapunov": mean, "lyapunov_low": mean_low, "lyapunov_high": mean_high,
        "bound_gap": quantiles(row_values(metrics.get("bound_gap")))[1], "rows": len(half_lives),
        **{name: metrics[name]["value"].iloc[0] if name in metrics else np.nan for name in PREDICTIONS},
    }  # fmt: skip


def row_values(rows: pd.DataFrame | None) -> np.ndarray:
    """Return the values of single batch rows; where only their median is stored (index null), those."""
    if rows is None:
        return np.array([])
    values, single = rows["value"].to_numpy(dtype=float), rows["index"].notna().to_numpy()
    values = values[single] if single.any() else values
    return values[~np.isnan(values)]


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
    if not np.isfinite(values).all():
        return float(np.median(values)), np.nan, np.nan
    if len(values) == 1:
        error = 2 * float(rows["standard_error"].astype(float).iloc[0])
        return float(values[0]), float(values[0]) - error, float(values[0]) + error
    return mean_interval(values)


def saturation_table(stability: pd.DataFrame) -> pd.DataFrame:
    """Return mean shares per gate letter: gate, init, dtype, letter, metric, side (words), share (0 to 1), seeds.

    The share of flat slopes only where ends do not say it already: of swish and gelu, which have none.
    """
    rows = measured(stability, SATURATION)
    keys = ["gate", "init", "dtype", "part", "metric"]
    groups = rows.groupby(keys, sort=False)
    table = pd.DataFrame({"share": groups["value"].mean(), "seeds": groups["seed"].nunique()}).reset_index()
    names = list(table[keys].itertuples(index=False, name=None))
    with_ends = {tuple(letter) for *letter, metric in names if metric in ENDS}
    kept = [metric != "flat_share" or tuple(letter) not in with_ends for *letter, metric in names]
    table = table[np.array(kept, dtype=bool)].rename(columns={"part": "letter"})
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


def measured(stability: pd.DataFrame, metrics: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the rows that hold a value, of these metrics where some are given."""
    ok = stability["status"] == "ok"
    return stability[ok if metrics is None else ok & stability["metric"].isin(list(metrics))]

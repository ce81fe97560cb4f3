"""Rows of stability.parquet from values: one metric a row, long form; what is averaged and what is kept apart."""

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor, isfinite

from gatebench.stability.activations import LetterSaturation
from gatebench.stability.classification import most_severe
from gatebench.stability.metrics import METRICS

DENSE_LAGS = 33  # lags 0..32 are all stored; figures show the first steps
SPREAD_LAGS = 64  # stored lags beyond them, evenly spaced in the logarithm, T among them
SATURATION = {  # metric -> attribute of LetterSaturation
    "saturation_low": "low",
    "saturation_high": "high",
    "saturation_mean": "mean",
    "saturation_tanh": "tanh",
    "dead_share": "dead",
    "negative_lobe": "negative_lobe",
    "density": "density",
    "activation_slope": "slope",
    "flat_share": "flat",
}

Row = dict[str, Any]


def row(metric: str, value: float | None = None, **columns: Any) -> Row:
    """Return one row of a metric; NaN, which nothing measured may be, becomes a null."""
    known = value is not None and not math.isnan(value)
    columns_of: Row = dict.fromkeys(("lag", "index", "standard_error", "label", "reason", "task", "train_step"))
    columns_of |= {"part": "", "probe": "ones", "metric": metric, "value": value if known else None}
    return columns_of | {"unit": METRICS[metric].unit, "status": "ok"} | columns


def unsupported(reason: str) -> Row:
    """Return the row of a case, or of a metric of it, that has no value, and why."""
    return row("class", status="unsupported", reason=reason)  # without a class there is nothing to say of gradients


def saturation_rows(letters: dict[str, LetterSaturation]) -> Iterator[Row]:
    """Yield shares and slopes by letter of the gate."""
    for letter, found in letters.items():
        for metric, attribute in SATURATION.items():
            value = getattr(found, attribute)
            if value is not None:
                yield row(metric, value, part=letter)


def class_rows(classes: list[str], **columns: Any) -> Iterator[Row]:
    """Yield the class of each batch row, and the most severe without index."""
    for index, label in enumerate(classes):
        yield row("class", index=index, label=label, **columns)
    yield row("class", label=most_severe(classes), **columns)


def per_row(metric: str, values: Tensor, **columns: Any) -> Iterator[Row]:
    """Yield one row per batch row, and their median (of the rows that have a value; the lower one of two) without index."""
    for index, value in enumerate(values.tolist()):
        yield row(metric, value, index=index, **columns)
    yield row(metric, float(values.nanmedian()), **columns)


def stored_lags(steps: int) -> list[int]:
    """Return the lags that are stored, of 0..steps: all up to 32, then 64 evenly spaced in the logarithm, and the last."""
    dense = range(min(DENSE_LAGS, steps + 1))
    if steps < DENSE_LAGS:
        return list(dense)
    ratio = steps / DENSE_LAGS
    spread = {round(DENSE_LAGS * ratio ** (i / (SPREAD_LAGS - 1))) for i in range(SPREAD_LAGS)}
    return sorted({*dense, *spread})


def mean(logs: Tensor) -> float:
    """Average logs over the batch: inf where a row is not finite, else -inf where a row is exactly 0."""
    return math.inf if bool((logs == math.inf).any()) else float(logs.mean())


def deciles(metric: str, logs: Tensor) -> Iterator[tuple[str, float]]:
    """Yield the outer deciles, as observed values: nothing is interpolated between -inf and a number."""
    yield f"{metric}_p10", float(logs.quantile(0.1, interpolation="lower"))
    yield f"{metric}_p90", float(logs.quantile(0.9, interpolation="higher"))


def count_nonfinite(*tensors: Tensor) -> float:
    """Count values that are NaN or infinite."""
    return float(sum(int((~isfinite(tensor)).sum()) for tensor in tensors))


def finite(value: Tensor) -> float | None:
    """Return a number, None for one that is not finite."""
    return float(value) if math.isfinite(value) else None

"""What a figure in a file says below its panels: the conditions that all drawn cases share, and what its bands are."""

import pandas as pd

from gatebench.own_files import short_name
from gatebench.report.quantities import is_missing
from gatebench.report.stability import CASE, CURVES, PREDICTIONS, SATURATION, gate_names, measured
from gatebench.report.stability_series import SPECTRA
from gatebench.words import counted

_GRADIENTS = ("half_life", "largest_lyapunov")
_BOTH = (
    "medians with deciles over seeds and batch rows (half-life), means with 95 % intervals over seeds (exponent; of one seed, "
    "2 standard errors)."
)
DRAWN = {  # figure -> metrics that it draws
    "norms": tuple(norm for norm, *_ in CURVES.values()),
    "summary": _GRADIENTS,
    "saturation": tuple(SATURATION),
    "sweep": _GRADIENTS,
    "spectrum": tuple(SPECTRA),
    "training": ("train_loss", "train_gradient_norm", "clip_rate", "half_life"),
}
BESIDE = {  # figure -> metrics that it draws beside those, as bands, bounds and theory: alone they are no figure
    "norms": tuple(
        metric for norm, *bounds in CURVES.values() for metric in (f"{norm}_p10", f"{norm}_p90", *bounds) if metric
    ),
    "sweep": PREDICTIONS,
}
BANDS = {
    "norms": "Lines: medians over seeds of the batch's mean; bands: lowest lower to highest upper decile of the batch over seeds.",
    "summary": f"Marks and bars: {_BOTH}",
    "saturation": "Bars: means over seeds.",
    "sweep": f"Lines and bands: {_BOTH}",
    "spectrum": "Lines: medians over seeds; bands: deciles over seeds.",
    "training": "Lines: medians, bands: deciles over seeds, and of half-lives over batch rows, too.",
}  # fmt: skip
_WORDS = {"seq_len": "T {}", "batch": "B {}", "input_size": "I {}", "hidden_size": "H {}", "inputs": "inputs {}",
          "init": "init {}", "dtype": "{}", "task": "task {}"}  # fmt: skip


def caption(stability: pd.DataFrame, kind: str) -> str:
    """Return conditions and bands of a figure, one line; an empty text where nothing is drawn."""
    rows = measured(stability)
    rows = rows[rows["metric"].isin(DRAWN[kind])]
    if kind == "training":
        rows = rows[rows["task"].notna()]
    if rows.empty:
        return ""
    return f"{', '.join(_conditions(rows))}. {BANDS[kind]}"


def _conditions(rows: pd.DataFrame) -> list[str]:
    cases = rows.assign(gate=gate_names(rows))[CASE].drop_duplicates()
    shared = {column: cases[column].iloc[0] for column in CASE if cases[column].nunique(dropna=False) == 1}
    if "task" in shared and not is_missing(shared["task"]):
        shared.pop("inputs", None)  # a task has its own
    if shared.get("input_size") == shared.get("hidden_size") or "inputs" not in shared:
        shared.pop("input_size", None)
    told = [str(shared["gate"])] if "gate" in shared else []
    told += [
        words.format(short_name(shared[column]) if isinstance(shared[column], str) else shared[column])
        for column, words in _WORDS.items() if column in shared and not is_missing(shared[column])
    ]  # fmt: skip
    counts = rows.groupby(CASE, dropna=False)["seed"].nunique()
    low, high = int(counts.min()), int(counts.max())
    return [*told, f"{low} to {high} seeds" if low < high else counted(high, "seed")]

"""Which figures of stability there are, and how each is made of the rows of a store."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pandas as pd

from gatebench.report.stability import BY_STEP, SATURATION, case_summary, norm_curves, saturation_table
from gatebench.report.stability_series import SPECTRA, series, spectrum_table, sweep_table, training_table

if TYPE_CHECKING:
    import plotly.graph_objects as go

TITLES = {
    "norms": "Gradient norms", "summary": "Half-lives and Lyapunov exponents", "saturation": "Saturation",
    "sweep": "Sweep of half-lives and Lyapunov exponents", "spectrum": "Spectra", "training": "Training",
}  # fmt: skip
# Figure -> the groups of metrics of which one at least has something for it to show.
KINDS = {
    "norms": ("profile", "depth"),
    "summary": ("profile", "lyapunov"),
    "saturation": ("saturation",),
    "sweep": ("profile", "lyapunov"),
    "spectrum": ("spectrum", "singular_values"),
    "training": (),
}


def stability_figure(stability: pd.DataFrame, kind: str, width: int | None = None) -> "go.Figure":
    """Return one figure of a run's stability, or of a part of it; kind: one of KINDS. width: pixels that it has at least."""
    from gatebench.report.figures import saturation as by_letter
    from gatebench.report.figures import stability as by_lag
    from gatebench.report.figures import stability_series as along
    from gatebench.report.figures.layout import NARROW

    width = width or NARROW

    # Only what is drawn tells series apart: spectra have no probes, whatever was measured beside them.
    metrics, probes = stability["metric"], stability["probe"]
    cases = series(stability[~metrics.isin(BY_STEP)])
    figures: dict[str, Callable[[], go.Figure]] = {
        "norms": lambda: by_lag.norm_figure(norm_curves(cases), width),
        "summary": lambda: by_lag.summary_figure(case_summary(cases), width),
        "saturation": lambda: by_letter.saturation_figure(
            saturation_table(series(stability[metrics.isin(list(SATURATION))])), width
        ),
        "sweep": lambda: along.sweep_figure(sweep_table(stability), width),
        "spectrum": lambda: along.spectrum_figure(
            spectrum_table(series(stability[metrics.isin(list(SPECTRA))])), width
        ),
        "training": lambda: along.training_figure(
            training_table(series(stability[probes == "ones"], but=("train_step",))), width
        ),
    }
    return figures[kind]()

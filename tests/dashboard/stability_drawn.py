"""Figures of stability from hand-made frames, and what of them stands for data."""

from gatebench.report.figures.stability_series import spectrum_figure, sweep_figure, training_figure
from gatebench.report.stability_series import series, spectrum_table, sweep_table, training_table
from tests.stability_frames import frame


def lines(figure):
    """Return the traces that stand for data: not the keys of the legend, and not the bands."""
    return [trace for trace in figure.data if not trace.showlegend and trace.showlegend is not None and trace.fill is None]  # fmt: skip


def measured(figure):
    return [trace for trace in lines(figure) if trace.customdata is not None]


def bands(figure):
    return [trace for trace in figure.data if trace.fill == "toself"]


def legend(figure):
    return [trace.name for trace in figure.data if trace.name]


def words(figure):
    return [note.text for note in figure.layout.annotations]


def sweep(*parts):
    return sweep_figure(sweep_table(frame(*parts)))


def spectra(*parts):
    return spectrum_figure(spectrum_table(series(frame(*parts))))


def training(*parts):
    return training_figure(training_table(series(frame(*parts), but=("train_step",))))

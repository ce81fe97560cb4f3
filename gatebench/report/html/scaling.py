"""Section Scaling: time against T and against H, a line per implementation, for each slice of a run."""

from collections.abc import Iterator

import pandas as pd

from gatebench.report.figures.scaling import scaling_figure
from gatebench.report.html.content import Drawing, Part, Section
from gatebench.report.html.slices import CHOICES, Slice
from gatebench.report.names import competitors
from gatebench.report.quantities import estimate_text, is_missing
from gatebench.report.table import Block

AXES = {
    "seq_len": ("T", "hidden_size", "H"),
    "hidden_size": ("H", "seq_len", "T"),
}  # axis -> its word, what is fixed, its word
AGAINST = "Against"
CAPTION = (
    "Lines: mean over blocks of the block medians, time of one call. Bands: 95 % intervals, Student's t over blocks of fresh processes. "
    "Below the lines: what has no time, and why."
)


def scaling_section(slices: list[Slice]) -> Section:
    """Return a part per slice, axis and value of the other size, wherever two sizes at least were asked for."""
    parts = [part for found in slices for part in _parts(found)]
    notes = () if parts else ("No slice of this run has two lengths T or two widths H: see Compare for its times.",)
    return Section("scaling", "Scaling", "How does cost grow with T or H?", parts, (*CHOICES, AGAINST), notes)


def _parts(found: Slice) -> Iterator[Part]:
    for axis, (word, other, other_word) in AXES.items():
        for value, rows in found.rows.groupby(other):
            if rows[axis].nunique() < 2:
                continue
            against = f"{word}, at {other_word} = {value}"
            alt = f"time of one call against {word} at {other_word} = {value}, a line per implementation: {found.title}"
            name = f"scaling {found.title} {word} at {other_word}{value}"
            yield Part(
                f"{found.title} · against {against}", {**found.keys, AGAINST: against},
                Drawing(lambda rows=rows, axis=axis: scaling_figure(rows, axis), alt, name), CAPTION, (_numbers(rows, axis, word),),
            )  # fmt: skip


def _numbers(rows: pd.DataFrame, axis: str, word: str) -> Block:
    """Return what the figure shows: size, competitor, time with interval and n, or why there is none."""
    cells = []
    for row in rows.assign(competitor=competitors(rows)).sort_values([axis, "time_ns"], kind="stable").itertuples():
        timed = not is_missing(row.time_ns)
        outcome = estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns) if timed else _why(row)
        counts = (f"{row.blocks:.0f}", f"{row.samples:.0f}") if timed else ("–", "–")
        cells.append((f"{getattr(row, axis)}", row.competitor, outcome, *counts))
    header = (word, "implementation", "time of one call (95 %)", "blocks", "samples")
    return Block("Numbers", header, tuple(cells), names=2)


def _why(row) -> str:
    status = "unknown" if is_missing(row.status) else str(row.status).replace("_", " ")
    return status if is_missing(row.reason) else f"{status}: {row.reason}"

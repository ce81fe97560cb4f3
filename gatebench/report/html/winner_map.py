"""Section Winner map: the fastest implementation at each (T, H) of each slice, with its margin."""

import pandas as pd

from gatebench.report.figures.winner_map import winner_map_figure
from gatebench.report.html.content import Drawing, Part, Section
from gatebench.report.html.slices import CHOICES, SamplesByCase, Slice
from gatebench.report.quantities import estimate_text, is_missing, times_text
from gatebench.report.table import Block
from gatebench.report.winners import winner_cells

CAPTION = (
    "In a tile: the fastest, and how many times faster it is than the next. “=”: others are as fast, as far as can be told: within 1.5×, "
    "and the 95 % interval over paired blocks contains 1. “?”: one block, no interval."
)


def winner_map_section(slices: list[Slice], samples: SamplesByCase) -> Section:
    """Return a part per slice: a map where there are two cells at least, and its numbers."""
    parts = [_part(found, winner_cells(found.rows, samples.of(found.rows))) for found in slices]
    notes = () if parts else ("No case of this run has sizes T and H.",)
    return Section("winner-map", "Winner map", "What should I use at (T, H)?", parts, tuple(CHOICES), notes)


def _part(found: Slice, cells: pd.DataFrame) -> Part:
    drawing = None
    if len(cells) > 1:
        alt = f"fastest implementation at each T and H: {found.title}"
        drawing = Drawing(lambda: winner_map_figure(cells), alt, f"winner map {found.title}")
    return Part(found.title, found.keys, drawing, CAPTION if drawing else "", (_numbers(cells),))


def _numbers(cells: pd.DataFrame) -> Block:
    """Return a row per cell: winner, its time with interval and n, the next and the margin, who is as fast."""
    rows = [
        (
            f"{row.seq_len}", f"{row.hidden_size}", row.state if is_missing(row.winner) else row.winner,
            estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns), "–" if is_missing(row.blocks) else f"{row.blocks:.0f}",
            "–" if is_missing(row.runner_up) else row.runner_up, times_text(row.margin, row.margin_low, row.margin_high),
            row.tied if isinstance(row.tied, str) and row.tied else "–",
        )
        for row in cells.itertuples()
    ]  # fmt: skip
    header = ("T", "H", "fastest", "time of one call (95 %)", "blocks", "next", "margin (95 %)", "as fast")
    return Block("Numbers", header, tuple(rows), names=2)

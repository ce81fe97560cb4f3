"""Section Scaling: time against T, H or B with exponents and crossovers, a line per implementation, for each slice of a run."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from gatebench.analyze.scaling import LEAST_SIZES, crossovers, fitted_exponents
from gatebench.report import scaling_tables
from gatebench.report.figures.scaling import scaling_figure
from gatebench.report.html.content import Drawing, Part, Section, frame_block
from gatebench.report.html.slices import CHOICES, BlocksByCase, Slice
from gatebench.report.scaling import scaling_points
from gatebench.report.scaling_tables import AXIS_WORDS, LINES
from gatebench.report.table import Block

# Axis -> what a slice leaves open beside it, held fixed in each part. B alone goes across the slices of other batch sizes.
AXES = {"seq_len": ["hidden_size"], "hidden_size": ["seq_len"], "batch": ["seq_len", "hidden_size"]}
AGAINST, FIXED = "Against", "At"
CAPTION = f"{LINES} Circles: crossovers. Below the lines: what has no time, and why."


def scaling_section(found: list[Slice], by_batch: list[Slice], blocks: BlocksByCase) -> Section:
    """Return a part per slice, axis and value of the other sizes, wherever two sizes at least were asked for.

    found: slices with the columns of analyze.compare; by_batch: the same rows in slices that hold all batch sizes.
    """
    parts = []
    for axis in AXES:
        for each in by_batch if axis == "batch" else found:
            parts += _parts(each, axis, blocks)
    notes = () if parts else ("No slice of this run has two T, H or B: see Compare for its times.",)
    choices = (*CHOICES, AGAINST, FIXED)
    return Section("scaling", "Scaling", "How does cost grow with T, H or B?", parts, choices, notes)


def _parts(found: Slice, axis: str, blocks: BlocksByCase) -> Iterator[Part]:
    groups = [rows for _, rows in found.rows.groupby(AXES[axis]) if rows[axis].nunique() > 1]
    # As on the page: what has the most sizes with a time comes first.
    for rows in sorted(groups, key=lambda rows: -rows.loc[rows["time_ns"].notna(), axis].nunique()):
        yield _part(found, rows, axis, blocks)


def _part(found: Slice, rows: pd.DataFrame, axis: str, blocks: BlocksByCase) -> Part:
    word, of_rows = AXIS_WORDS[axis], blocks.of(rows)
    at = ", ".join(f"{AXIS_WORDS[column]} = {rows[column].iloc[0]}" for column in AXES[axis])
    crossings = crossovers(rows, of_rows, axis)
    title = f"{found.title} · against {word} at {at}"
    return Part(
        title,
        {**found.keys, AGAINST: word, FIXED: at},
        Drawing(
            partial(scaling_figure, rows, axis, crossings=crossings),
            f"time of one call against {word}, a line per implementation: {title}",
            f"scaling {title}",
        ),
        CAPTION,
        _tables(rows, axis),
        opened=_growth(rows, of_rows, crossings, axis),
    )


def _growth(rows: pd.DataFrame, blocks: pd.DataFrame, crossings: pd.DataFrame, axis: str) -> tuple[Block, ...]:
    """Return exponents and crossovers as tables, or in a line that there are none."""
    if rows["time_ns"].isna().all():
        return ()
    fits, word = fitted_exponents(rows, blocks, axis), AXIS_WORDS[axis]
    if fits["sizes"].max() < LEAST_SIZES:
        growth = Block("", (), (), (f"No slope is fitted: it needs {LEAST_SIZES} {word} with a time.",))
    else:
        told = scaling_tables.growth(fits, axis)
        growth = frame_block(f"Growth with {word}", told, (scaling_tables.growth_note(axis),))
    if crossings.empty:
        return (growth, Block("", (), (), (scaling_tables.no_crossovers(axis),)))
    return (growth, frame_block("Crossovers", scaling_tables.crossover_table(crossings, axis)))


def _tables(rows: pd.DataFrame, axis: str) -> tuple[Block, ...]:
    """Return what the figure shows, and what has no value with the reason."""
    points = scaling_points(rows, axis)
    timed = rows[rows["time_ns"].notna()]
    numbers = scaling_tables.numbers(
        scaling_tables.timed_rows(rows, axis), points, axis, "call", timed["baseline"].iloc[0] if len(timed) else None
    )
    without = scaling_tables.reasons(points[points["value"].isna()], axis)
    tables = (("Numbers", numbers), ("Without a value", without))
    return tuple(frame_block(title, table) for title, table in tables if len(table))

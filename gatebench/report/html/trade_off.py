"""Section Trade-off: time against error, memory or half-life, at a few shapes of each slice of a run."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from gatebench.report.figures.trade_off import AGAINST, trade_off_figure, trade_off_points
from gatebench.report.half_lives import half_lives, half_lives_note, seen_half_lives
from gatebench.report.html.content import Drawing, Part, Section, frame_block
from gatebench.report.html.slices import CHOICES, Slice
from gatebench.report.table import shape_label
from gatebench.report.trade_off_tables import AGAINST_WORDS, legend, numbers, reasons

QUANTITY, SHAPE = "Against", "Shape"
OF_CASES = [name for name in AGAINST if name != "half_life"]  # what each case has; a half-life is the gate's own


def trade_off_section(found: list[Slice], across_gates: list[Slice], stability: pd.DataFrame) -> Section:
    """Return a part per slice, quantity and shape: the smallest, a middle and the largest that most implementations have.

    found: slices with the columns of analyze.compare; across_gates: the same rows in slices that hold all gates, for
    half-lives tell gates apart. stability: of the run.
    """
    parts = [part for against in OF_CASES for each in found for part in _parts(each, against)]
    parts += _of_half_lives(across_gates, stability)
    notes = () if parts else ("No shape has two implementations with a time and another quantity.",)
    choices = (QUANTITY, *CHOICES, SHAPE)
    return Section("trade-off", "Trade-off", "What does speed cost?", parts, choices, notes)


def _parts(found: Slice, against: str) -> Iterator[Part]:
    for rows in _few_shapes(found.rows):
        points = trade_off_points(rows, against)
        if (points["missing"] == "").sum() > 1:
            yield _part(found, rows, points, against)


def _of_half_lives(across_gates: list[Slice], stability: pd.DataFrame) -> Iterator[Part]:
    seen = seen_half_lives(stability)
    for each in across_gates if len(seen) else ():
        for rows in _few_shapes(each.rows):
            size = (int(rows["seq_len"].iloc[0]), int(rows["hidden_size"].iloc[0]))
            condition, found = next(iter(half_lives(seen, *size).items()))
            points = trade_off_points(rows, "half_life", half_lives=found)
            if (points["missing"] == "").sum() > 1:
                yield _part(each, rows, points, "half_life", half_lives_note(found, condition, *size))


def _few_shapes(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of three shapes at most, of those that most cases have a time for."""
    shapes = [group for _, group in rows.groupby(["seq_len", "hidden_size"])]
    counts = [int(group["time_ns"].notna().sum()) for group in shapes]
    fullest = [group for group, count in zip(shapes, counts, strict=True) if count == max(counts) > 1]
    fullest.sort(key=lambda group: int(group["seq_len"].iloc[0] * group["hidden_size"].iloc[0]))
    return [fullest[place] for place in sorted({0, len(fullest) // 2, len(fullest) - 1})] if fullest else []


def _part(found: Slice, rows: pd.DataFrame, points: pd.DataFrame, against: str, note: str = "") -> Part:
    shape, word = shape_label(rows.iloc[0]), AGAINST_WORDS[against]
    title = f"{found.title} · {shape} · time against {word}"
    tables = (("Numbers", numbers(points, against)), ("Without a point", reasons(points)))
    return Part(
        title,
        {**found.keys, QUANTITY: word, SHAPE: shape},
        Drawing(partial(trade_off_figure, points, against), f"{word} against the time of one call: {title}", f"trade-off {title}"),
        f"{legend(against)} {note}".strip(),
        tuple(frame_block(name, table) for name, table in tables if len(table)),
    )  # fmt: skip

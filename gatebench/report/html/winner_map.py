"""Section Winner map: the fastest implementation at each (T, H) of each slice: by time, over N calls, under a memory cap."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pandas as pd

from gatebench.report.figures.winner_map import winner_map_figure
from gatebench.report.html.content import Drawing, Part, Section, frame_block
from gatebench.report.html.slices import CHOICES, BlocksByCase, Slice
from gatebench.report.quantities import bytes_text
from gatebench.report.winner_tables import explanation, numbers
from gatebench.report.winners import winner_cells

COUNTED = "What counts"
CALLS = (1, 1_000, 1_000_000)  # a compile of seconds is lost in one call, and nothing over a million
CAPS = (2**20, 2**24, 2**28, 2**32)  # bytes of one call


class Condition(NamedTuple):
    """What decides who is fastest. calls: compiling is paid back over so many; cap: bytes that a call may take."""

    words: str
    calls: int | None = None
    cap: int | None = None


def winner_map_section(found: list[Slice], blocks: BlocksByCase) -> Section:
    """Return a part per slice and condition: a map where there are two cells at least, and its numbers."""
    parts = [part for each in found for part in _parts(each, blocks.of(each.rows))]
    notes = () if parts else ("No case of this run has sizes T and H.",)
    return Section("winner-map", "Winner map", "What should I use at (T, H)?", parts, (*CHOICES, COUNTED), notes)


def conditions(rows: pd.DataFrame) -> Iterator[Condition]:
    """Return the conditions that can change who is fastest: over N calls where something compiles, and caps that part the cases."""
    yield Condition("time alone")
    timed = rows[rows["time_ns"].notna()]
    if timed[["compile_cold_ns", "compile_warm_ns", "graphs"]].notna().any(axis=None):
        for calls in CALLS:
            yield Condition(f"with compiling, over {calls:,} {'call' if calls == 1 else 'calls'}", calls)
    memory = timed["peak_bytes"].astype(float)
    for cap in CAPS:
        if (memory > cap).any() and (memory <= cap).any():
            yield Condition(f"time, within {bytes_text(cap)} a call", cap=cap)


def _parts(found: Slice, blocks: pd.DataFrame) -> Iterator[Part]:
    for condition in conditions(found.rows):
        cells = winner_cells(found.rows, blocks, condition.calls, condition.cap)
        title = f"{found.title} · {condition.words}"
        drawing = None
        if len(cells) > 1:
            alt = f"fastest implementation at each T and H: {title}"
            drawing = Drawing(partial(winner_map_figure, cells), alt, f"winner map {title}")
        caption = explanation(condition.calls, condition.cap) if drawing else ""
        yield Part(title, {**found.keys, COUNTED: condition.words}, drawing, caption, (frame_block("Numbers", numbers(cells)),))  # fmt: skip

"""What a report consists of: sections that answer a question, and their parts, one of which is shown at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from gatebench.report.table import Block

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Drawing:
    """A figure that is made when it is its turn. alt: what it shows, for those who do not see it; name: of its picture's file."""

    make: "Callable[[], go.Figure]"
    alt: str
    name: str


@dataclass(frozen=True)
class Part:
    """One figure with its caption and its numbers, or numbers alone.

    keys: what was chosen for it, by the section's choices, e.g. {"Gate": "lstm", "Mode": "forward"}; a choice that it leaves
    out does not matter to it. title: the same in words. blocks: tables; folded, or where a figure stands above them, one
    sees their titles until they are opened. opened: tables that stand open there.
    """

    title: str
    keys: Mapping[str, str] = field(default_factory=dict)
    drawing: Drawing | None = None
    caption: str = ""
    blocks: tuple[Block, ...] = ()
    folded: bool = False
    opened: tuple[Block, ...] = ()


@dataclass(frozen=True)
class Section:
    """One question and its answer. choices: the order of the select boxes; notes: lines below the question."""

    anchor: str
    title: str
    question: str
    parts: Sequence[Part] = ()
    choices: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """A whole page: title, facts in one line each, and sections."""

    title: str
    lead: tuple[str, ...]
    sections: tuple[Section, ...]


def frame_block(title: str, frame: pd.DataFrame, notes: tuple[str, ...] = ()) -> Block:
    """Return a table of words and numbers with their units; what is missing is an empty cell."""
    columns = [frame[name].fillna("").astype(str) for name in frame]
    return Block(title, tuple(map(str, frame.columns)), tuple(zip(*columns, strict=True)), notes, numbers=False)

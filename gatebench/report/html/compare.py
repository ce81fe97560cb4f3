"""Section Compare: implementations of one run, base and head of an A/B, or one run against another; all by two sides."""

from collections.abc import Iterator
from functools import partial

import pandas as pd

from gatebench.analyze.compare import choose_baseline
from gatebench.analyze.sides import CHANGE, Sides, of_implementations, of_runs, of_versions
from gatebench.analyze.two_runs import Frames
from gatebench.report.ci.words import QUANTITIES
from gatebench.report.figures.forest import forest_figure
from gatebench.report.html.content import Drawing, Part, Section, frame_block
from gatebench.report.names import competitors
from gatebench.report.side_words import MEASURES, outcome_text, shown_rows, without_number
from gatebench.report.table import Block, blocks, wide_legend
from gatebench.words import counted

QUESTION = "Is B different from A, by how much, how sure?"
PAIRED = "Speed-ups are over paired blocks: both sides were measured in the same rounds of the same run."
LEGEND = (
    "Tables: times are of one call; × is how many times faster than the baseline. * fastest, = tied with it, ~ unsettled or machine "
    "busy, ? one block: ties unknown, ! inconclusive: others disturbed over a fifth of its samples. [ ] 95 % interval over blocks."
)
JUDGED = (
    "Filled: judged faster or slower; hollow: same or inconclusive. Bars: intervals as the A/B stored them; what is counted exactly has "
    "none. Grey: the margin that counts as same."
)
_MARKS = (
    "Filled: told apart, for {} lies outside the interval; hollow: not told apart, or inconclusive. Bars: 95 % intervals, {}; cut where "
    "they leave the figure. Diamonds: geometric means. No correction for how many cases there are."
)


def implementations_section(compared: pd.DataFrame, samples: pd.DataFrame, stability: pd.DataFrame) -> Section:
    """Return each competitor against the baseline, and the tables of the run: a row per shape, a column per implementation.

    compared: from analyze.compare.compare over the whole run, with its pay_back_calls. samples: of it, or their blocks.
    """
    tables = tuple(blocks(compared, samples, stability)) if len(compared) else ()
    parts = [
        *_against_baseline(compared, samples),
        *([Part("All tables", blocks=tables, folded=True)] if tables else []),
    ]
    legend = f"{LEGEND} {wide_legend(tables)}".strip()
    notes = (PAIRED, legend) if parts else ("Nothing was timed in this run.",)
    return Section("compare", "Compare", QUESTION, parts, ("A", "B"), notes)


def _against_baseline(compared: pd.DataFrame, samples: pd.DataFrame) -> Iterator[Part]:
    timed = compared[compared["time_ns"].notna()]
    baseline = choose_baseline(timed)
    if baseline is None:
        return
    named = compared.assign(competitor=competitors(compared))
    counts = named.groupby("competitor", sort=False)["time_ns"].count().sort_values(ascending=False, kind="stable")
    for name in [name for name in counts.index if name != baseline]:
        first = named[named["competitor"] == name].iloc[0]
        other = (first["implementation"], first["implementation_options"] or "{}")
        sides = of_implementations(compared, samples, baseline, other)
        yield _part(sides, "time", {"A": baseline, "B": str(name)}, f"{name} against {baseline}")


def versions_section(
    verdicts: pd.DataFrame, measurements: pd.DataFrame, controls: list[str], names: tuple[str, str]
) -> Section:
    """Return the stored verdicts of an A/B run, a part per quantity; names: of base and head."""
    parts = []
    for quantity in [name for name in QUANTITIES if name in set(verdicts["quantity"])]:
        sides = of_versions(verdicts, measurements, quantity, controls)
        parts.append(_part(sides, quantity, {"Quantity": QUANTITIES[quantity]}, QUANTITIES[quantity]))
    notes = (
        f"A, the base: {names[0]}", f"B, the head: {names[1]}",
        "Verdicts are those that the A/B stored: a sign-flip test over paired blocks.",
    )  # fmt: skip
    return Section("compare", "Compare", QUESTION, parts, ("Quantity",), notes)


def runs_section(before: Frames, after: Frames, across: bool, names: tuple[str, str], worth: str) -> Section:
    """Return the change of each case from run A to run B. worth: what such numbers can say."""
    part = _part(of_runs(before, after, across), "time", {}, "From A to B")
    return Section("compare", "Compare", QUESTION, [part], notes=(f"A: {names[0]}", f"B: {names[1]}", worth))


def _part(sides: Sides, quantity: str, keys: dict[str, str], title: str) -> Part:
    drawing, caption = None, ""
    if quantity != "coverage" and sides.rows["value"].notna().any():
        alt = f"{MEASURES[sides.measure]} of each case, with intervals: {title}"
        drawing = Drawing(partial(forest_figure, sides, quantity), alt, f"compare {title}")
        caption = _caption(sides)
    tables = (("Cases", shown_rows(sides, quantity)), ("Without a number", without_number(sides, quantity)))
    shown = [frame_block(title, table) for title, table in tables if len(table)]
    return Part(title, keys, drawing, caption, (_outcomes(sides, quantity), *shown))


def _caption(sides: Sides) -> str:
    if sides.judged:
        return JUDGED
    unpaired = sides.rows["pairs"].isna().all()
    method = "Welch's t over the blocks of both runs" if unpaired else "Student's t over paired blocks"
    return _MARKS.format("0 %" if sides.measure == CHANGE else "1×", method)


def _outcomes(sides: Sides, quantity: str) -> Block:
    """Say how many cases came out how."""
    counts = sides.rows["outcome"].value_counts()
    words = ", ".join(f"{count} {outcome_text(str(name), quantity)}" for name, count in counts.items())
    return Block(
        "", (), (), (f"{counted(len(sides.rows), 'case')}, B against A: {words}" if words else "No case is left.",)
    )

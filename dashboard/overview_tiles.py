"""The tiles of Overview: a number, what it counts, and links to the pages and filters that show its cases."""

from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import elements
from dashboard.overview_rows import STALE_DAYS, Ab, judged_once
from gatebench.analyze.states import STATUS_WORDS
from gatebench.report.ci.words import QUANTITIES
from gatebench.words import counted

MOST_LINKS = 3  # of a tile
LONGEST = 40  # letters of a name in a link
COMPARE, COVERAGE = "views/compare.py", "views/coverage.py"
UNKNOWN = "–"
_KEY = "tile_"
_WIDTH_PX = 190  # three beside each other in a window of 1,000 pixels


@dataclass(frozen=True)
class Link:
    """Where cases of a tile are shown: its text, the page's file, the filters there."""

    text: str
    page: str
    query: dict[str, str]


@dataclass(frozen=True)
class Tile:
    """A number and what it counts; lines: more to know; links: the largest first."""

    label: str
    value: str
    meaning: str
    lines: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()


def tiles(abs_: list[Ab], longer: pd.DataFrame, failed: pd.DataFrame, disturbed: pd.DataFrame, pairs: pd.DataFrame, commit: str | None) -> list[Tile]:  # fmt: skip
    """Return the five tiles; the frames are those of dashboard.overview_rows, abs_ the last A/Bs, commit the newest."""
    return [
        slower(abs_, longer),
        bad("Wrong", pairs, "Cases whose newest measurement on a machine gave a wrong result.", failed, ("wrong",)),
        bad("Failed", pairs, "Cases whose newest measurement on a machine failed, timed out or ran out of memory.", failed, ("failed", "timeout", "out_of_memory")),
        inconclusive(abs_, disturbed),
        stale(pairs, commit),
    ]  # fmt: skip


def slower(abs_: list[Ab], longer: pd.DataFrame) -> Tile:
    """Count the cases that the last A/Bs judged slower, and say what took longer than in the run before."""
    judged = [ab for ab in abs_ if not ab.problem]
    counts = judged_once(judged, "slower")
    links = [_ab_link(count, ab, "slower", "slower") for count, ab in zip(counts, judged, strict=True) if count]
    lines = [] if judged else ["No A/B here has a verdict."]
    if len(longer):
        took, compared = int(longer["slower_once"].sum()), int(longer["compared_once"].sum())
        lines.append(f"Took longer than in the run before: {took} of {counted(compared, 'case')}. No verdict.")
        most = longer[longer["slower_once"] > 0].sort_values("slower_once", ascending=False, kind="stable")
        links += [
            Link(
                f"{row.slower_once} took longer on {_short(row.machine)}", COMPARE, {"sides": "runs", "run": row.run_id}
            )
            for row in most.itertuples()
        ]
    meaning = (
        "Cases that the newest A/B of a machine and suite judged slower: in time, compile time, memory or exactness, with a "
        "false-alarm rate set beforehand. A case of several suites counts once, as its newest A/B judged it. Runs one after "
        "the other give no verdict, for two jobs differ by more than two versions of the code do: of them it is told which "
        "cases have a 95 % interval of the change above 0."
    )
    return Tile("Slower", str(sum(counts)) if judged else UNKNOWN, meaning, tuple(lines), _first(links))


def bad(label: str, pairs: pd.DataFrame, meaning: str, failed: pd.DataFrame, statuses: tuple[str, ...]) -> Tile:
    """Count the cases of these statuses, by machine, gate and dtype."""
    rows = failed[failed["status"].isin(statuses)]
    found = rows.groupby(["machine", "gate", "dtype"], sort=False, dropna=False)["cases"].sum()
    links = []
    for (machine, gate, dtype), count in found.sort_values(ascending=False, kind="stable").items():
        known = {"dtype": dtype} if isinstance(dtype, str) else {}
        words = ", ".join([_short(gate), *known.values()])
        links.append(
            Link(f"{count} of {words}, on {_short(machine)}", COVERAGE, {"on_machine": machine, "gate": gate} | known)
        )
    counts = rows.groupby("status")["cases"].sum()
    words = [f"{counts[name]} {STATUS_WORDS[name]}" for name in statuses if name in counts]
    lines = [f"Of {counted(pairs['cases'].sum(), 'case')}."] if len(pairs) else []
    lines += [", ".join(words) + "."] if words and len(statuses) > 1 else []
    value = str(int(rows["cases"].sum())) if len(pairs) else UNKNOWN
    return Tile(label, value, meaning, tuple(lines), _first(links))


def inconclusive(abs_: list[Ab], disturbed: pd.DataFrame) -> Tile:
    """Count the cases that the last A/Bs could not decide, and say whose samples were disturbed."""
    judged = [ab for ab in abs_ if not ab.problem]
    counts = judged_once(judged, "inconclusive")
    links = [
        _ab_link(count, ab, "inconclusive", "undecided") for count, ab in zip(counts, judged, strict=True) if count
    ]
    lines = [] if judged else ["No A/B here has a verdict."]
    if len(disturbed):
        some, timed = int(disturbed["disturbed"].sum()), int(disturbed["timed"].sum())
        lines.append(f"Disturbed by other processes: {some} of {counted(timed, 'case')}.")
        links += [
            Link(f"{row.disturbed} disturbed on {_short(row.machine)}", COMPARE, {"sides": "implementations", "run": row.run_id})
            for row in disturbed[disturbed["disturbed"] > 0].itertuples()
        ]  # fmt: skip
    meaning = (
        "Cases of which the newest A/B of a machine and suite could not say faster, slower or same; a case of several "
        "suites counts once, as its newest A/B judged it. Beside them: cases in "
        "whose newest run other processes disturbed over a fifth of the samples, so that their times say little."
    )
    return Tile("Inconclusive", str(sum(counts)) if judged else UNKNOWN, meaning, tuple(lines), _first(links))


def stale(pairs: pd.DataFrame, commit: str | None) -> Tile:
    """Count the gates that an implementation has not been measured with for long, and those never at the newest commit."""
    old = pairs[pairs["stale"]]
    meaning = (
        f"A gate by an implementation on a machine whose newest measurement is {STALE_DAYS} days old or older, by this "
        "machine's clock; below it, those not measured at the commit of the newest run that is no A/B."
    )
    lines = [f"Of {len(pairs)} pairs of gate and implementation."]
    if commit is not None:
        lines.append(f"Not at the newest commit, {commit[:10]}: {int((~pairs['at_newest']).sum())}.")
    worst = old.groupby(["machine", "gate"], sort=False).size().sort_values(ascending=False, kind="stable")
    links = [
        Link(f"{count} of {_short(gate)} on {_short(machine)}", COVERAGE, {"on_machine": machine, "gate": gate})
        for (machine, gate), count in worst.items()
    ]
    return Tile("Stale", str(len(old)) if len(pairs) else UNKNOWN, meaning, tuple(lines), _first(links))


def show(found: list[Tile]) -> None:
    """Show tiles, as many beside each other as the window holds; their links open with Enter, too."""
    # Streamlit cuts the text of a link at the edge of its tile.
    st.html(f"<style>[class*='st-key-{_KEY}'] [data-testid='stPageLink'] * {{white-space: normal !important;}}</style>")
    row = st.container(horizontal=True)
    for tile in found:
        with row.container(border=True, width=_WIDTH_PX, height="stretch", key=f"{_KEY}{tile.label.lower()}"):
            st.metric(tile.label, tile.value, help=tile.meaning)
            for line in tile.lines:
                st.caption(elements.plain(line))
            for link in tile.links:
                elements.link(link.page, elements.plain(link.text), link.query)


def _ab_link(count: int, ab: Ab, verdict: str, word: str) -> Link:
    """Return the way to an A/B's cases of one verdict: to time's, or where time has none, to the first quantity's that has."""
    found = set(ab.verdicts.loc[ab.verdicts["verdict"] == verdict, "quantity"])
    quantity = next((name for name in QUANTITIES if name in found), "time")
    of = "" if quantity == "time" else f" ({QUANTITIES[quantity]})"
    query = {"sides": "commits", "ab": ab.run.run_id, "quantity": quantity}
    return Link(f"{count} {word}{of}: {ab.run.label}", COMPARE, query)


def _first(links: list[Link]) -> tuple[Link, ...]:
    return tuple(links[:MOST_LINKS])


def _short(name: Any) -> str:
    text = " ".join(str(name).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"

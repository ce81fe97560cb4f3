"""The trade-off below the page Compare: speed against error, memory or half-life, at one shape of one run."""

from collections.abc import Callable

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import compare_rows, elements
from dashboard.compare_sides import Comparison
from dashboard.filters import Filters, ordered, text
from dashboard.loading import Store
from dashboard.slices import DTYPES, MODES
from gatebench.analyze.compare import choose_baseline, compare
from gatebench.report.figures.trade_off import AGAINST, SPEEDS, trade_off_figure, trade_off_points
from gatebench.report.half_lives import NONE_SEEN, half_lives, half_lives_note, seen_half_lives
from gatebench.report.names import devices
from gatebench.report.table import shape_label
from gatebench.report.trade_off_tables import AGAINST_WORDS, legend, numbers, reasons

_UNUSUAL = (("device_text", "device", "Device"), ("cache", "cache", "Cache"), ("launch", "launch", "Launch"), ("side", "trade_side", "Side"), ("seed", "seed", "Seed"))  # fmt: skip


def show(store: Store, filters: Filters, comparison: Comparison) -> None:
    """Let the page choose what is traded and where; show figure, numbers, and what has no point."""
    st.subheader("What does speed cost?", anchor=False)
    run = comparison.runs[1]
    rows = compare_rows.measurements(store, run["run_id"])
    rows = rows[rows["seq_len"].notna()]
    if rows.empty:
        st.info("The cases of this run have no sizes: nothing can be told of one shape.", icon=":material/info:")
        return
    place = st.container(horizontal=True)  # boxes side by side, below each other where the window is narrow
    against = filters.one("trade", "Against", list(AGAINST), words=AGAINST_WORDS, place=place)
    speed = (
        filters.one("trade_speed", "Speed as", list(SPEEDS), words=SPEEDS, place=place)
        if against != "half_life"
        else "time"
    )
    rows, words = _choose_shape(filters, rows, place, every_gate=against == "half_life")
    measured_half_lives, of = (
        _choose_half_lives(filters, store.rows("stability", run["run_id"]), rows, place)
        if against == "half_life"
        else (None, "")
    )
    baseline = comparison.names[0] if comparison.names[0] in set(rows["implementation"]) else choose_baseline(rows)
    compared = compare(rows, store.rows("blocks", run["run_id"]), baseline)
    points = trade_off_points(compared, against, speed, measured_half_lives)
    over = f"speed-up over {baseline}" if speed == "speedup" else ""
    st.caption(elements.plain(" · ".join(word for word in (*words, over, run["label"], run["machine"]) if word)))
    if of:
        st.caption(elements.plain(of))
    elements.figure(
        trade_off_figure(points, against, speed), "trade_off", f"{AGAINST[against]} against {SPEEDS[speed]}"
    )
    st.caption(legend(against))
    shown = numbers(points, against, speed)
    if len(shown):
        elements.table(shown)
    _show_missing(points)


def _choose_shape(
    filters: Filters, rows: pd.DataFrame, place: DeltaGenerator, every_gate: bool
) -> tuple[pd.DataFrame, list[str]]:
    """Let the page choose gate, mode, dtype, shape and what else differs; returns its rows, and words for a caption."""
    rows = rows.assign(device_text=devices(rows), shape=[shape_label(row) for row in rows.itertuples()])
    appearance = ordered(*dict.fromkeys(rows["gate_name"]))
    if not every_gate:
        rows = _slice(filters, rows, place, "gate", "Gate", "gate_name", order=appearance)
    rows = _slice(filters, rows, place, "mode", "Mode", "mode", order=MODES)
    rows = _slice(filters, rows, place, "dtype", "Dtype", "dtype", order=DTYPES)
    # The shape that most cases have a time for, which is where gates meet.
    order = rows[rows["time_ns"].notna()].groupby("shape").size().sort_values(ascending=False, kind="stable")
    rows = _slice(filters, rows, place, "shape", "Shape", "shape", order=ordered(*order.index))
    for column, key, label in _UNUSUAL:
        rows = _slice(filters, rows, place, key, label, column, order=ordered("run", "head", "hot", "eager"))
    first = rows.iloc[0]
    words = ["all gates" if every_gate else first["gate_name"], first["mode"].replace("_", " + "), first["dtype"], first["shape"], first["device_text"]]  # fmt: skip
    return rows, words


def _slice(
    filters: Filters, rows: pd.DataFrame, place: DeltaGenerator, key: str, label: str, column: str, order: Callable
) -> pd.DataFrame:
    """Return the rows with the chosen value of a column; the box stands in the page, where there is a choice."""
    values = rows[column].map(text)
    chosen = filters.one(key, label, sorted(set(values), key=order), always=False, place=place)
    return pd.DataFrame(rows[values == chosen])


def _choose_half_lives(
    filters: Filters, stability: pd.DataFrame, timed: pd.DataFrame, place: DeltaGenerator
) -> tuple[pd.DataFrame | None, str]:
    """Let the page choose which half-lives: at one init, dtype, T and H, alike for all gates; says so in words.

    stability: of the run; timed: its measurements of the chosen shape.
    """
    seq_len, hidden_size = (int(timed[name].iloc[0]) for name in ("seq_len", "hidden_size"))
    found = half_lives(seen_half_lives(stability), seq_len, hidden_size)
    if not found:
        return None, NONE_SEEN
    chosen = filters.one("half_life_of", "Half-lives with", list(found), place=place)
    return found[chosen], half_lives_note(found[chosen], chosen, seq_len, hidden_size)


def _show_missing(points: pd.DataFrame) -> None:
    missing = reasons(points)
    if len(missing):
        st.markdown("Without a point:")
        elements.wrapped(missing)

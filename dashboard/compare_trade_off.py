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
from gatebench.report.figures.trade_off import (
    AGAINST,
    SPEEDS,
    against_text,
    speed_text,
    trade_off_figure,
    trade_off_points,
)
from gatebench.report.names import DTYPES as FINEST_FIRST
from gatebench.report.names import devices
from gatebench.report.quantities import is_missing
from gatebench.report.stability import case_summary
from gatebench.report.table import shape_label

_UNUSUAL = (("device_text", "device", "Device"), ("cache", "cache", "Cache"), ("launch", "launch", "Launch"), ("side", "trade_side", "Side"), ("seed", "seed", "Seed"))  # fmt: skip
_STABILITY = ["init", "dtype", "seq_len", "hidden_size", "inputs"]  # what a half-life belongs to, beside its gate


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
    against = filters.one("trade", "Against", list(AGAINST), words=_words(AGAINST), place=place)
    speed = (
        filters.one("trade_speed", "Speed as", list(SPEEDS), words=SPEEDS, place=place)
        if against != "half_life"
        else "time"
    )
    rows, words = _choose_shape(filters, rows, place, every_gate=against == "half_life")
    half_lives, of = (
        _choose_half_lives(filters, store.rows("stability", run["run_id"]), rows, place)
        if against == "half_life"
        else (None, "")
    )
    baseline = comparison.names[0] if comparison.names[0] in set(rows["implementation"]) else choose_baseline(rows)
    compared = compare(rows, store.rows("blocks", run["run_id"]), baseline)
    points = trade_off_points(compared, against, speed, half_lives)
    over = f"speed-up over {baseline}" if speed == "speedup" else ""
    st.caption(elements.plain(" · ".join(word for word in (*words, over, run["label"], run["machine"]) if word)))
    if of:
        st.caption(elements.plain(of))
    elements.figure(
        trade_off_figure(points, against, speed), "trade_off", f"{AGAINST[against]} against {SPEEDS[speed]}"
    )
    st.caption(_legend(against))
    shown = points[points["missing"] == ""].sort_values("x", ascending=speed == "time")
    if len(shown):
        elements.table(_numbers(shown, against, speed))
    _show_missing(points)


def _words(names: dict[str, str]) -> dict[str, str]:
    return {key: name.split(" (")[0] for key, name in names.items()}


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
    summary = case_summary(stability[stability["task"].isna()]) if len(stability) else pd.DataFrame()
    summary = summary[summary["half_life"].notna() & (summary["probe"] == "ones")] if len(summary) else summary
    if summary.empty:
        return None, "This run has looked at no gradients: `gatebench stability` finds half-lives."
    sizes = timed[["seq_len", "hidden_size"]].iloc[0]
    table = summary.assign(
        condition=[_condition(row) for row in summary.itertuples()],
        other_size=(summary[["seq_len", "hidden_size"]] != sizes).sum(axis=1), other_init=summary["init"] != "torch",
        coarseness=[FINEST_FIRST.index(name) if name in FINEST_FIRST else len(FINEST_FIRST) for name in summary["dtype"]],
    ).drop_duplicates(["condition", "gate", "options"])  # fmt: skip
    # What most gates share comes first, for there they can be compared; then the shape that is timed.
    order = table.assign(gates=-table.groupby("condition")["gate"].transform("size"))
    order = order.sort_values(["gates", "other_size", "other_init", "coarseness"], kind="stable")["condition"]
    chosen = filters.one("half_life_of", "Half-lives with", list(dict.fromkeys(order)), place=place)
    kept = table[table["condition"] == chosen]
    beside = (
        ""
        if kept["other_size"].eq(0).all()
        else f"; timed are T = {sizes['seq_len']:.0f}, H = {sizes['hidden_size']:.0f}"
    )
    return kept, f"Half-lives are the gates' own, whatever computes them: {chosen}{beside}."


def _condition(row) -> str:
    words = [f"{row.init} init", row.dtype, f"T = {int(row.seq_len)}", f"H = {int(row.hidden_size)}"]
    return ", ".join([*words, *([] if row.inputs == "normal" else [f"{row.inputs} inputs"])])


def _legend(against: str) -> str:
    of_y = {"half_life": "bars upright: lower to upper decile over seeds and batch rows; "}.get(against, "")
    return (
        "Filled: on the frontier, for no other is as good in both and better in one, by the estimates; hollow: beaten. "
        f"Bars along: 95 % intervals over blocks; {of_y}dotted: what can be had at each speed."
    )


def _numbers(shown: pd.DataFrame, against: str, speed: str) -> pd.DataFrame:
    rows = list(shown.itertuples())
    interval = " (deciles)" if against == "half_life" else ""
    return pd.DataFrame(
        {
            "implementation": shown["name"],
            f"{SPEEDS[speed]} (95 %)": [speed_text(row, speed) for row in rows],
            "blocks": ["–" if is_missing(row.blocks) else str(int(row.blocks)) for row in rows],
            f"{_words(AGAINST)[against]}{interval}": [against_text(row, against) for row in rows],
            "frontier": ["yes" if row.frontier else "no" for row in rows],
        }
    )


def _show_missing(points: pd.DataFrame) -> None:
    missing = points[points["missing"] != ""]
    if missing.empty:
        return
    st.markdown("Without a point:")
    gathered = missing.groupby("missing", sort=False)["name"].agg(lambda names: ", ".join(dict.fromkeys(names)))
    elements.wrapped(pd.DataFrame({"implementation": gathered.to_numpy(), "why": gathered.index}))

"""What every page is made of: title and question, notes, figures, tables, commands, and help where there is nothing."""

import io
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import loading
from dashboard.filters import ALONE, BESIDE, DEFAULTS, LINKED, Filters, Notes, text
from dashboard.finding import MOST_OPTIONS
from gatebench.report.figures.layout import seat_axes

LONGEST_WRAPPED = 40  # rows; beyond, a table scrolls in its own box
LONGEST_LINKED, MOST_LINKS = 80, 6  # letters of a gate's name, and how many, that get a link
LOAD_AHEAD_MS = 1000  # until then the browser draws the page
# What at a line's start makes a list, a rule, or a heading of the line before; no number has it: -5 %, 1.5 µs.
_LIST = re.compile(r"[-+=](?=[-+= ]|$)|\d+[.)](?= |$)")
UNWRAPPED = "unwrapped_"  # what keys of tables begin with whose cells stay on one line


def _program() -> str:
    """Return what calls the command line: its name, or where that is not on the path, the file beside this Python."""
    beside = Path(sys.executable).with_name("gatebench")
    if shutil.which("gatebench") or not beside.exists():
        return "gatebench"
    here = Path.cwd()
    return shlex.quote(str(beside.relative_to(here) if beside.is_relative_to(here) else beside))


PROGRAM = _program()

# One filter's key and option, or several.
Target: TypeAlias = str | tuple[str, ...]
Option: TypeAlias = str | tuple[str, ...]
OptionOf = Callable[[Any], Option | None]  # of a clicked point, a dict as Streamlit gives it

QUESTIONS = {
    "Overview": "Is anything wrong or new?",
    "Compare": "Is B different from A, by how much, how sure?",
    "Scaling": "How does cost grow with T, H or B?",
    "Winner map": "What should I use at (T, H)?",
    "Stability": "Does this gate lose or blow up gradients?",
    "Coverage": "What has not been measured or is not right, and why?",
    "History": "When did it move?",
    "Run": "What exactly happened?",
    "Gate": "What is this gate?",
}


def tighten() -> None:
    """Use the room: less padding than Streamlit's own 6 and 5 rem; cells of numbers stay on one line, wide equations scroll."""
    st.html(
        "<style>.stMainBlockContainer {padding: 3rem 2.5rem;}"
        " .katex-display {overflow-x: auto; overflow-y: hidden;}"
        f" [class*='st-key-{UNWRAPPED}'] td, [class*='st-key-{UNWRAPPED}'] td * {{white-space: nowrap !important;}}</style>"
    )


def load_ahead() -> None:
    """Let the browser load what draws figures, 5 MB, while it has nothing else to do: the first figure waits a second less."""
    # The name of the file is Streamlit's own affair: where it has another one day, the first figure loads it, as without this.
    found = next(Path(st.__file__).parent.glob("static/static/js/PlotlyChart.*.js"), None)
    if found is not None:
        load = f"() => import('./static/js/{found.name}').catch(() => {{}})"
        idle = f"(window.requestIdleCallback ?? setTimeout)({load}, {{timeout: {LOAD_AHEAD_MS}}})"  # Safari has none
        code = f"setTimeout(() => {idle}, {LOAD_AHEAD_MS})"
        st.html(f"<script>{code}</script>", unsafe_allow_javascript=True)


def header(title: str, notes: Notes | None = None) -> None:
    """Show the page's title, the question it answers, and what was dropped from the URL; another page begins at its top."""
    # Run when its text changes: with the page. Else the next page opens where one had scrolled to on the last.
    scroll = f"document.querySelector('[data-testid=stMain]')?.scrollTo(0, 0); // {title}"
    st.html(f"<script>{scroll}\n</script>", unsafe_allow_javascript=True)
    st.title(title, anchor=False)
    st.markdown(f"**{QUESTIONS[title]}**")
    if notes is not None:
        notes.show()


def banner(problems: list[str]) -> None:
    """Show all broken runs in one banner; the rest of the page goes on."""
    if not problems:
        return
    count = f"{len(problems)} broken run file{'s' if len(problems) > 1 else ''}"
    listed = "\n".join(problems[:10]) + (f"\n… and {len(problems) - 10} more" if len(problems) > 10 else "")
    st.warning(f"{count} in this store; everything else is shown.", icon=":material/broken_image:")
    with st.expander("What is broken"):
        st.code(listed, language=None, wrap_lines=True)


def no_store(title: str, what: str, problems: list[str] | None = None) -> None:
    """Help where there is nothing to show: what is wrong, and the command that mends it."""
    header(title)
    st.info(plain(what), icon=":material/info:")
    st.markdown("Measure something first, then reload this page:")
    command("gatebench run quick" + store_option())
    st.markdown("Or show another store:")
    command("gatebench dashboard --store PATH")
    banner(problems or [])


def nothing(what: str, remedy: str) -> None:
    """Say that this page has nothing to show, and the command that changes it."""
    st.info(what, icon=":material/info:")
    command(remedy)


def figure(chart: go.Figure, key: str, alt: str, pick: tuple[Target, OptionOf] | None = None) -> None:
    """Show a plotly figure in the page's theme, full width, without a tool bar over the data.

    pick: the key of a `Filters.pick`, and which of its options a clicked point stands for (None: for none); or several keys,
    and an option for each.
    """
    seat_axes(chart)
    settings = {
        "theme": "streamlit", "key": key, "alt": alt, "config": {"displaylogo": False, "displayModeBar": False},
    }  # fmt: skip
    if pick is None:
        st.plotly_chart(chart, **settings)
        return
    target, option_of = pick
    _keep_bright(chart)

    def choose() -> None:
        points = st.session_state[key]["selection"]["points"]
        option = option_of(points[0]) if points else None
        if option is not None:
            _set(target, option)

    st.plotly_chart(chart, on_select=choose, selection_mode="points", **settings)


def _keep_bright(chart: go.Figure) -> None:
    """Let all marks and texts look after a click as before: plotly dims, as if out of the choice, what was not clicked on."""
    for trace in chart.data:
        if trace.type not in ("scatter", "bar") or (trace.type == "scatter" and trace.mode == "lines"):
            continue
        opacity = trace.marker.opacity
        if isinstance(opacity, Sequence | np.ndarray):
            continue  # of each mark its own: plotly takes one for all
        looks: dict[str, dict] = {"marker": {"opacity": 1 if opacity is None else opacity}}
        colour = (trace.insidetextfont.color if trace.type == "bar" else None) or trace.textfont.color
        looks |= {} if colour is None else {"textfont": {"color": colour}}
        trace.selected, trace.unselected = looks, looks  # of bars with texts plotly.js wants both


def table(frame: pd.DataFrame, pick: tuple[Target, Sequence[Option]] | None = None, **settings) -> None:
    """Show a table without its row numbers.

    pick: the key of a `Filters.pick`, and which of its options each row stands for; or several keys, and options for each row.
    """
    if pick is None:
        st.dataframe(frame, hide_index=True, **settings)
        return
    target, options = pick
    key = f"rows_of_{target if isinstance(target, str) else '_'.join(target)}"

    def choose() -> None:
        if rows := st.session_state[key]["selection"]["rows"]:
            _set(target, options[rows[0]])

    st.dataframe(frame, hide_index=True, key=key, on_select=choose, selection_mode="single-row", **settings)


def _set(target: Target, option: Option) -> None:
    """Set one filter, or several each to its own option; it counts as chosen, also where it is what the page shows by itself."""
    chosen = {target: option} if isinstance(target, str) else dict(zip(target, option, strict=True))
    st.session_state.update(chosen)
    for key in chosen:
        st.session_state.get(DEFAULTS, {}).pop(key, None)


def numbers(frame: pd.DataFrame, key: str) -> None:
    """Show a table whose cells stay on one line; it scrolls sideways where they do not fit."""
    with st.container(key=f"{UNWRAPPED}{key}"):
        wrapped(frame)


def wrapped(frame: pd.DataFrame) -> None:
    """Show a table whose long texts wrap instead of being cut; a long one scrolls."""
    if len(frame) > LONGEST_WRAPPED:
        table(frame)
        return
    st.table(frame.map(lambda cell: plain(cell) if isinstance(cell, str) else cell), hide_index=True)


def link(page: str, label: str, query: dict[str, str], icon: str | None = None, linked: str = ALONE) -> None:
    """Show a link to another page with these filters, and no others; page: its file below `dashboard`.

    linked: BESIDE keeps the others.
    """
    st.page_link(page, label=label, icon=icon, query_params=query | {LINKED: linked})


def choice(label: str, key: str, target: Target, option: Option) -> None:
    """Show a button that chooses an option of a filter or pick, as its box does."""
    st.button(label, key=key, on_click=_set, args=(target, option))


def second_box(label: str, target: str, options: Sequence[str], current: str) -> None:
    """Show one more box of a sidebar's filter where its question is asked: choosing in either is the same."""
    key = f"second_box_of_{target}"
    st.session_state[key] = current
    offered = list(dict.fromkeys([*options[:MOST_OPTIONS], current]))
    st.selectbox(label, offered, key=key, on_change=lambda: _set(target, st.session_state[key]))


def command(text: str) -> None:
    """Show commands to copy, one a line, as they run in the folder that the dashboard was started in."""
    here = re.sub(r"^gatebench ", lambda _: f"{PROGRAM} ", text, flags=re.MULTILINE)
    st.code(here, language="bash", wrap_lines=True)


def ways_out(command_text: str, frame: pd.DataFrame, name: str, filters: Filters) -> None:
    """Close a page: the same query as a command, the link that shows this view again, and its data to download.

    name: of the files, without an ending.
    """
    filters.drop_unused_texts()
    st.caption("The same on the command line:")
    command(command_text)
    st.caption("This view again, whatever the store's newest run will be:")
    address, query = str(st.context.url or "").partition("?")[0], urlencode(filters.chosen, doseq=True)
    st.code(f"{address}?{query}" if query else address, language=None, wrap_lines=True)
    if len(frame):
        with st.container(horizontal=True):
            st.download_button("CSV", lambda: csv_of(frame), f"{name}.csv", "text/csv", on_click="ignore")
            st.download_button(
                "Parquet", lambda: parquet_of(frame), f"{name}.parquet", "application/octet-stream", on_click="ignore"
            )


def gate_links(gates: Sequence[str], run: Mapping[str, Any] | None = None) -> None:
    """Show the ways to the pages of these gates, the first few; run: a row of Store.runs whose description is wanted."""
    where = {} if run is None else {"on_machine": run["machine"], "gate_run": run["label"]}
    with st.container(horizontal=True):
        for name in [name for name in dict.fromkeys(gates) if len(name) <= LONGEST_LINKED][:MOST_LINKS]:
            label = f"What is {plain(name)}?"
            link("views/gate.py", label, {"gate": name, **where}, ":material/function:", BESIDE)


def csv_of(frame: pd.DataFrame) -> bytes:
    """Return a frame as CSV in UTF-8, numbers in full, nothing for what is missing."""
    return frame.to_csv(index=False).encode("utf-8", "replace")


def parquet_of(frame: pd.DataFrame) -> bytes:
    """Return a frame as a parquet file; columns of mixed types, beside nothing at all, as text."""
    buffer = io.BytesIO()
    mixed = [name for name in frame if frame[name].dtype == object and frame[name].dropna().map(type).nunique() > 1]
    frame.assign(**{str(name): frame[name].map(text, na_action="ignore") for name in mixed}).to_parquet(buffer)
    return buffer.getvalue()


def store_option() -> str:
    """Return ` --store PATH` where the dashboard shows another than the default store."""
    path = str(loading.store_path())
    return "" if path == "results" else f" --store {shlex.quote(path)}"


def plain(text: str) -> str:
    """Return text as one line with Markdown's signs escaped: paths and reasons are shown as they are.

    On one line, for behind a line's end anything may begin: a list, a heading, code by four spaces. White space is shown as
    one space in Markdown anyway.
    """
    line = "".join("\\" + sign if sign in "\\`*_{}[]<>#|$~:&" else sign for sign in " ".join(text.split()))
    begun = _LIST.match(line)
    return line if begun is None else f"{line[: begun.end() - 1]}\\{line[begun.end() - 1 :]}"

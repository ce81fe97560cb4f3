"""What every page is made of: title and question, notes, figures, tables, commands, and help where there is nothing."""

import shlex

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import loading

LONGEST_WRAPPED = 40  # rows; beyond, a table scrolls in its own box
UNWRAPPED = "unwrapped_"  # what keys of tables begin with whose cells stay on one line

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
    """Use the room: less padding than Streamlit's own 6 and 5 rem; cells of numbers stay on one line."""
    st.html(
        "<style>.stMainBlockContainer {padding: 3rem 2.5rem;}"
        f" [class*='st-key-{UNWRAPPED}'] td, [class*='st-key-{UNWRAPPED}'] td * {{white-space: nowrap !important;}}</style>"
    )


def header(title: str, notes: list[str] | None = None) -> None:
    """Show the page's title, the question it answers, and what was dropped from the URL."""
    st.title(title, anchor=False)
    st.markdown(f"**{QUESTIONS[title]}**")
    if notes:
        st.warning("  \n".join(notes), icon=":material/filter_alt_off:")


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


def figure(chart: go.Figure, key: str, alt: str) -> None:
    """Show a plotly figure in the page's theme, full width, without a tool bar over the data."""
    st.plotly_chart(
        chart, theme="streamlit", key=key, alt=alt, config={"displaylogo": False, "displayModeBar": False}
    )  # fmt: skip


def table(frame: pd.DataFrame, **settings) -> None:
    """Show a table without its row numbers."""
    st.dataframe(frame, hide_index=True, **settings)


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


def command(text: str) -> None:
    """Show a command to copy."""
    st.code(text, language="bash", wrap_lines=True)


def same_query(text: str) -> None:
    """Show the command that prints what the page shows."""
    st.caption("The same on the command line:")
    command(text)


def store_option() -> str:
    """Return ` --store PATH` where the dashboard shows another than the default store."""
    path = str(loading.store_path())
    return "" if path == "results" else f" --store {shlex.quote(path)}"


def plain(text: str) -> str:
    """Return text with Markdown's signs escaped: paths and reasons are shown as they are."""
    return "".join("\\" + sign if sign in "\\`*_{}[]<>#|$~:" else sign for sign in text)

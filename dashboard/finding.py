"""Select boxes of thousands of options: the first ones are offered, and a text narrows all of them to those that match."""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

MOST_OPTIONS = 200  # that a box offers: Streamlit sends them all to the browser for each click
FIND = "find_"  # and a filter's key: the key of the text in the URL


def narrowed(
    key: str, label: str, options: Sequence[str], words: Mapping[str, str], about: Mapping[str, str], where: Any
) -> tuple[list[str], bool]:  # fmt: skip
    """Show the box for the text; return the first options that match, MOST_OPTIONS at most, and whether a text was typed.

    where: the container that the box stands in, or streamlit itself.
    An option matches whose value, words or `about` hold every word of the text, in any case of letters.
    """
    name = FIND + key
    if name in st.session_state:
        st.session_state[name] = st.session_state[name]  # writes it into the URL of a new page
    typed = where.text_input(
        f"{label.partition(' (')[0]}: find one of {len(options):,}", key=name, bind="query-params",
        placeholder="Part of its name", help=f"Words that {_searched(words, about)}, in any order.",
    )  # fmt: skip
    wanted = typed.lower().split()
    found = [
        option
        for option in options
        if not wanted or _holds(f"{option} {words.get(option, '')} {about.get(option, '')}".lower(), wanted)
    ]
    if not found:
        where.caption("None matches; the box below is as it was.")
    elif len(found) > MOST_OPTIONS:
        where.caption(f"The first {MOST_OPTIONS} of {len(found):,} {'that match ' if wanted else ''}are offered below.")
    elif wanted:
        where.caption(f"{len(found):,} of {len(options):,} match.")
    return found[:MOST_OPTIONS], bool(wanted)


def _searched(words: Mapping[str, str], about: Mapping[str, str]) -> str:
    """Return where the words are looked for: cases and tiles are their own names, runs have others, and machines."""
    if about:
        return "the name, the id or the machine holds"
    return "the name or the id holds" if words else "the name holds"


def _holds(text: str, wanted: Sequence[str]) -> bool:
    return all(word in text for word in wanted)

"""Filters in the sidebar: their values live in the URL, are kept across pages, and are dropped where they don't exist.

Every filter's first option is its default: what the URL leaves out. `notes` says what was dropped, but for what
nobody chose, and for what another run than before does not have.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitAPIException

from dashboard.finding import FIND, MOST_OPTIONS, narrowed
from gatebench.report.figures.keys import clicked
from gatebench.report.names import by_value, natural

# Keys in the URL. Anything else there is dropped, and named.
KEYS = (
    "machine", "run", "gate", "mode", "dtype", "device", "batch", "input", "cache", "launch", "side", "seed",
    "implementation", "baseline", "axis", "per", "fixed_h", "fixed_t", "gates", "init", "chain_dtype", "seq_len",
    "hidden_size", "inputs", "probe", "task", "train_step", "stability_batch", "against",
    "sides", "case", "competitor", "run_a", "machine_a", "ab", "commit_a", "commit_b", "dtype_a", "dtype_b", "quantity", "modes", "dtypes",
    "trade", "trade_speed", "trade_side", "shape", "half_life_of",
    "on_machine", "of_run", "errors_mode", "tile", "gate_run",
    "other_run", "newest_run", "suite", "history_machine", "reference", "kind", "to_run",
    "ask_t", "ask_h", "ask_b", "calls", "cap_mib", "ask_case",
)  # fmt: skip
NAMES = {
    "fixed_h": "H", "fixed_t": "T", "chain_dtype": "dtype", "seq_len": "T", "hidden_size": "H",
    "train_step": "training step", "stability_batch": "batch", "against": "sweep against",
    "on_machine": "machine", "of_run": "run", "errors_mode": "mode", "gate_run": "run",
    "other_run": "run", "newest_run": "run", "history_machine": "machine", "kind": "points", "to_run": "run",
    "ask_case": "samples of",
}  # fmt: skip

ALONE = "alone"  # of LINKED: nothing else that was chosen before stays
BESIDE = "beside"  # of LINKED: what was chosen before stays where the link says nothing
LINKED = "linked"  # in the URL that a link of ours leads to: what it says counts, not what was chosen before
RUN = "run"  # the filter on which it depends what the others offer
# In the session: the run and the page shown last, and each filter's default there.
SHOWN_RUN, SHOWN_PAGE, DEFAULTS = "shown run", "shown page", "defaults"
LARGEST_NUMBER = 10**9  # that a box for whole numbers takes
LONGEST_VALUE = 60  # letters of a dropped value that the page repeats


class Notes:
    """What was dropped from the URL, said in one place; also what a box finds after that place was shown."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._place: DeltaGenerator | None = None

    def add(self, line: str) -> None:
        """Say one more line."""
        self.lines.append(line)
        self._say()

    def show(self) -> None:
        """Say the lines here, those of this run of the script that are still to come too."""
        self._place = st.empty()
        self._say()

    def _say(self) -> None:
        if self._place is not None and self.lines:
            self._place.warning("  \n".join(self.lines), icon=":material/filter_alt_off:")


class Filters:
    """The filters of one page in one run of the script; `notes` says which values were dropped."""

    def __init__(self, page: str = "") -> None:
        self._another_page = st.session_state.get(SHOWN_PAGE, page) != page
        st.session_state[SHOWN_PAGE] = page
        if (linked := st.query_params.get(LINKED)) is not None:
            del st.query_params[LINKED]
            for key in st.query_params if linked == BESIDE else KEYS:
                st.session_state.pop(key, None)
                st.session_state.pop(FIND + key, None)
        unknown = [key for key in st.query_params if key.removeprefix(FIND) not in KEYS]
        self.notes = Notes()
        for key in unknown:
            self.notes.add(f"`{_short(key)}` in the address is no filter and was dropped.")
            del st.query_params[key]
        self.another_run = False
        self.chosen: dict[str, list[str]] = {}  # what the URL of this view holds, defaults too
        self._defaults = st.session_state.setdefault(DEFAULTS, {})
        self._searched: set[str] = set()  # keys of the texts whose boxes this page shows

    def asked(self, key: str) -> str | None:
        """Return what the URL asks for or an earlier page was left with; None where neither says anything."""
        return st.session_state.get(key) or st.query_params.get(key)

    def prefer(self, key: str, option: str) -> None:
        """Choose an option where neither the URL nor anybody on an earlier page has chosen one."""
        if key not in st.query_params and key not in st.session_state:
            st.session_state[key] = option

    def one(
        self,
        key: str,
        label: str,
        options: Sequence[str],
        *,
        always: bool = True,
        words: dict[str, str] | None = None,
        place: DeltaGenerator | None = None,
        about: Mapping[str, str] | None = None,
    ) -> str:
        """Return the chosen one of `options`; with `always` off the box shows only where there is a choice.

        words: text shown for an option, and used in the URL, which may also hold the option itself. place: where the box
        stands, if not in the sidebar. about: what else an option can be found by, where they are too many to offer.
        """
        shown, where = words or {}, st.sidebar if place is None else place
        self._take_from_url(key, options, shown)
        self._drop_from_url(key, [shown.get(option, option) for option in options])
        if key in st.session_state:
            current = st.session_state[key]
            unchosen = current == self._defaults.get(key)
            if current not in options and not unchosen:
                self._note(key, [shown.get(current, current)])
            # Assigned even when unchanged: this is what makes Streamlit write the value into the URL of a new page.
            # Nobody chose the run that another page shows by itself: this page shows its own.
            moved = self.another_run or (key == RUN and self._another_page)
            kept = current in options and not (unchosen and moved)
            st.session_state[key] = current if kept else options[0]
        offered = self._offered(key, label, options, shown, about or {}, where)
        self._defaults[key] = offered[0]
        if len(options) < 2 and not always:
            if key in st.query_params and key not in st.session_state:
                del st.query_params[key]
            return options[0]
        chosen = where.selectbox(
            label, offered, key=key, bind="query-params", format_func=lambda option: shown.get(option, option)
        )
        self.chosen[key] = [shown.get(chosen, chosen)]
        if key == RUN:
            self.another_run = st.session_state.get(SHOWN_RUN, chosen) != chosen
            st.session_state[SHOWN_RUN] = chosen
        return chosen

    def many(self, key: str, label: str, options: Sequence[str]) -> list[str]:
        """Return the chosen ones of `options`; none chosen means all."""
        self._drop_from_url(key, options)
        if key in st.session_state:
            current = list(st.session_state[key] or [])
            self._note(key, [value for value in current if value not in options])
            st.session_state[key] = [value for value in current if value in options]
        chosen = st.sidebar.multiselect(label, options, key=key, bind="query-params", placeholder="All")
        if chosen:
            self.chosen[key] = list(chosen)
        return chosen or list(options)

    def slice(
        self, frame: pd.DataFrame, key: str, label: str, column: str, *, always: bool = False,
        order: Callable | None = None,
    ) -> pd.DataFrame:  # fmt: skip
        """Return the rows of `frame` whose `column` (as text) is the chosen value, one of those that occur."""
        values = by_value(frame[column], text)
        options = sorted(set(values), key=order or natural)
        chosen = self.one(key, label, options, always=always)
        return pd.DataFrame(frame[values == chosen])

    def pick(self, key: str, label: str, options: Sequence[str], words: dict[str, str] | None = None) -> str | None:
        """Return the option chosen in a box of the page's body, None until one is, and again where it is offered no more.

        words: text shown for an option, and used in the URL. What a click on a figure set may be the option's click_key.
        """
        shown = words or {}
        self._take_from_url(key, options, shown)
        self._drop_from_url(key, [shown.get(option, option) for option in options])
        current = st.session_state.get(key)
        if current is not None:
            st.session_state[key] = clicked(current, options)
        offered = self._offered(key, label, options, shown, {}, st)
        chosen = st.selectbox(
            label, offered, index=None, key=key, bind="query-params", placeholder="Choose one",
            format_func=lambda option: shown.get(option, option),
        )  # fmt: skip
        if chosen is not None:
            self.chosen[key] = [shown.get(chosen, chosen)]
        return chosen

    def number(self, key: str, label: str) -> int | None:
        """Return the whole number typed into a box of the page's body, None until one is; what is none is said below it."""
        # A box for text: Streamlit's own for numbers stumbles over some that a URL may hold.
        if key in st.session_state:
            st.session_state[key] = st.session_state[key]  # writes it into the URL of a new page
        typed = st.text_input(label, key=key, bind="query-params", placeholder="–").strip()
        if typed and not _is_number(typed):
            st.caption(f"`{_short(typed)}` is no whole number from 1 to {LARGEST_NUMBER}.")
        if not _is_number(typed):
            return None
        self.chosen[key] = [typed]
        return int(typed)

    def drop_unused_texts(self) -> None:
        """Drop from the URL what was typed into search boxes that this page does not show; call it behind the last box."""
        for key in [key for key in st.query_params if key.startswith(FIND) and key not in self._searched]:
            with suppress(StreamlitAPIException):  # of a box that was just here: Streamlit drops it itself
                del st.query_params[key]

    def _offered(
        self, key: str, label: str, options: Sequence[str], words: Mapping[str, str], about: Mapping[str, str],
        where: Any,
    ) -> Sequence[str]:  # fmt: skip
        """Return the options that a box offers: all, or of very many those that a text finds, and the chosen one."""
        if len(options) <= MOST_OPTIONS:
            return options
        self._searched.add(FIND + key)
        found, typed = narrowed(key, label, options, words, about, where)
        in_url = st.query_params.get(key)
        asked = st.session_state.get(key, next((name for name in options if words.get(name, name) == in_url), None))
        unchosen = asked is None or (typed and asked == self._defaults.get(key))
        found = found or list(options[:MOST_OPTIONS])
        offered = found if unchosen or asked in found else [*found, asked]
        if st.session_state.get(key) is not None and st.session_state[key] not in offered:
            st.session_state[key] = offered[0]
        return offered

    def _take_from_url(self, key: str, options: Sequence[str], words: Mapping[str, str]) -> None:
        """Choose the option that the URL holds itself, not in words: links do not know how a page words it."""
        asked = st.query_params.get(key)
        if key not in st.session_state and asked in words and asked in options:
            st.session_state[key] = asked

    def _drop_from_url(self, key: str, options: Sequence[str]) -> None:
        """Note what the URL asks for in vain; only where the widget isn't up yet, for later it owns its key."""
        if key not in st.session_state:
            self._note(key, [value for value in st.query_params.get_all(key) if value and value not in options])

    def _note(self, key: str, values: list[str]) -> None:
        for value in [] if self.another_run else values:
            self.notes.add(f"{NAMES.get(key, key)} = `{_short(value)}` does not exist here and was dropped.")


def _short(value: str) -> str:
    """Return text from a URL so that it can stand in Markdown's code signs, on one line."""
    clean = " ".join(value.replace("`", "'").split())
    return clean if len(clean) <= LONGEST_VALUE else clean[:LONGEST_VALUE] + " …"


def _is_number(value: str) -> bool:
    """Return whether text is a whole number that a box takes."""
    return value.isascii() and value.isdigit() and len(value) <= 10 and 1 <= int(value) <= LARGEST_NUMBER


def text(value: object) -> str:
    """Return a cell as the text that filters show: whole numbers without a point, nothing as `none`."""
    if value is None or value != value:
        return "none"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def largest_first(value: str) -> float:
    """Return a sort key for whole numbers as text, `none` behind them."""
    return math.inf if value == "none" else -float(value)


def ordered(*first: str) -> Callable[[str], tuple]:
    """Return a sort key that puts these values first, in this order, and the rest behind them."""
    return lambda value: (first.index(value) if value in first else len(first), natural(value))

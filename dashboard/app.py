"""The dashboard's entry: `streamlit run dashboard/app.py -- --store PATH`; without --store, GATEBENCH_STORE or results."""

import gc
import sys
import threading
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import streamlit as st

# Streamlit puts this folder on the path, not its parent: `dashboard` must be importable from a checkout and a wheel.
if (parent := str(Path(__file__).resolve().parent.parent)) not in sys.path:
    sys.path.insert(0, parent)

from dashboard import elements, loading
from dashboard.filters import Filters
from gatebench.errors import StoreError
from gatebench.query.questions import IndexGone

HERE = Path(__file__).resolve().parent
TRIED, MOST_TRIES = "tried", 2  # in the session: how often in a row the index could not be read
BEGIN_S = 1.0  # after the first page's script has ended: until then the browser draws it, which needs a core, too
ICONS = {
    "Overview": "home",
    "Compare": "balance",
    "Scaling": "show_chart",
    "Winner map": "grid_on",
    "Stability": "trending_down",
    "Coverage": "checklist",
    "History": "timeline",
    "Run": "receipt_long",
    "Gate": "function",
}
VIEWS = {
    title: title.lower().replace(" ", "_") for title in ICONS
}  # title -> module in dashboard.views, path of its URL


@st.cache_resource(show_spinner=False)
def import_ahead() -> None:
    """Import what other pages need while the first one is looked at; ruptures alone, History's, takes a second."""
    names = [*(f"dashboard.views.{name}" for name in VIEWS.values()), "ruptures"]
    timer = threading.Timer(BEGIN_S, _import, (names,))
    timer.daemon = True
    timer.start()


def _import(names: list[str]) -> None:
    with suppress(Exception):  # the page that needs it fails the same way, and that is told
        for name in names:
            import_module(name)
    # Streamlit collects garbage after each click: without the modules, which stay, in a tenth of the time. What else is alive
    # now stays, too: the first page's objects, once.
    gc.collect()
    gc.freeze()


# A file of our own: for a named icon the browser would ask another host.
icon = str(HERE / "icon.svg")
st.set_page_config(page_title="GateBench", page_icon=icon, layout="wide", initial_sidebar_state=310)
page = st.navigation(
    [
        st.Page(
            str(HERE / "views" / f"{name}.py"),
            title=title,
            icon=f":material/{ICONS[title]}:",
            default=title == "Overview",
        )
        for title, name in VIEWS.items()
    ]
)
elements.tighten()
try:
    store = loading.open_store()
    if store.runs.empty:
        what = f"The store {loading.store_path()} holds no run that can be read."
        elements.no_store(page.title, what, store.problems)
    else:
        elements.banner(store.problems)
        # Not page.run(): Streamlit ties a widget made there to that page, and the URL would lose it on the next one.
        import_module(f"dashboard.views.{VIEWS[page.title]}").page(store, Filters(page.title))
        import_ahead()
        elements.load_ahead()
    st.session_state[TRIED] = 0
except IndexGone as error:
    # Somebody else's page, or another server, wrote the index anew meanwhile: begin again. Twice in a row: it is damaged.
    tried = st.session_state[TRIED] = st.session_state.get(TRIED, 0) + 1
    loading.look_anew(rebuild=tried > 1)
    if tried <= MOST_TRIES:
        st.rerun()
    st.error(elements.plain(str(error)), icon=":material/broken_image:")
except StoreError as error:
    elements.no_store(page.title, str(error))

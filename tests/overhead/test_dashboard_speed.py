"""How fast the dashboard is on large stores, in a real browser: index, cold start, each page, filter changes, memory, figures.

Printed by `make overhead`, asserted nowhere. Of a store at hand: `python tests/overhead/test_dashboard_speed.py STORE`.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "dashboard")]

from browsing import PAGES, chromium, server  # noqa: E402 (needs the path above)

from gatebench.query.index import update_index  # noqa: E402
from gatebench.query.questions import Questions  # noqa: E402
from tests.large_store import PATTERN, write_large_store  # noqa: E402

CHANGES = 4  # filter changes a page
WAIT_MS = 120_000
OPENS_MS = 500  # until a box has opened
LOOKED_AT_MS = 3000  # the first page, before the next one: time in which modules are loaded ahead
# Runs in every page: when the page last became settled (nothing heard from the server since, scripts ended, nothing stale,
# every figure drawn), how many messages the server sent (a short script begins and ends between two looks), and the last
# click. From within: asking from outside costs time, and so does playwright's wait until what it clicks on stands still.
WATCH = """
window.heard = 0; window.settledAt = null; window.clickedAt = null;
document.addEventListener('click', () => { window.clickedAt = Date.now(); }, {capture: true});
const look = () => {
  const app = document.querySelector('[data-testid="stApp"]');
  const drawn = [...document.querySelectorAll('[data-testid="stPlotlyChart"]')].every(plot => plot.querySelector('.main-svg'));
  const busy = !app || app.dataset.testScriptState !== 'notRunning' || !drawn || !document.querySelector('h1')
    || document.querySelector('[data-stale="true"], [data-testid="stSkeleton"]');
  if (busy) window.settledAt = null; else if (window.settledAt === null) window.settledAt = Date.now();
};
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    this.addEventListener('message', () => { window.heard += 1; window.settledAt = null; });
  }
};
document.addEventListener('DOMContentLoaded', () =>
  new MutationObserver(look).observe(document, {subtree: true, childList: true, attributes: true}));
const eachFrame = () => { look(); requestAnimationFrame(eachFrame); };
requestAnimationFrame(eachFrame);
"""
SETTLED = "heard => window.heard > heard && window.settledAt && Date.now() - window.settledAt > 250 && window.settledAt"
FIGURES = """
() => [...document.querySelectorAll('.js-plotly-plot')].map(plot => ({
  marks: plot._fullData.reduce((sum, trace) => sum + (trace.z ? trace.z.length * trace.z[0].length
    : Math.max((trace.x || []).length || 0, (trace.y || []).length || 0)), 0),
  bytes: JSON.stringify({data: plot.data, layout: plot.layout}).length}))
"""


@dataclass
class Measured:
    """What was measured on one store. Times in s, from the click (cold: the server's start) until nothing moves. Mutable."""

    cold_s: float = float("nan")
    pages_s: dict[str, float] = field(default_factory=dict)
    changes_s: dict[str, list[float]] = field(default_factory=dict)
    marks: int = 0  # of the largest figure
    figure_bytes: int = 0  # of the largest figure
    memory_bytes: int = 0  # the server's most

    @property
    def change_p95_s(self) -> float:
        """Return the 95th percentile of all filter changes."""
        return float(np.percentile([each for page in self.changes_s.values() for each in page], 95))

    def lines(self) -> list[str]:
        """Return the figures as text."""
        pages = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.pages_s.items())
        slowest = {name: max(found) for name, found in self.changes_s.items() if found}
        changes = ", ".join(f"{name} {seconds:.2f}" for name, seconds in slowest.items())
        count = sum(len(page) for page in self.changes_s.values())
        return [
            f"first page from a cold process: {self.cold_s:.2f} s",
            f"each further page, s: {pages}",
            f"filter change, 95th percentile of {count}: {self.change_p95_s:.2f} s; slowest by page, s: {changes}",
            f"process: {self.memory_bytes / 1e6:.0f} MB at most",
            f"largest figure: {self.marks} marks, {self.figure_bytes / 1e6:.2f} MB",
        ]


def measure(store: Path) -> Measured:
    """Open every page of a dashboard on a store that has its index, and change filters at random, the same ones each time."""
    found = Measured()
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        page = _watched(browser)
        started = time.time()
        with server(store, Path(folder) / "log") as (address, pid):
            found.cold_s = _settled_at(page, lambda: page.goto(address)) - started
            _look(page, found)
            page.wait_for_timeout(LOOKED_AT_MS)
            for title in PAGES.values():
                if title != "Overview":
                    found.pages_s[title] = _seconds(page, lambda title=title: _go(page, title))
                    _look(page, found)
                found.changes_s[title] = _change_filters(page, random.Random(title))
                _look(page, found)
            found.memory_bytes = _peak(pid)
    return found


# What Streamlit itself takes: an app of a line, with one box in its sidebar.
EMPTY = """
import streamlit as st
st.set_page_config(initial_sidebar_state="expanded")
st.title(st.sidebar.selectbox("Letter", list("abcdef")))
"""


def measure_empty(folder: Path) -> Measured:
    """Measure an app that shows next to nothing, as `measure` does: nobody's pages are faster."""
    found = Measured()
    (folder / "empty.py").write_text(EMPTY)
    with chromium() as browser:
        page = _watched(browser)
        started = time.time()
        with server(folder, folder / "log", ("-m", "streamlit", "run", str(folder / "empty.py"))) as (address, pid):
            found.cold_s = _settled_at(page, lambda: page.goto(address)) - started
            found.changes_s["Empty"] = _change_filters(page, random.Random(0))
            found.memory_bytes = _peak(pid)
    return found


def _watched(browser: Browser) -> Page:
    page = browser.new_context(viewport={"width": 1000, "height": 900}).new_page()
    page.set_default_timeout(WAIT_MS)
    page.add_init_script(WATCH)
    page.goto("about:blank")
    return page


def _go(page: Page, title: str) -> None:
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()


def _seconds(page: Page, act: Callable[[], object]) -> float:
    return _settled_at(page, act) - page.evaluate("window.clickedAt / 1000")


def _settled_at(page: Page, act: Callable[[], object]) -> float:
    heard = page.evaluate("window.heard || 0") if page.url != "about:blank" else 0
    act()
    return page.wait_for_function(SETTLED, arg=heard).json_value() / 1000


def _change_filters(page: Page, random: random.Random) -> list[float]:
    """Choose another value in boxes of the sidebar, drawn at random; returns what each change took."""
    found = []
    for _ in range(CHANGES):
        boxes = page.get_by_test_id("stSidebar").get_by_test_id("stSelectbox").get_by_role("combobox")
        if not boxes.count():
            break
        box = boxes.nth(random.randrange(boxes.count()))
        box.click()
        page.wait_for_timeout(OPENS_MS)
        others = page.locator('[role="option"][aria-selected="false"]')
        if not others.count():
            page.keyboard.press("Escape")
            continue
        other = others.nth(random.randrange(others.count()))
        other.scroll_into_view_if_needed()
        found.append(_seconds(page, other.click))
    return found


def _look(page: Page, found: Measured) -> None:
    for figure in page.evaluate(FIGURES):
        found.marks = max(found.marks, figure["marks"])
        found.figure_bytes = max(found.figure_bytes, figure["bytes"])


def _peak(pid: int) -> int:
    """Return the most memory that a process had resident, in bytes."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


# 192 measurements a run, less what fails by plan; and half of it.
STORES = {1_000: PATTERN, 10_000: replace(PATTERN, hidden_sizes=(64, 256))}


def test_an_empty_app(benchmark, tmp_path):
    found = benchmark.pedantic(measure_empty, (tmp_path,), rounds=1)
    print(
        f"\nan empty app: first page from a cold process {found.cold_s:.2f} s, a change {found.change_p95_s:.2f} s, {found.memory_bytes / 1e6:.0f} MB"
    )


@pytest.mark.parametrize("runs", STORES)
def test_the_dashboard_on_a_large_store(benchmark, tmp_path, runs):
    store = tmp_path / "results"
    write_large_store(store, runs, STORES[runs])
    started = time.perf_counter()
    rows = len(Questions(update_index(store)).frame("SELECT run_id FROM measurements"))
    indexed = time.perf_counter() - started
    found = benchmark.pedantic(measure, (store,), rounds=1)
    print("\n".join(["", f"{runs:,} runs, {rows:,} measurements: index built in {indexed:.0f} s", *found.lines()]))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        empty = measure_empty(Path(folder))
    print(f"empty app: cold {empty.cold_s:.2f} s, change {empty.change_p95_s:.2f} s, {empty.memory_bytes / 1e6:.0f} MB")
    print("\n".join(measure(Path(sys.argv[1])).lines()))

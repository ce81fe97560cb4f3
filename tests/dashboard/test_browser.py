"""The dashboard in a real browser: every page opens, a filter reaches the URL, a reload shows the same view.

Debian's chromium through playwright; where it is missing these tests fail with the command that installs it.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
START_S, WAIT_MS = 40, 20_000
PAGES = {
    "/": "Overview",
    "/compare": "Compare",
    "/scaling": "Scaling",
    "/winner_map": "Winner map",
    "/stability": "Stability",
    "/coverage": "Coverage",
    "/history": "History",
    "/run": "Run",
    "/gate": "Gate",
}


@contextmanager
def server(store: Path, log: Path):
    """Run the app on a free port as `gatebench dashboard` does; yields its address, always kills it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard" / "app.py"), "--server.port", str(port),
        "--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false",
        "--server.fileWatcherType", "none", "--", "--store", str(store),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=store.parent, env=environment)
        try:
            _wait(f"http://127.0.0.1:{port}/_stcore/health", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait(10)


def _wait(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"the dashboard did not start:\n{log.read_text()}")


@pytest.fixture(scope="module")
def address(one_run, tmp_path_factory):
    with server(one_run, tmp_path_factory.mktemp("log") / "streamlit.log") as found:
        yield found


@pytest.fixture(scope="module")
def full_address(full_run, tmp_path_factory):
    with server(full_run, tmp_path_factory.mktemp("log") / "streamlit.log") as found:
        yield found


@pytest.fixture(scope="module")
def browser():
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        pytest.fail("no chromium here; install it with: apt-get install chromium")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield running
        running.close()


class Watch:
    """What a page asked of other hosts, and what its console complained about."""

    def __init__(self, page: Page, address: str) -> None:
        self.foreign: list[str] = []
        self.complaints: list[str] = []
        self.address = address
        page.on("request", self._asked)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.foreign.append(request.url)

    def _said(self, message) -> None:
        # Streamlit looks for its server below the page's own path first (/scaling/_stcore/health), then at the root.
        probing = "/_stcore/" in (message.location or {}).get("url", "") and "404" in message.text
        if message.type == "error" and not probing:
            self.complaints.append(f"{message.text} at {message.location}")


@contextmanager
def opening(browser, address: str):
    """Yield a function that opens a path in a fresh page; afterwards nothing foreign and no complaint may remain."""
    context = browser.new_context(viewport={"width": 1000, "height": 900})
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    watch = Watch(page, address)

    def open_path(path: str) -> Page:
        page.goto(address + path)
        settled(page)
        return page

    yield open_path
    context.close()
    assert watch.foreign == []
    assert watch.complaints == []


@pytest.fixture
def opened(browser, address):
    with opening(browser, address) as open_path:
        yield open_path


@pytest.fixture
def opened_full(browser, full_address):
    with opening(browser, full_address) as open_path:
        yield open_path


def settled(page: Page) -> None:
    """Wait until the title is there and no script runs any more."""
    expect(page.locator("h1")).to_be_visible(timeout=WAIT_MS)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function("!document.querySelector('[data-stale=\"true\"]')")


def shown(page: Page, label: str) -> str:
    """Return the value that a select box shows."""
    return (
        box(page, label).input_value() or box(page, label).locator("xpath=ancestor::*[@data-baseweb][1]").inner_text()
    )


def box(page: Page, label: str):
    return page.get_by_role("combobox", name=label).first


def choose(page: Page, label: str, option: str) -> None:
    box(page, label).click()
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)


def test_every_page_opens_with_its_figures_and_asks_no_other_host(opened):
    for path, title in PAGES.items():
        page = opened(path)
        expect(page.locator("h1")).to_have_text(title)
        figures = {"/": 0, "/compare": 2, "/stability": 4, "/coverage": 2, "/history": 2, "/run": 0, "/gate": 0}.get(
            path, 1
        )
        expect(page.locator(".js-plotly-plot")).to_have_count(figures)
        assert page.get_by_text("Traceback").count() == 0


def test_a_changed_filter_reaches_the_url_and_a_reload_shows_the_same_view(opened):
    page = opened("/scaling")
    choose(page, "Gate", "gru")
    choose(page, "Against", "H")
    expect(page.get_by_text("gru · forward · float32")).to_be_visible()
    page.wait_for_url(lambda url: "gate=gru" in url and "axis=H" in url)
    before = page.locator("[data-testid=stCaptionContainer]").first.inner_text()
    page.reload()
    settled(page)
    expect(page.get_by_text("gru · forward · float32")).to_be_visible()
    assert page.locator("[data-testid=stCaptionContainer]").first.inner_text() == before
    assert query(page) == {"gate": ["gru"], "axis": ["H"]}
    expect(page.locator(".js-plotly-plot")).to_contain_text("H (hidden size)")


def test_filters_are_kept_across_pages_and_come_back(opened):
    page = opened("/scaling?gate=gru&axis=H")
    page.get_by_role("link", name="Winner map").click()
    expect(page.locator("h1")).to_have_text("Winner map")
    settled(page)
    expect(page.get_by_text("gru · forward · float32")).to_be_visible()
    page.wait_for_url(lambda url: "gate=gru" in url)
    page.get_by_role("link", name="Scaling").click()
    expect(page.locator("h1")).to_have_text("Scaling")
    settled(page)
    page.wait_for_url(lambda url: "gate=gru" in url and "axis=H" in url)


def test_a_value_that_does_not_exist_is_named_and_leaves_the_url(opened):
    page = opened("/winner_map?gate=nosuch&mode=forward_backward")
    expect(page.get_by_text("gate = nosuch does not exist here and was dropped.")).to_be_visible()
    expect(page.get_by_text("lstm · forward + backward")).to_be_visible()
    page.wait_for_url(lambda url: "gate=" not in url and "mode=forward_backward" in url)


def test_a_run_with_sweep_spectra_and_training_shows_them_and_the_choice_is_kept(opened_full):
    page = opened_full("/stability?seq_len=64")
    page.set_viewport_size({"width": 1000, "height": 1400})  # an open list closes when the sidebar scrolls to it
    expect(page.locator(".js-plotly-plot")).to_have_count(5)
    settled(page)
    choose(page, "Sweep against", "T")
    page.wait_for_url(lambda url: "against=T" in url)
    page.reload()
    settled(page)
    expect(page.get_by_text("Half-life and exponent against T (steps)")).to_be_visible()
    choose(page, "Task", "adding")
    expect(page.get_by_text("What training does")).to_be_visible()
    page.wait_for_url(lambda url: "task=adding" in url and "against" not in url)
    expect(page.get_by_text("sweep against = T does not exist here and was dropped.")).to_be_visible()


def test_every_case_of_the_stability_page_is_one_line(opened_full):
    page = opened_full("/stability?seq_len=64")
    heights = page.locator("tbody tr").evaluate_all("rows => rows.map(row => row.clientHeight)")
    assert len(heights) > 10
    assert max(heights) < 1.5 * min(heights)

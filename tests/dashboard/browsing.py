"""What drives the dashboard in a real browser: a server as `gatebench dashboard` starts it, Debian's chromium, and a watch on
what a page asks of other hosts and complains about.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
SERVE = (str(ROOT / "dashboard" / "serve.py"),)
START_S, WAIT_MS = 60, 60_000  # a page that takes a second alone takes 20 beside seven other tests
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
expect.set_options(timeout=WAIT_MS)


@contextmanager
def server(store: Path, log: Path, start: Sequence[str] = SERVE) -> Iterator[tuple[str, int]]:
    """Run the app on a free port as `gatebench dashboard` does; yields its address and process id, always ends it.

    start: what starts the server, for another app.

    Raises RuntimeError where it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-P", *start, "--server.port", str(port),
        "--server.address", "127.0.0.1", "--server.headless", "true", "--browser.gatherUsageStats", "false",
        "--server.fileWatcherType", "none", "--", "--store", str(store),
    ]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=store.parent, env=environment)
        try:
            _wait(f"http://127.0.0.1:{port}/_stcore/health", process, log)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            try:
                process.wait(10)
            finally:
                process.kill()


def _wait(address: str, process: subprocess.Popen, log: Path) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the dashboard did not start:\n{log.read_text()}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a running chromium; raises RuntimeError with the command that installs it where there is none."""
    executable = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if executable is None:
        raise RuntimeError("no chromium here; install it with: apt-get install chromium")
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
        # Streamlit cannot know from /scaling whether it is served below that path: it asks there for its server, is
        # told 404, and asks at the root; its own index.html has no setting for it. Nothing else may be missing.
        self.probe = re.compile(rf"{re.escape(address)}/\w+/_stcore/(health|host-config)")
        page.on("request", self._asked)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _asked(self, request) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.foreign.append(request.url)

    def _said(self, message) -> None:
        probing = "404" in message.text and self.probe.fullmatch((message.location or {}).get("url", ""))
        if message.type == "error" and not probing:
            self.complaints.append(f"{message.text} at {message.location}")


@contextmanager
def opening(browser, address: str, width: int = 1000, **more):
    """Yield a function that opens a path in a fresh page; afterwards nothing foreign and no complaint may remain.

    more: of playwright's new_context, e.g. color_scheme.
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, **more)
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


def settled(page: Page) -> None:
    """Wait until the title is there and no script runs any more."""
    expect(page.locator("h1")).to_be_visible()
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function("!document.querySelector('[data-stale=\"true\"]')")


def box(page: Page, label: str):
    return page.get_by_role("combobox", name=label).first


def choose(page: Page, label: str, option: str) -> None:
    box(page, label).click()
    page.get_by_role("option", name=option, exact=True).click()
    settled(page)


def query(page: Page) -> dict[str, list[str]]:
    return parse_qs(urlsplit(page.url).query)

"""Take pictures of the dashboard's pages and of the HTML report for docs/dashboard.md: `make screenshots`, into docs/images.

Everything is drawn from the committed runs (results/reference), but History, which needs more commits than those: it is drawn
from a made-up store, and its caption says so.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from browsing import chromium, opening, server  # noqa: E402 (needs the path above)
from PIL import Image  # noqa: E402 (streamlit brings it)
from playwright.sync_api import Page  # noqa: E402

from gatebench.report.html.document import run_report  # noqa: E402
from gatebench.report.html.page import html_page  # noqa: E402
from gatebench.store.read import find_run  # noqa: E402
from tests.synthetic import Plan, write_store  # noqa: E402

# Name of the picture: address, height in pixels (down to the end of what the page is about).
PAGES = {
    "overview": ("/", 1000),
    "compare": ("/compare?gates=lstm&gates=gru&gates=glu&competitor=numba", 1150),
    "scaling": ("/scaling?gate=lstm", 790),
    "winner_map": ("/winner_map?gate=gru&ask_t=64&ask_h=128", 1290),
    "stability": ("/stability?gates=lstm&gates=gru", 1060),
    "coverage": ("/coverage", 1000),
    "run": ("/run?case=gru%2Fnumba%2FT64-B8-I128-H128%2Ffloat32%2Fcpu-2%2Fforward", 1330),
    "gate": ("/gate?gate=lstm", 1200),
}
DARK = ("winner_map", "stability")
MADE_UP = {"history": ("/history?gate=gru", 1080)}
MADE_UP_PLAN = Plan(
    runs=9, suites=("quick",), machines=("made up",), gates=("gru",), modes=("forward",), seq_lens=(64, 128),
    hidden_sizes=(128,), implementations=("eager", "native", "numba"), steps={"numba": (5, 1.35)}, failures=False,
    stability=False,
)  # fmt: skip
REPORT_HEIGHT = 1400
WIDTH, COLOURS = 1000, 128  # a page has few colours; the edges of letters need some shades of each
STILL_MS = 2500  # charts fade in


def main(target: Path) -> None:
    """Write <page>.png for every page, <page>_dark.png for two, and report.png into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, chromium() as browser:
        true, made_up = Path(scratch, "true"), Path(scratch, "made_up")
        shutil.copytree(ROOT / "results" / "reference", true / "results" / "reference")
        write_made_up(made_up / "results")
        take(browser, true, PAGES, target)
        take(browser, true, {name: PAGES[name] for name in DARK}, target, "dark")
        take(browser, made_up, MADE_UP, target)
        take_report(browser, true, target)


def write_made_up(store: Path) -> None:
    """Write the made-up store, its commits named like commits: the synthetic ones differ in their last digits only."""
    for number, run_id in enumerate(write_store(store, MADE_UP_PLAN)):
        manifest = store / "runs" / run_id / "manifest.json"
        name = hashlib.sha1(str(number).encode()).hexdigest()
        manifest.write_text(manifest.read_text().replace(f"{number:040x}", name))


def take(browser, folder: Path, pages: dict[str, tuple[str, int]], target: Path, scheme: str = "light") -> None:
    """Take pictures of pages over <folder>/results."""
    os.chdir(folder)  # the default store has no path on the pages
    with (
        server(Path("results"), folder / "log") as (address, _),
        opening(browser, address, WIDTH, color_scheme=scheme) as opened,
    ):
        for name, (path, height) in pages.items():
            page = opened(path)
            page.set_viewport_size({"width": WIDTH, "height": height})
            shoot(page, target / f"{name}{'_dark' if scheme == 'dark' else ''}.png")


def take_report(browser, folder: Path, target: Path) -> None:
    """Take a picture of the HTML report of the newest run, from a file."""
    path = folder / "out.html"
    path.write_text(html_page(run_report(find_run(folder / "results", "latest"))), encoding="utf-8")
    page = browser.new_page(viewport={"width": WIDTH, "height": REPORT_HEIGHT})
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]")
    shoot(page, target / "report.png")


def shoot(page: Page, path: Path) -> None:
    """Write a picture of what the window shows, with few colours."""
    page.wait_for_timeout(STILL_MS)
    page.screenshot(path=path)
    with Image.open(path) as picture:
        # Of pillow's methods the one that keeps the colour of a single marker as it is.
        small = picture.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    small.save(path, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

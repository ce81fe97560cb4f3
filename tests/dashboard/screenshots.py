"""Take pictures of the dashboard's pages over the committed runs: `make screenshots`, into docs/images."""

import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from browsing import chromium, server  # noqa: E402 (needs the path above)

PAGES = {
    "overview": "/",
    "compare": "/compare",
    "scaling": "/scaling",
    "winner_map": "/winner_map",
    "stability": "/stability",
    "coverage": "/coverage",
    "history": "/history",
    "run": "/run",
    "gate": "/gate",
}
SIZES = {"stability": {"width": 1400, "height": 1300}}  # down to its curves
SIZE = {"width": 1400, "height": 1000}


def main(target: Path, store: Path) -> None:
    """Write <page>.png for every page of a store into `target`."""
    target.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        server(store, Path(scratch) / "log") as (address, _),
        chromium() as browser,
    ):
        page = browser.new_page(viewport=SIZE)
        for name, path in PAGES.items():
            page.set_viewport_size(SIZES.get(name, SIZE))
            page.goto(address + path)
            page.wait_for_selector("h1")
            page.wait_for_load_state("networkidle")
            page.wait_for_timeout(2500)  # charts fade in
            page.screenshot(path=target / f"{name}.png")


if __name__ == "__main__":
    os.chdir(ROOT)  # the default store has no path on the pages
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path("results"))

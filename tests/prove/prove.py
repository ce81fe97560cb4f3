"""`make prove`: measure twenty callables on this machine by GateBench and by three other tools, and write the evidence.

    python tests/prove/prove.py WORK EVIDENCE PAGE     measure (what WORK already holds is not measured again), then the page
    python tests/prove/prove.py --page EVIDENCE PAGE   the page alone, from the evidence

Two hours on 2 cores that do nothing else. WORK keeps the repository, the environments and all runs; EVIDENCE is small:

    blocks.csv         log-ratio of each paired block, by callable, planted effect and load
    comparisons.json   what the other tools said of each pair of sessions
    live.csv           verdicts of `gatebench ab` between real commits
    about.json         machine, versions, date, seconds
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "repository"), str(HERE.parents[1])]

import pandas as pd  # noqa: E402
from bank import blocks_of, live_of, measure  # noqa: E402
from evidence import Evidence, write_evidence  # noqa: E402
from page import page  # noqa: E402
from place import SLOWER_BY, Place, make_place, versions_of  # noqa: E402
from rivals import DEFAULT, TUNED, Comparison, compare_with  # noqa: E402

from gatebench.store.read import load  # noqa: E402

BLOCKS = {"all": 8, "planted": 6, "planted-more": 6}  # of one part of a suite
LOADED_BLOCKS = 4
_ENDED = (0, 1, 4, 5)  # exit codes of an A/B that came to an end


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="measure nothing")
    parser.add_argument("--blocks", type=float, default=1.0, help="share of the blocks, for a first look")
    parser.add_argument("paths", nargs="+", type=Path, help="[WORK] EVIDENCE PAGE")
    given = parser.parse_args()
    *work, evidence, target = given.paths
    if len(work) != (0 if given.page else 1):
        parser.error("EVIDENCE PAGE are accepted with --page, WORK EVIDENCE PAGE without")
    if not given.page:
        write_evidence(evidence, prove(work[0], given.blocks))
    target.write_text(page(Evidence.read(evidence)), encoding="utf-8")


def prove(work: Path, share: float) -> Evidence:
    """Measure whatever WORK does not hold yet, and return all of it."""
    work.mkdir(parents=True, exist_ok=True)
    place = make_place(work)
    folder = place.folder / (f"share-{share:g}" if share != 1 else "whole")
    quiet, loaded = folder / "quiet", folder / "loaded"
    steps = [
        _once(folder / f"{number:02}-{name}.json", name, step)
        for number, (name, step) in enumerate(_steps(place, quiet, loaded, share), start=1)
    ]
    blocks = pd.concat([blocks_of(quiet).assign(loaded=False), blocks_of(loaded).assign(loaded=True)])
    alike = blocks.query("effect == 0 and not loaded")
    environment = load(quiet).folders[-1].manifest["environment"]
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {key: environment.get(key) for key in ("device_name", "cores", "memory_gib", "system")},
        "versions": {**environment["versions"], **versions_of(place)},
        "seconds_per_case_and_block": sum(step["seconds"] for step in steps if step["name"] == "all") / len(alike),
        "seconds": {f"{number:02}-{step['name']}": step["seconds"] for number, step in enumerate(steps, start=1)},
    }  # fmt: skip
    comparisons = [Comparison(**found) for step in steps for found in step["found"]]
    return Evidence(blocks, comparisons, live_of(quiet), about)


def _steps(
    place: Place, quiet: Path, loaded: Path, share: float
) -> list[tuple[str, Callable[[], list[Comparison] | None]]]:
    """Return what is measured, in order: GateBench and the others by turns, so that no tool has the quiet hour for itself."""

    def bank(suite: str) -> tuple[str, Callable[[], None]]:
        return suite, partial(measure, place, quiet, suite, max(2, round(share * BLOCKS[suite])))

    def beside_load(suite: str, glob: str = "") -> tuple[str, Callable[[], None]]:
        blocks = max(2, round(share * LOADED_BLOCKS))
        return f"{suite}-loaded", partial(measure, place, loaded, suite, blocks, glob, loaded=True)

    def other(tool: str, variant: str) -> tuple[str, Callable[[], list[Comparison]]]:
        return f"{tool}-{variant}", partial(compare_with, place, tool, variant)

    def live() -> None:
        place.gatebench("ab", "base", "slower", "suites/all.toml", "--store", str(quiet), codes=_ENDED)

    return [
        bank("all"), other("pytest-benchmark", DEFAULT), bank("planted"), other("asv", DEFAULT),
        bank("all"), other("pyperf", TUNED), bank("planted-more"), other("pytest-benchmark", TUNED),
        bank("all"), other("asv", TUNED), bank("planted"), other("pyperf", DEFAULT),
        beside_load("all"), beside_load("planted", f"*planted={SLOWER_BY}*"), ("ab", live),
    ]  # fmt: skip


def _once(file: Path, name: str, step: Callable[[], list[Comparison] | None]) -> dict[str, Any]:
    """Take a step unless it was taken before; returns its name, seconds and what it found."""
    if file.exists():
        print(f"{file.stem}: measured before", flush=True)
        return json.loads(file.read_text())
    file.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    found = [comparison.to_json() for comparison in step() or ()]
    taken = {"name": name, "seconds": time.monotonic() - started, "found": found}
    file.write_text(json.dumps(taken))
    print(f"{file.stem}: {taken['seconds']:.0f} s", flush=True)
    return taken


if __name__ == "__main__":
    main()

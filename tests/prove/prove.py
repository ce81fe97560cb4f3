"""`make prove`: measure twenty callables on this machine by GateBench and by three other tools, and write the evidence.

    python tests/prove/prove.py WORK EVIDENCE PAGE     measure (what WORK already holds is not measured again), then the page
    python tests/prove/prove.py --page EVIDENCE PAGE   the page alone, from the evidence

About an hour on 2 cores that do nothing else. WORK keeps the repository, the environments and all runs; EVIDENCE is small:

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

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "repository"), str(HERE.parents[1])]

import pandas as pd  # noqa: E402
from bank import blocks_of, live_of, measure, seconds_per_case_and_block  # noqa: E402
from evidence import Evidence, write_evidence  # noqa: E402
from page import page  # noqa: E402
from place import Place, make_place, versions_of  # noqa: E402
from rivals import DEFAULT, TUNED, Comparison, compare_with  # noqa: E402

from gatebench.store.read import load  # noqa: E402

ALIKE_BLOCKS, PLANTED_BLOCKS, LOADED_BLOCKS = 10, 6, 8  # of one part; the first two have three parts
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
    quiet, loaded = place.folder / "quiet", place.folder / "loaded"
    for number, (name, step) in enumerate(_steps(place, quiet, loaded, share), start=1):
        _once(place.folder / "steps" / f"{number:02}-{name}.json", name, step)
    comparisons = [
        Comparison(**found)
        for file in sorted((place.folder / "steps").glob("*.json"))
        for found in json.loads(file.read_text())["found"]
    ]
    blocks = pd.concat([blocks_of(quiet).assign(loaded=False), blocks_of(loaded).assign(loaded=True)])
    environment = load(quiet).folders[-1].manifest["environment"]
    about = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {key: environment.get(key) for key in ("device_name", "cores", "memory_gib", "system")},
        "versions": {**environment["versions"], **versions_of(place)},
        "seconds_per_case_and_block": seconds_per_case_and_block(quiet),
        "seconds": {file.stem: json.loads(file.read_text())["seconds"] for file in sorted((place.folder / "steps").glob("*.json"))},
    }  # fmt: skip
    return Evidence(blocks, comparisons, live_of(quiet), about)


def _steps(
    place: Place, quiet: Path, loaded: Path, share: float
) -> list[tuple[str, Callable[[], list[Comparison] | None]]]:
    """Return what is measured, in order: GateBench and the others by turns, so that no tool has the quiet hour for itself."""

    def bank(store: Path, suite: str, blocks: int, glob: str = "") -> Callable[[], None]:
        return partial(measure, place, store, suite, max(2, round(share * blocks)), glob, store == loaded)

    def ab(head: str) -> Callable[[], None]:
        def step() -> None:
            place.gatebench("ab", "base", head, "suites/all.toml", "--store", str(quiet), codes=_ENDED)

        return step

    alike, planted = bank(quiet, "all", ALIKE_BLOCKS), bank(quiet, "planted", PLANTED_BLOCKS)
    return [
        ("alike", alike),
        ("pytest-benchmark", partial(compare_with, place, "pytest-benchmark", DEFAULT)),
        ("planted", planted),
        ("asv", partial(compare_with, place, "asv", DEFAULT)),
        ("alike", alike),
        ("pyperf-tuned", partial(compare_with, place, "pyperf", TUNED)),
        ("planted", planted),
        ("pytest-benchmark-tuned", partial(compare_with, place, "pytest-benchmark", TUNED)),
        ("alike", alike),
        ("asv-tuned", partial(compare_with, place, "asv", TUNED)),
        ("planted", planted),
        ("pyperf", partial(compare_with, place, "pyperf", DEFAULT)),
        ("loaded", bank(loaded, "all", LOADED_BLOCKS)),
        ("loaded-planted", bank(loaded, "planted", LOADED_BLOCKS, "*planted=0.03*")),
        ("ab-words", ab("words")),
        ("ab-slower", ab("slower")),
    ]


def _once(file: Path, name: str, step: Callable[[], list[Comparison] | None]) -> None:
    """Take a step and keep what it found, unless it was taken before."""
    if file.exists():
        print(f"{file.stem}: measured before", flush=True)
        return
    file.parent.mkdir(exist_ok=True)
    started = time.monotonic()
    found = [comparison.to_json() for comparison in step() or ()]
    seconds = time.monotonic() - started
    file.write_text(json.dumps({"name": name, "seconds": seconds, "found": found}))
    print(f"{file.stem}: {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()

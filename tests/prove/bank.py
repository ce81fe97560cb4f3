"""Banked blocks: what GateBench measured of each callable at each planted effect, as log-ratios of paired blocks."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from place import Place

from gatebench.analyze.pairs import Pairs, pair_blocks
from gatebench.store.read import Results, Run, load

_BUSY = "while True: pass"


@dataclass(frozen=True)
class Banked:
    """All paired blocks of one callable at one planted effect."""

    name: str
    effect: float
    pairs: Pairs


def measure(place: Place, store: Path, suite: str, blocks: int, glob: str = "", loaded: bool = False) -> None:
    """Bank blocks of a suite whose two sides are one commit; loaded: beside a process that keeps a core busy."""
    with _busy(loaded):
        place.gatebench("calibrate", f"suites/{suite}.toml", "--blocks", str(blocks), "--store", str(store), "-k", glob)


@contextmanager
def _busy(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    process = subprocess.Popen([sys.executable, "-c", _BUSY])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def blocks_of(store: Path) -> pd.DataFrame:
    """Return all paired blocks of a store's calibrations in order: name, effect, part, log_ratio, base_log_ns, disturbed.

    part: number of the calibration. disturbed: share of its case's samples that something foreign disturbed.
    """
    rows = []
    for part, run in enumerate(_complete(store, "calibrate")):
        for (case, quantity), pairs in pair_blocks(Results((run,)).samples, "calibrate").items():
            if quantity == "time" and (work := work_of(case)):
                rows += [
                    {"name": work[0], "effect": work[1], "part": part, "log_ratio": ratio, "base_log_ns": base, "disturbed": pairs.disturbed}
                    for ratio, base in zip(pairs.differences, pairs.base_logs, strict=True)
                ]  # fmt: skip
    return pd.DataFrame(rows)


def banks_of(blocks: pd.DataFrame) -> list[Banked]:
    """Return the banks that a table of paired blocks holds, sorted by callable and effect."""
    found = []
    for (name, effect), rows in blocks.groupby(["name", "effect"]):
        pairs = Pairs(rows["log_ratio"].to_numpy(), rows["base_log_ns"].to_numpy(), float(rows["disturbed"].mean()))
        found.append(Banked(str(name), float(effect), pairs))
    return found


def work_of(case_id: str) -> tuple[str, float] | None:
    """Return the callable and the planted effect that a case names; None for the job's own controls."""
    if not (work := re.search(r"work=(\w+)", case_id)):
        return None
    planted = re.search(r"planted=([\d.]+)", case_id)
    return work[1], float(planted[1]) if planted else 0.0


def live_of(store: Path) -> pd.DataFrame:
    """Return the verdicts on time of a store's newest A/B job: name (or control), verdict, change, ci_low, ci_high, blocks, seconds."""
    columns = ["verdict", "change", "ci_low", "ci_high", "minimum_detectable_effect", "blocks", "reason"]
    run = _complete(store, "ab")[-1]
    found = Results((run,)).verdicts.query("quantity == 'time'")
    names = [work[0] if (work := work_of(case)) else "control" for case in found["case_id"]]
    return found[columns].assign(name=names, seconds=run.manifest["elapsed"]["total_s"])


def _complete(store: Path, purpose: str) -> list[Run]:
    """Return a store's runs that came to their end, oldest first: what was interrupted was measured again."""
    return [run for run in load(store).folders if run.purpose == purpose and run.manifest["status"] == "complete"]

"""Spreads that a store's calibrations found: `ab` sizes its blocks by them."""

from pathlib import Path

from gatebench.analyze.calibration import spreads
from gatebench.analyze.plan import ROUNDS, SAMPLE_MS
from gatebench.store.read import Results, load

PURPOSE = "calibrate"  # of a run, in its manifest


def stored_spreads(store: Path, environment_class: str) -> dict[str, float]:
    """Return case_id -> spread from the store's calibrations of this environment class, the newest one's where several are."""
    if not store.is_dir():
        return {}
    found: dict[str, float] = {}
    for run in load(store).folders:
        measure = run.manifest.get("measure") or {}
        alike = (measure.get("rounds"), measure.get("sample_ms")) == (
            ROUNDS,
            SAMPLE_MS,
        )  # other blocks spread otherwise
        if (
            run.manifest.get("purpose") == PURPOSE
            and run.manifest.get("environment_class") == environment_class
            and alike
        ):
            found |= spreads(Results((run,)).samples)
    return found

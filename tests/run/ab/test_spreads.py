"""Which calibrations of a store say how many blocks `ab` takes."""

from types import SimpleNamespace

import pytest

from gatebench.analyze.plan import ROUNDS, SAMPLE_MS
from gatebench.run.ab import spreads


@pytest.mark.parametrize(
    ("changes", "found"),
    [({}, {"case": 0.02}), ({"rounds": 6}, {}), ({"sample_ms": 20.0}, {}), ({"purpose": "ab"}, {}), ({"environment_class": "other"}, {})],
)  # fmt: skip
def test_only_calibrations_of_this_machine_and_of_the_same_blocks_count(tmp_path, monkeypatch, changes, found):
    manifest = {"purpose": "calibrate", "environment_class": "here"} | changes
    manifest["measure"] = {"rounds": ROUNDS, "sample_ms": SAMPLE_MS} | changes
    monkeypatch.setattr(spreads, "load", lambda store: SimpleNamespace(folders=[SimpleNamespace(manifest=manifest)]))
    monkeypatch.setattr(spreads, "Results", lambda runs: SimpleNamespace(samples=None))
    monkeypatch.setattr(spreads, "spreads", lambda samples: {"case": 0.02})
    assert spreads.stored_spreads(tmp_path, "here") == found

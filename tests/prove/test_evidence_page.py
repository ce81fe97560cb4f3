"""The page says what the evidence says: aims that are missed are called missed."""

import numpy as np
import page
import pandas as pd
import pytest
import replay
from evidence import Evidence, write_evidence
from place import PLANTED, SLOWED
from rivals import DEFAULT, TOOLS, TUNED, Comparison

NAMES = ("plain_ints", "eager_attention")  # the commit `slower` slows the first one down
EFFECTS = (0.0, *(share for shares in PLANTED.values() for share in shares))
ABOUT = {
    "date": "2026-01-02",
    "machine": {"device_name": "A processor", "cores": 2, "memory_gib": 4, "system": "Linux"},
    "versions": dict.fromkeys(("python", "torch", "numba", *TOOLS), "1.0"),
    "seconds_per_case_and_block": 0.5,
    "seconds": {"01-alike": 600.0},
}


def blocks(sd, planted=1.0, disturbed=0.0):
    random = np.random.default_rng(0)
    rows = [
        (name, effect, 0, planted * np.log1p(effect) + random.normal(0, sd), 15.0, disturbed if loaded else 0.0, loaded)
        for loaded in (False, True)
        for name in NAMES
        for effect in EFFECTS
        for _ in range(30)
    ]
    columns = ["name", "effect", "part", "log_ratio", "base_log_ns", "disturbed", "loaded"]
    return pd.DataFrame(rows, columns=columns)


def evidence(found, error=0.05):
    ratios = {name: error + (np.log(1.03) if name in SLOWED else 0.0) for name in NAMES}
    comparisons = [
        Comparison(tool, variant, ratios, {name: name in SLOWED for name in NAMES}, 4.0)
        for tool in TOOLS
        for variant in (DEFAULT, TUNED)
    ]
    live = [
        {"seconds": 40.0, "name": name, "verdict": verdict, "change": change, "ci_low": change - 0.01, "ci_high": change + 0.01}
        for name, verdict, change in ((NAMES[0], "slower", 0.03), (NAMES[1], "same", 0.0), ("control", "same", 0.0))
    ]  # fmt: skip
    return Evidence(found, comparisons, pd.DataFrame(live), ABOUT)


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(page, "_SUITES", 3)
    monkeypatch.setattr(page, "_REPEATS", 40)


def row(text, start):
    """Return the cells of the one row of a table that begins so."""
    (found,) = (line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_aims_that_are_met_are_called_so():
    text = page.page(evidence(blocks(sd=0.004)))
    assert row(text, "suites of 200")[-2:] == ["0 of 3", "met"]
    assert row(text, "+3 % found")[-2:] == ["100 %", "met"]
    seconds, verdict = row(text, "seconds per unchanged case")[-2:]
    assert 6.0 <= float(seconds.removesuffix(" s")) < 8.0  # 12 blocks of 0.5 s, and the confirmation of some
    assert verdict == "met"
    assert row(text, "smallest detectable change")[-1] == "met"
    assert row(text, "95 % intervals")[-1] == "not contradicted: too few to tell"
    assert row(text, "+3.0 % |")[-4:] == ["100 %", "100 %", "0 %", "0 %"]


def test_aims_that_are_missed_are_called_so():
    # Half of the work had no effect, and the other tools tell smaller changes.
    text = page.page(evidence(blocks(sd=0.015, planted=0.3), error=0.0001))
    assert row(text, "+3 % found")[-1] == "**missed**"
    assert row(text, "95 % intervals")[-1] == "**missed**"
    assert row(text, "+1.0 % |")[-1] == "100 %"  # 0.3 % is within the margin
    assert row(text, "smallest detectable change")[-1] == "**missed**"


def test_the_estimate_of_what_was_planted_is_shown_as_it_is():
    text = page.page(evidence(blocks(sd=0.001, planted=0.5)))
    assert row(text, "+10.0 % |")[2].startswith("+4.9")


def test_a_loaded_machine_leaves_everything_undecided():
    text = page.page(evidence(blocks(sd=0.004, disturbed=0.9)))
    assert row(text, "as `ab` judges")[1:] == ["0 of 3", "0 %", "0 %"]
    assert row(text, "if it ignored the load")[2:] == ["100 %", "100 %"]


def test_the_other_tools_stand_beside_it_and_so_does_a_live_job():
    text = page.page(evidence(blocks(sd=0.004)))
    assert row(text, "asv, tuned")[3:6] == ["0 of 1 (0 % to 97.5 %)", "1 of 1 (2.5 % to 100 %)", "4.0 s"]
    assert row(text, "not changed")[1:] == ["1 same", "1 of 1"]
    assert row(text, "slowed down by 3 %")[1:] == ["1 slower", "1 of 1"]


def test_a_side_that_is_always_slower_shows_although_replays_swap_it():
    biased = blocks(sd=0.002)
    biased["log_ratio"] += 0.05
    text = page.page(evidence(biased))
    assert row(text, "suites of 200")[-1] == "met"
    assert "the 2 callables alike are: 2 slower;" in text
    assert "2 of 2 callables differ from no change at 5 %" in text


def test_evidence_is_read_as_it_was_written(tmp_path):
    written = evidence(blocks(sd=0.004))
    write_evidence(tmp_path, written)
    read = Evidence.read(tmp_path)
    assert read.comparisons == written.comparisons
    assert read.about == written.about
    assert read.blocks["loaded"].dtype == bool
    assert np.allclose(read.blocks["log_ratio"], written.blocks["log_ratio"], rtol=1e-5)
    assert read.live["verdict"].tolist() == written.live["verdict"].tolist()


def test_replays_number_at_least_a_thousand():
    assert replay.SUITES >= 1000

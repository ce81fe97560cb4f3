"""What the other tools print and store is read as they mean it."""

import json
import math
from pathlib import Path

import pytest
import replay
from place import SLOWED
from rivals import (
    ALL,
    Comparison,
    Session,
    asv_times,
    pairs_of,
    pyperf_times,
    pytest_times,
    slower_by_asv,
    slower_by_pyperf,
)

# As pyperf 2.10 prints it, without -v.
PYPERF = """\
plain_ints: Mean +- std dev: [base] 1.59 ms +- 0.03 ms -> [head] 1.66 ms +- 0.02 ms: 1.04x slower
eager_cell: Mean +- std dev: [base] 5.0 ms +- 0.1 ms -> [head] 4.0 ms +- 0.1 ms: 1.25x faster

Benchmark hidden because not significant (1): jitted_scan

Geometric mean: 1.05x faster
"""
ASV = """\
| Change   | Before [1a2b] <base>   | After [3c4d] <slower>   |   Ratio | Benchmark (Parameter)                            |
|----------|------------------------|-------------------------|---------|--------------------------------------------------|
| +        | 1.59±0.01ms            | 1.75±0.02ms             |    1.1  | with_asv.Speed.time_call('plain_ints') |
|          | 1.59±0.01ms            | 1.60±0.02ms             |   ~1.01 | with_asv.Speed.time_call('plain_dicts') |
| -        | 1.59±0.01ms            | 1.20±0.02ms             |    0.75 | with_asv.Speed.time_call('eager_cell') |
"""


def test_pyperf_lists_what_is_slower():
    assert slower_by_pyperf(PYPERF) == {"plain_ints"}


def test_asv_marks_what_is_slower():
    assert slower_by_asv(ASV) == {"plain_ints"}


def test_pytest_benchmark_stores_a_mean_and_a_median(tmp_path):
    stored = {"benchmarks": [{"params": {"name": "plain_ints"}, "stats": {"mean": 2.0, "median": 1.0}}]}
    (tmp_path / "a.json").write_text(json.dumps(stored))
    assert pytest_times(tmp_path / "a.json", "mean") == {"plain_ints": 2.0}
    assert pytest_times(tmp_path / "a.json", "median") == {"plain_ints": 1.0}


@pytest.mark.parametrize("shared", [True, False])
def test_pyperf_stores_the_values_of_each_process(tmp_path, shared):
    name, runs = {"name": "plain_ints"}, [{"values": [1.0, 2.0]}, {"values": [3.0]}, {"warmups": [[1, 9.0]]}]
    benchmark = {"runs": runs} if shared else {"runs": runs, "metadata": name}
    stored = {"benchmarks": [benchmark], "metadata": name if shared else {}}
    (tmp_path / "a.json").write_text(json.dumps(stored))
    assert pyperf_times(tmp_path / "a.json") == {"plain_ints": 2.0}


def test_asv_stores_medians_in_the_order_of_the_parameters(tmp_path):
    folder = tmp_path / "machine"
    folder.mkdir()
    stored = {"results": {"with_asv.Speed.time_call": [[1.0, 2.0], [["'plain_ints'", "'eager_cell'"]], "version"]}}
    (folder / "12345678-virtualenv.json").write_text(json.dumps(stored))
    assert asv_times(tmp_path, "1234567890") == {"plain_ints": 1.0, "eager_cell": 2.0}


def test_sessions_that_follow_each_other_are_compared_the_slower_one_as_the_head():
    sessions = [Session(commit, Path(commit), 1.0) for commit in ("base", "slower", "base")]
    assert pairs_of(sessions) == [(sessions[0], sessions[1]), (sessions[2], sessions[1])]


def comparison(slower=(), error=0.01, seconds=2.0):
    ratios = {name: error + (math.log(1.03) if name in SLOWED else 0.0) for name in ALL}
    return Comparison("toy", "defaults", ratios, {name: name in slower for name in ALL}, seconds)


def test_what_a_tool_says_is_counted_of_alike_and_of_slowed_cases_apart():
    jobs = [comparison(slower=SLOWED), comparison(slower=(*SLOWED[:4], "plain_strings"))]
    assert replay.said_slower(jobs, slowed=True) == (14, 20)
    assert replay.said_slower(jobs, slowed=False) == (1, 20)


def test_what_a_tool_can_tell_falls_with_the_root_of_the_time_that_it_did_not_take():
    own = replay.rival_detectable([comparison()], 2.0)
    # 5.06 errors of 1 %: two-sided at 0.5 % of 200 cases, power 80 %.
    assert set(own) == set(ALL)
    assert list(own.values()) == [pytest.approx(0.0519, abs=0.0002)] * 20
    longer = replay.rival_detectable([comparison()], 8.0)["plain_ints"]
    assert longer == pytest.approx(own["plain_ints"] / 2, rel=0.02)


def test_a_tool_that_takes_longer_is_not_made_worse_for_it():
    assert replay.rival_detectable([comparison(seconds=20.0)], 2.0) == replay.rival_detectable([comparison()], 2.0)

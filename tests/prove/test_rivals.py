"""What the other tools print and store is read as they mean it."""

import json

import pytest
import replay
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

PYPERF = """\
plain_ints: Mean +- std dev: [base] 1.59 ms +- 0.03 ms -> [head] 1.66 ms +- 0.02 ms: 1.04x slower
Significant (t=-9.96)

eager_cell: Mean +- std dev: [base] 5.0 ms +- 0.1 ms -> [head] 4.0 ms +- 0.1 ms: 1.25x faster
Significant (t=12.0)

Benchmark hidden because not significant (1): jitted_scan
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
    sessions = [Session(commit, None, 1.0) for commit in ("base", "base", "slower", "base")]
    assert pairs_of(sessions) == [
        (sessions[0], sessions[1]),
        (sessions[1], sessions[2]),
        (sessions[3], sessions[2]),
    ]


def comparison(effect, slower, ratio=0.01, seconds=2.0):
    return Comparison("toy", "defaults", effect, dict.fromkeys(ALL, ratio), dict.fromkeys(ALL, slower), seconds)


def test_shares_of_a_tool_are_of_alike_and_of_slower_cases_apart():
    alike, alarmed, found = comparison(0.0, False), comparison(0.0, True), comparison(0.03, True)
    assert replay.rival_alarms([alike, found], 20, seed=0) == 0.0
    assert replay.rival_alarms([alike, alarmed, found], 20, seed=0) == 1.0
    assert replay.rival_found([alike, found, comparison(0.03, False)]) == (20, 40)


def test_what_a_tool_can_tell_falls_with_the_root_of_the_time_that_it_is_given():
    own = replay.rival_detectable([comparison(0.0, False)], 2.0)["plain_ints"]
    longer = replay.rival_detectable([comparison(0.0, False)], 8.0)["plain_ints"]
    # 5.06 standard deviations of 1 %: two-sided at 0.5 % of 200 cases, power 80 %.
    assert own == pytest.approx(0.0519, abs=0.0002)
    assert longer == pytest.approx(own / 2, rel=0.02)

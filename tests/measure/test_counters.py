"""What stands beside a sample: the machine's counters between two moments, as shares of what the machine had."""

import pytest

from gatebench.measure.clocks import _CORES, _JIFFY_NS, CpuCounters


def test_steal_and_other_processes_are_shares_of_the_machine():
    before = CpuCounters(0, 0, 5, 7, 100, 10)
    after = CpuCounters(100 * _JIFFY_NS, 30 * _JIFFY_NS, 6, 9, 100 + 50, 10 + 11)
    found = before.until(after, calls=10)
    assert found["cpu_ns"] == 3 * _JIFFY_NS
    assert (found["context_switches"], found["page_faults"]) == (1, 2)
    assert found["steal_ratio"] == pytest.approx(10 / (100 * _CORES))  # one tick of eleven is in doubt
    assert found["foreign_ratio"] == pytest.approx((50 - 30) / (100 * _CORES))
    assert found["foreign_ns"] / found["capacity_ns"] == found["foreign_ratio"]

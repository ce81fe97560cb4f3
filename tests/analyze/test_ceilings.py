"""Shares of the machine's ceiling, worked out by hand: what bounds a case, and by how much it misses that bound."""

import math

import pandas as pd
import pytest

from gatebench.analyze.ceilings import ceiling_shares

# Two cores of 10 GFLOP/s in float32; 40 GB/s from a cache of 1 MB, 10 GB/s from memory.
ENVIRONMENT = {
    "cores": 2,
    "ceilings": [{"bytes": 1e6, "bytes_per_s": 40e9}, {"bytes": "inf", "bytes_per_s": 10e9}],
    "peaks": [{"device": "cpu", "dtype": "float32", "flops_per_s": 10e9}, {"device": "cuda", "dtype": "float32", "flops_per_s": 1e12}],
    "cuda_ceilings": [{"bytes": "inf", "bytes_per_s": 1e12}],
}  # fmt: skip


def case(**values):
    return {
        "device": "cpu", "threads": 2, "dtype": "float32", "cache": "hot", "flops": 2e7, "bytes_min": 4e5, "time_ns": 2e6,
        "ci_low_ns": 1.6e6, "ci_high_ns": 2.5e6, **values,
    }  # fmt: skip


def share_of(**values):
    return ceiling_shares(pd.DataFrame([case(**values)]), ENVIRONMENT).iloc[0]


def test_a_case_of_many_flops_is_held_against_the_matrix_product():
    found = share_of()  # 2e7 FLOP at 20 GFLOP/s take 1 ms; 4e5 bytes at 40 GB/s 10 µs
    assert (found["bound"], found["least_ns"]) == ("compute", pytest.approx(1e6))
    assert [found[name] for name in ("share", "share_low", "share_high")] == pytest.approx([0.5, 0.4, 0.625])


def test_the_share_is_attained_flops_over_the_lower_of_peak_and_intensity_times_bandwidth():
    flops, size, time_ns = 1e5, 4e5, 2e4
    attained, intensity = flops / time_ns * 1e9, flops / size
    found = share_of(flops=flops, bytes_min=size, time_ns=time_ns)
    assert found["bound"] == "memory"
    assert found["share"] == pytest.approx(attained / min(20e9, intensity * 40e9))


def test_the_level_that_holds_the_bytes_counts_and_a_cold_cache_is_memory():
    assert share_of(flops=0, bytes_min=1e6)["least_ns"] == pytest.approx(25e3)
    assert share_of(flops=0, bytes_min=2e6)["least_ns"] == pytest.approx(200e3)
    assert share_of(flops=0, bytes_min=1e6, cache="cold")["least_ns"] == pytest.approx(100e3)


def test_one_thread_has_one_core_and_no_more_threads_than_cores_help():
    assert share_of(threads=1)["least_ns"] == pytest.approx(2e6)
    assert share_of(threads=8)["least_ns"] == pytest.approx(1e6)
    assert share_of(threads=1, flops=0)["least_ns"] == pytest.approx(20e3)


def test_a_cuda_device_has_its_own_ceilings_and_no_threads():
    assert share_of(device="cuda")["least_ns"] == pytest.approx(2e4)


@pytest.mark.parametrize("values", [{"dtype": "float64"}, {"flops": None}, {"bytes_min": None}, {"device": "tpu"}])
def test_what_has_no_ceiling_or_no_cost_model_has_no_share(values):
    found = share_of(**values)
    assert math.isnan(found["share"])
    assert found["bound"] is None


def test_a_case_without_a_time_has_a_least_time_and_no_share():
    found = share_of(time_ns=None, ci_low_ns=None, ci_high_ns=None)
    assert found["least_ns"] == pytest.approx(1e6)
    assert math.isnan(found["share"])


def test_a_run_that_measured_no_ceilings_has_none():
    older = {"cores": 2, "ceilings": ENVIRONMENT["ceilings"]}
    assert ceiling_shares(pd.DataFrame([case()]), older)["share"].isna().all()
    assert ceiling_shares(pd.DataFrame([case()]), {})["share"].isna().all()
    assert ceiling_shares(pd.DataFrame([case()])[:0], ENVIRONMENT).empty

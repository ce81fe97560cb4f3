"""Ceilings of matrix products: every dtype has one, and measuring them leaves the process as it was."""

import pytest
import torch

from gatebench.measure import peaks


@pytest.fixture
def passes(monkeypatch):
    """Let every call take 1 ms, and end each series of passes after 10 of them; returns the calls of each size."""
    sizes, now = [], iter(range(100_000))
    monkeypatch.setattr(peaks, "_duration", lambda action, device: sizes.append(tuple(action().shape)) or 0.001)
    monkeypatch.setattr(peaks.time, "perf_counter", lambda: next(now) * peaks._SECONDS / 10)
    monkeypatch.setattr(peaks.torch.cuda, "is_available", lambda: False)
    return sizes


def test_matrices_grow_while_a_product_is_short_and_the_best_pass_counts(passes, monkeypatch):
    monkeypatch.setattr(peaks, "_LARGEST", 1024)
    found = {row["dtype"]: row for row in peaks.measure_peaks()}
    assert set(found) == {"float32", "bfloat16", "float64"}
    assert found["float64"] == {"device": "cpu", "dtype": "float64", "flops_per_s": 2 * 1024**3 / 0.001}
    assert set(passes) == {(256, 256), (512, 512), (1024, 1024)}


def test_bfloat16_is_never_slower_than_the_float32_it_could_be_computed_in(monkeypatch):
    monkeypatch.setattr(peaks, "_product_speed", lambda device, dtype: {torch.bfloat16: 1.0}.get(dtype, 5.0))
    speeds = {row["dtype"]: row["flops_per_s"] for row in peaks.measure_peaks() if row["device"] == "cpu"}
    assert speeds == {"float32": 5.0, "bfloat16": 5.0, "float64": 5.0}


def test_the_number_of_threads_is_as_before(monkeypatch):
    seen = []
    monkeypatch.setattr(peaks, "_product_speed", lambda device, dtype: seen.append(torch.get_num_threads()) or 1.0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        peaks.measure_peaks()
        assert set(seen[:3]) == {1}
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_without_a_cuda_device_its_memory_has_no_ceiling(monkeypatch):
    monkeypatch.setattr(peaks.torch.cuda, "is_available", lambda: False)
    assert peaks.measure_cuda_ceilings() == []


def test_a_full_cuda_device_has_no_ceilings_and_breaks_nothing(monkeypatch):
    def full(device):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(peaks.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(peaks, "_memory_levels", full)
    assert peaks.measure_cuda_ceilings() == []

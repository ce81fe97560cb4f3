"""Parts of the CUDA protocol that need no device: what NVML answers, and clocks that disagree."""

import ctypes
from types import SimpleNamespace

import pytest

from gatebench.contract import Failure
from gatebench.measure import nvml, sampling

UUID = "b3a1c0de-0000-1111-2222-333344445555"


class Nvml:
    """Looks like the driver's library: getters write into their last argument and return 0 or an error."""

    def __init__(self, power_error=0, handle_error=0):
        self.power_error, self.handle_error = power_error, handle_error

    def nvmlDeviceGetHandleByUUID(self, uuid, handle):
        assert uuid == f"GPU-{UUID}".encode()
        handle._obj.value = 7
        return self.handle_error

    def nvmlDeviceGetClockInfo(self, handle, which, value):
        return self.answer(value, handle, {1: 1755}[which])

    def nvmlDeviceGetPowerUsage(self, handle, value):
        return self.power_error or self.answer(value, handle, 412_500)

    def nvmlDeviceGetTemperature(self, handle, which, value):
        return self.answer(value, handle, {0: 61}[which])

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle, value):
        assert isinstance(value._obj, ctypes.c_ulonglong)
        return self.answer(value, handle, 0x1 | 0x4 | 0x40)

    def answer(self, value, handle, number):
        assert handle.value == 7
        value._obj.value = number
        return 0


@pytest.fixture
def device(monkeypatch):
    """Pretend that there is a device; returns a function that puts in a library."""
    monkeypatch.setattr(nvml.torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(nvml.torch.cuda, "get_device_properties", lambda index: SimpleNamespace(uuid=UUID))
    return lambda library: monkeypatch.setattr(nvml, "_library", lambda: library)


def test_conditions_have_units_and_named_reasons(device):
    device(Nvml())
    assert nvml.device_conditions() == {
        "sm_clock_mhz": 1755, "power_w": 412.5, "temperature_c": 61,
        "throttle": ["power cap", "hardware thermal slowdown"],
    }  # fmt: skip


def test_what_the_device_does_not_tell_is_null(device):
    device(Nvml(power_error=3))
    found = nvml.device_conditions()
    assert found is not None
    assert (found["power_w"], found["sm_clock_mhz"]) == (None, 1755)


@pytest.mark.parametrize("library", [None, Nvml(handle_error=6)])
def test_without_library_or_device_there_are_no_conditions(device, library):
    device(library)
    assert nvml.device_conditions() is None


def test_the_worst_of_several_readings_counts():
    readings = [
        {"sm_clock_mhz": 1755, "power_w": 400.0, "temperature_c": None, "throttle": []},
        {"sm_clock_mhz": 1410, "power_w": None, "temperature_c": 61, "throttle": ["power cap"]},
    ]
    assert nvml.worst_conditions(readings) == {
        "sm_clock_mhz": 1410, "power_w": 400.0, "temperature_c": 61, "throttle": ["power cap"],
    }  # fmt: skip


AGREE = [(10.0, 9.0, 1), (10.0, 7.4, 1), (0.3, 0.1, 1), (10.0, 10.01, 1), (10.0, 1.0, 64)]
DISAGREE = [(10.0, 7.2, 1), (10.0, 0.1, 1), (0.5, 0.1, 1), (10.0, 4.0, 16)]


@pytest.mark.parametrize(("wall_ms", "event_ms", "parts"), AGREE)
def test_clocks_that_agree_leave_nothing_unexplained(wall_ms, event_ms, parts):
    assert sampling.beside_the_stream_ns(wall_ms * 1e6, event_ms * 1e6, parts) <= 0


@pytest.mark.parametrize(("wall_ms", "event_ms", "parts"), DISAGREE)
def test_clocks_that_disagree_show_how_much_is_unexplained(wall_ms, event_ms, parts):
    assert sampling.beside_the_stream_ns(wall_ms * 1e6, event_ms * 1e6, parts) > 0


def test_work_beside_the_stream_in_every_sample_fails_the_case_and_a_hiccup_does_not():
    sampling.check_streams(SimpleNamespace(beside_ns=[]))
    sampling.check_streams(SimpleNamespace(beside_ns=[5e6, -1e5, 7e6]))
    with pytest.raises(Failure, match=r"at least 5\.00 ms of every sample"):
        sampling.check_streams(SimpleNamespace(beside_ns=[5e6, 7e6]))

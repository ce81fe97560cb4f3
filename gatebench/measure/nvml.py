"""What an NVIDIA device's clock, power and temperature are after each sample, asked of the driver's own library.

Through ctypes and not a package: `make gpu` installs nothing. Only reads; clocks and settings are never changed.
Function names and constants: nvml.h, NVIDIA Management Library.
"""

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import torch

from gatebench.measure.throttle import throttle_reasons

_CLOCK_SM, _TEMPERATURE_GPU = 1, 0


def device_conditions() -> dict[str, Any] | None:
    """Return sm_clock_mhz, power_w, temperature_c and throttle (names) of the current device; null what it does not tell.

    None where the library or the device cannot be asked, as for a slice of a device (MIG).
    """
    library = _library()
    if library is None:
        return None
    handle = ctypes.c_void_p()
    uuid = f"GPU-{torch.cuda.get_device_properties(torch.cuda.current_device()).uuid}"
    if library.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)) != 0:
        return None
    clock = _read(library.nvmlDeviceGetClockInfo, ctypes.c_uint(), handle, _CLOCK_SM)
    power_mw = _read(library.nvmlDeviceGetPowerUsage, ctypes.c_uint(), handle)
    temperature = _read(library.nvmlDeviceGetTemperature, ctypes.c_uint(), handle, _TEMPERATURE_GPU)
    throttle = getattr(library, "nvmlDeviceGetCurrentClocksThrottleReasons", None)  # newer drivers may drop this name
    reasons = _read(throttle, ctypes.c_ulonglong(), handle) if throttle else None
    return {
        "sm_clock_mhz": clock,
        "power_w": None if power_mw is None else power_mw / 1e3,
        "temperature_c": temperature,
        "throttle": None if reasons is None else throttle_reasons(reasons),
    }


def worst_conditions(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sum up what was read after several samples: lowest clock, highest power and temperature, all throttle reasons."""

    def known(name: str) -> list[Any]:
        return [conditions[name] for conditions in found if conditions[name] is not None]

    reasons = known("throttle")
    return {
        "sm_clock_mhz": min(known("sm_clock_mhz"), default=None),
        "power_w": max(known("power_w"), default=None),
        "temperature_c": max(known("temperature_c"), default=None),
        "throttle": sorted({reason for names in reasons for reason in names}) if reasons else None,
    }


@functools.cache
def _library() -> Any | None:
    """Load and initialise the driver's library; None where there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    return library if library.nvmlInit_v2() == 0 else None


def _read(function: Any, value: Any, handle: ctypes.c_void_p, *which: int) -> int | None:
    """Call a getter of NVML, which writes into its last argument; None where it returns an error."""
    return value.value if function(handle, *which, ctypes.byref(value)) == 0 else None

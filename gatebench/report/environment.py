"""A machine in words, from the environment of a manifest: what timings depend on."""

import json
import math
from collections.abc import Mapping
from typing import Any

from gatebench.report.names import options_label

UNKNOWN = "not told"


def environment_rows(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return what -> value, in words; what a run does not tell is said to be so.

    environment: device_name, machine, system, cores, memory_gib, caches, versions, capability, cuda, governor, ceilings,
    cuda_ceilings, peaks.
    """
    cores, capability = environment.get("cores"), environment.get("capability")
    processor = [environment.get("device_name"), f"{cores} cores" if cores else "", capability]
    ceilings = [
        f"{where}{_capacity(level['bytes'])}: {float(level['bytes_per_s']) / 1e9:.0f} GB/s"
        for name, where in (("ceilings", ""), ("cuda_ceilings", "CUDA "))
        for level in environment.get(name) or ()
    ]
    peaks = [
        f"{peak['dtype']} {float(peak['flops_per_s']) / 1e9:.0f} GFLOP/s {'a core' if peak['device'] == 'cpu' else 'on CUDA'}"
        for peak in environment.get("peaks") or ()
    ]
    caches = environment.get("caches") or {}
    versions = environment.get("versions") or {}
    memory = environment.get("memory_gib")
    system = [environment.get("system"), environment.get("machine")]
    return {
        "processor": _joined(processor),
        "memory": f"{memory} GiB" if memory else UNKNOWN,
        "caches": ", ".join(f"{name} {size >> 10} KiB" for name, size in caches.items()) or UNKNOWN,
        "memory ceilings": "; ".join(ceilings) or "not measured",
        "matrix products": "; ".join(peaks) or "not measured",
        "CUDA": options_label(json.dumps(environment["cuda"])) if environment.get("cuda") else "no CUDA device",
        "governor": str(environment.get("governor") or "unknown"),
        "system": _joined(system),
        "versions": ", ".join(f"{name} {text}" for name, text in versions.items()) or UNKNOWN,
    }


def _joined(words: list[Any]) -> str:
    return ", ".join(str(word) for word in words if word) or UNKNOWN


def _capacity(size: Any) -> str:
    return "memory" if size in ("inf", math.inf) else f"up to {float(size) / 2**20:.0f} MiB"

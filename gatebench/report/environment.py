"""A machine in words, from the environment of a manifest: what timings depend on."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

from gatebench.report.names import options_label

UNKNOWN = "not told"
_LIBRARIES = {"mkldnn": "oneDNN", "mkl": "MKL"}


def environment_rows(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return what -> value, in words; what a run does not tell, or not in the form that it has, is said to be so.

    environment: device_name, machine, system, cores, memory_gib, caches, versions, capability, torch_build, cuda, governor,
    ceilings, cuda_ceilings, peaks.
    """
    cores, capability = environment.get("cores"), environment.get("capability")
    processor = [environment.get("device_name"), f"{cores} cores" if cores else "", capability]
    caches, versions, built = (_part(environment, name) for name in ("caches", "versions", "torch_build"))
    memory = environment.get("memory_gib")
    system = [environment.get("system"), environment.get("machine")]
    cuda = environment.get("cuda")
    return {
        "processor": _joined(processor),
        "memory": f"{memory} GiB" if memory else UNKNOWN,
        "caches": ", ".join(f"{name} {size >> 10} KiB" for name, size in caches.items() if isinstance(size, int))
        or UNKNOWN,
        "memory ceilings": "; ".join(_ceilings(environment)) or "not measured",
        "matrix products": "; ".join(_products(environment)) or "not measured",
        "CUDA": options_label(json.dumps(cuda)) if isinstance(cuda, Mapping) and cuda else "no CUDA device",
        "governor": str(environment.get("governor") or "unknown"),
        "system": _joined(system),
        "versions": ", ".join(f"{name} {text}" for name, text in versions.items()) or UNKNOWN,
        "torch was built": ", ".join(f"{'with' if has else 'without'} {_LIBRARIES.get(name, name)}" for name, has in built.items())
        or UNKNOWN,
    }  # fmt: skip


def _ceilings(environment: Mapping[str, Any]) -> Iterator[str]:
    for name, where in (("ceilings", ""), ("cuda_ceilings", "CUDA ")):
        for level in _entries(environment, name):
            size, speed = _number(level.get("bytes")), _number(level.get("bytes_per_s"))
            if size is not None and speed is not None:
                yield f"{where}{_capacity(size)}: {speed / 1e9:.0f} GB/s"


def _products(environment: Mapping[str, Any]) -> Iterator[str]:
    for peak in _entries(environment, "peaks"):
        speed = _number(peak.get("flops_per_s"))
        if speed is not None:
            yield f"{peak.get('dtype')} {speed / 1e9:.0f} GFLOP/s {'a core' if peak.get('device') == 'cpu' else 'on CUDA'}"


def _part(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = environment.get(name)
    return found if isinstance(found, Mapping) else {}


def _entries(environment: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Return the rows of a list; others may have written something else in its place."""
    found = environment.get(name)
    return [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []


def _number(value: Any) -> float | None:
    """Return a number of a manifest, where infinity is text; None for what is none."""
    if isinstance(value, int | float) or value == "inf":
        return float(value)
    return None


def _joined(words: list[Any]) -> str:
    return ", ".join(str(word) for word in words if word) or UNKNOWN


def _capacity(size: float) -> str:
    return f"up to {size / 2**20:.0f} MiB" if math.isfinite(size) else "memory"

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
        for level in _entries(environment, name, ("bytes", "bytes_per_s")):
            yield f"{where}{_capacity(level['bytes'])}: {float(level['bytes_per_s']) / 1e9:.0f} GB/s"


def _products(environment: Mapping[str, Any]) -> Iterator[str]:
    for peak in _entries(environment, "peaks", ("device", "dtype", "flops_per_s")):
        where = "a core" if peak["device"] == "cpu" else "on CUDA"
        yield f"{peak['dtype']} {float(peak['flops_per_s']) / 1e9:.0f} GFLOP/s {where}"


def _part(environment: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = environment.get(name)
    return found if isinstance(found, Mapping) else {}


def _entries(environment: Mapping[str, Any], name: str, needed: tuple[str, ...]) -> list[Mapping[str, Any]]:
    """Return the rows of a list that have what they need: others may have written it."""
    found = environment.get(name)
    rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
    return [row for row in rows if all(row.get(key) is not None for key in needed)]


def _joined(words: list[Any]) -> str:
    return ", ".join(str(word) for word in words if word) or UNKNOWN


def _capacity(size: Any) -> str:
    return "memory" if size in ("inf", math.inf) else f"up to {float(size) / 2**20:.0f} MiB"

"""What makes the timings of two runs comparable: facts of their environments, and in which of them two differ."""

from collections.abc import Iterator, Mapping
from typing import Any

_COMPARABLE = ("device_name", "machine", "cores", "memory_gib", "caches", "capability", "torch_build", "cuda")
_VERSIONS = ("torch", "numba", "numpy", "triton")
MEASURED = ("ceilings", "peaks", "cuda_ceilings")  # of an environment: they differ a little between any two runs
_OPTIONAL_VERSIONS = ("onnxruntime",)  # where it is not installed, the facts are as if nobody had heard of it


def comparable_facts(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what timings depend on: processor, cores, memory, caches, CUDA device, Python, libraries."""
    versions = environment.get("versions") or {}
    facts: dict[str, Any] = {name: environment.get(name) for name in _COMPARABLE}
    facts |= {name: versions.get(name) for name in _VERSIONS}
    facts |= {name: versions[name] for name in _OPTIONAL_VERSIONS if name in versions}
    facts["python"] = ".".join(str(versions.get("python")).split(".")[:2])
    return facts


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (name, value here, value there) of what differs, names of what is nested joined by dots; None: not there."""
    first, second = dict(_flat(one)), dict(_flat(other))
    names = dict.fromkeys([*first, *second])
    return [(name, first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)]


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield above + name, value

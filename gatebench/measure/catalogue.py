"""What this process can offer: gates, implementations with their availability, and the environment."""

import inspect
import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from gatebench import __version__
from gatebench.contract import Implementation, Unavailable
from gatebench.gates import Gate
from gatebench.measure.caches import cache_bytes, measure_ceilings
from gatebench.measure.failures import classify
from gatebench.measure.peaks import measure_cuda_ceilings, measure_peaks
from gatebench.measure.size_formulas import formulas
from gatebench.options import Option
from gatebench.registry import BUILTIN_IMPLEMENTATIONS, Registry, check_available
from gatebench.shape import Shape

_PACKAGES = ("torch", "numpy", "numba", "scipy", "triton", "onnxruntime")
_EXAMPLE = Shape(batch=1, seq_len=2, input_size=2, hidden_size=2)


def versions() -> dict[str, str]:
    """Return the versions of what a timing depends on; packages that are missing are left out."""
    found = {"gatebench": __version__, "python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an optional package
    return found


def describe(registry: Registry, names: list[str], ceilings: bool) -> dict[str, Any]:
    """Return gates, implementations, environment and the packages that give some, as plain data; names: [] means all.

    broken_gates: name -> why the package that names a gate cannot give it.
    """
    found: dict[str, Any] = {}
    broken: dict[str, str] = {}
    for name in registry.gate_names():
        try:
            found[name] = describe_gate(registry.gate(name)())
        except Exception as error:  # a plugin's import may raise anything; it becomes the reason
            broken[name] = f"a package that cannot be used: {_reason(error)}"
    return {
        "gates": found,
        "broken_gates": broken,
        "implementations": {
            name: _describe_implementation(registry, name) for name in names or registry.implementation_names()
        },
        "environment": environment(ceilings),
        "packages": registry.packages(),
    }


def describe_gate(gate: Gate) -> dict[str, Any]:
    """Return what gates.json keeps of a gate; sizes are shown for T=2, B=1, I=2, H=2, and as formulas in I and H."""
    return {
        "name": gate.name,
        "family": gate.family,
        "equation": gate.equation,
        "source": gate.source,
        "doc": inspect.cleandoc(type(gate).__doc__ or "not given"),
        "options": {name: _describe_option(option) for name, option in gate.options.items()},
        "inputs": {name: list(size) for name, size in gate.input_shapes(_EXAMPLE).items()},
        "parameters": {name: list(size) for name, size in gate.parameters(_EXAMPLE).items()},
        "state": gate.state(_EXAMPLE),
        "formulas": {"parameters": formulas(gate.parameters), "state": formulas(gate.state)},
        "stackable": gate.stackable,
        "reference": _reference_code(gate),
    }


def _reference_code(gate: Gate) -> str:
    """Return the source of what computes the gate: its cell or step where it has time, else its forward."""
    for name in ("cell", "activate", "step", "forward"):
        method = getattr(type(gate), name, None)
        if method is not None and (name in ("cell", "activate") or method is not getattr(Gate, name)):
            return inspect.cleandoc("\n" + inspect.getsource(method))
    return "not given"


def _describe_option(option: Option) -> dict[str, Any]:
    return {"default": option.default, "type": option.type.__name__, "range": list(option.range), "doc": option.doc}


def _describe_implementation(registry: Registry, name: str) -> dict[str, Any]:
    """Return gates, limits and availability by device; what cannot be imported is unavailable, with its reason."""
    try:
        entries = registry.implementations(name)
    except Exception as error:  # a plugin's import may raise anything; it becomes the reason
        return {
            "builtin": name in BUILTIN_IMPLEMENTATIONS,
            "entries": [],
            "unavailable": dict.fromkeys(_devices(), _reason(error)),
        }
    return {
        "builtin": name in BUILTIN_IMPLEMENTATIONS,
        "compiles": any(entry.compiles for entry in entries),
        "options": {key: _describe_option(option) for entry in entries for key, option in entry.options.items()},
        "entries": [_describe_entry(entry) for entry in entries],
        "unavailable": {device: reason for device in _devices() if (reason := _unavailable(entries[0], device))},
    }


def _reason(error: Exception) -> str:
    failure = classify(error)
    return f"{failure.reason} ({failure.where})" if failure.where else failure.reason


def _describe_entry(entry: Implementation) -> dict[str, Any]:
    return {
        "gates": list(entry.gates),
        "devices": list(entry.devices),
        "dtypes": list(entry.dtypes),
        "modes": list(entry.modes),
        "error_limit": entry.error_limit,
        "origin": entry.origin,
    }


def _devices() -> tuple[str, ...]:
    return ("cpu", "cuda")


def _unavailable(entry: Implementation, device: str) -> str | None:
    try:
        check_available(entry, device)
    except Unavailable as reason:
        return str(reason)
    return None


def environment(ceilings: bool) -> dict[str, Any]:
    """Return what timings on this machine depend on; no host's, user's or path's name is among it."""
    found: dict[str, Any] = {
        "device_name": cpu_name(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "caches": {f"L{level}": size for level, size in cache_bytes().items()},
        "versions": versions(),
        "torch_build": {"mkldnn": torch.backends.mkldnn.is_available(), "mkl": torch.backends.mkl.is_available()},
        "capability": torch.backends.cpu.get_cpu_capability(),
        "cuda": _cuda(),
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
    }
    if ceilings:
        found |= {"ceilings": measure_ceilings(), "peaks": measure_peaks(), "cuda_ceilings": measure_cuda_ceilings()}
    return found


def _cuda() -> Mapping[str, Any] | None:
    if not torch.cuda.is_available():
        return None
    return {
        "device_name": torch.cuda.get_device_name(),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
        "memory_gib": round(torch.cuda.get_device_properties(0).total_memory / 2**30),
    }


def cpu_name() -> str:
    """Return the processor's own name."""
    lines = (_text("/proc/cpuinfo") or "").splitlines()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _text(path: str) -> str | None:
    file = Path(path)
    return file.read_text().strip() if file.is_file() else None

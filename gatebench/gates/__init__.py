"""Gates: what is measured. `get(name, **options)` binds options and returns a frozen gate."""

from typing import Any

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Tensors
from gatebench.gates.conversion import convert
from gatebench.options import Option

__all__ = ["DTYPE_BYTES", "Cost", "Gate", "Option", "Tensors", "convert", "get", "names"]


def get(name: str, **options: Any) -> Gate:
    """Return the gate `name` with its options bound; raises UserError for an unknown name or option."""
    from gatebench.registry import default_registry

    return default_registry().gate(name)(**options)


def names() -> list[str]:
    """Return the names of all registered gates."""
    from gatebench.registry import default_registry

    return default_registry().gate_names()

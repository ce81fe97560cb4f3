"""GateBench measures gating mechanisms: speed, exactness, and whether gradients survive.

Public names are imported when first used, so that `import gatebench` loads neither torch nor numba.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gatebench.contract import CONTRACT as CONTRACT
    from gatebench.contract import Prepared as Prepared
    from gatebench.contract import Unavailable as Unavailable
    from gatebench.contract import Unsupported as Unsupported
    from gatebench.contract import gate as gate
    from gatebench.contract import implementation as implementation
    from gatebench.contract import prepared_implementation as prepared_implementation
    from gatebench.run.inline import measure_inline as measure_inline
    from gatebench.shape import Shape as Shape
    from gatebench.store.read import Results as Results
    from gatebench.store.read import load as load

__version__ = "0.1.0"

_PUBLIC = {
    "CONTRACT": "gatebench.contract",
    "Prepared": "gatebench.contract",
    "Shape": "gatebench.shape",
    "Unavailable": "gatebench.contract",
    "Unsupported": "gatebench.contract",
    "gate": "gatebench.contract",
    "implementation": "gatebench.contract",
    "prepared_implementation": "gatebench.contract",
    "Results": "gatebench.store.read",
    "load": "gatebench.store.read",
    "measure_inline": "gatebench.run.inline",
}

__all__ = [
    "CONTRACT",
    "Prepared",
    "Results",
    "Shape",
    "Unavailable",
    "Unsupported",
    "__version__",
    "gate",
    "implementation",
    "load",
    "measure_inline",
    "prepared_implementation",
]


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'gatebench' has no attribute {name!r}")

"""GateBench measures gating mechanisms: speed, exactness, and whether gradients survive.

Public names are imported when first used, so that `import gatebench` loads neither torch nor numba.
"""

import importlib
from typing import Any

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

__all__ = [  # noqa: F822 - imported when first used
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
]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'gatebench' has no attribute {name!r}")

"""Twenty callables of a few milliseconds, four of each kind, on one thread.

Each does UNITS equal units of work, and with `extra` round(extra · UNITS) more: a slow-down by real work whose size is known.
All tools measure these very functions. A library is imported only where a callable needs it.
"""

import functools
import importlib
from collections.abc import Callable

from speed.extra import EXTRA

UNITS = 100
MOST = 110  # units at the largest extra, 10 %
KINDS = ("plain", "eager", "jitted", "compiled", "memory")
NAMES = {
    "plain": ("ints", "dicts", "sorting", "strings"),
    "eager": ("products", "cell", "gating", "attention"),
    "jitted": ("scan", "activations", "product", "histogram"),
    "compiled": ("swiglu", "norm", "softmax", "leaky"),
    "memory": ("copy", "add", "total", "gather"),
}
ALL = tuple(f"{kind}_{name}" for kind, names in NAMES.items() for name in names)

Unit = Callable[[int], object]  # takes the number of the unit


def call_of(name: str, extra: float | None = None) -> Callable[[], None]:
    """Return the callable `name`, e.g. eager_cell, with a share `extra` of more work; None: as this commit has it."""
    unit = _unit(name)
    count = UNITS + round((EXTRA.get(name, 0.0) if extra is None else extra) * UNITS)

    def call() -> None:
        for number in range(count):
            unit(number)

    return call


@functools.cache  # compiled once in a process, whatever the extra
def _unit(name: str) -> Unit:
    kind, short = name.split("_", 1)
    return importlib.import_module(f"speed.{kind}").UNITS[short]()

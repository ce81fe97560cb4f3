"""Which modules of a checkpoint a gate could take: what an error suggests."""

import difflib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from torch import Tensor

from gatebench.errors import UserError, suggest
from gatebench.gates.base import Gate
from gatebench.gates.conversion import SOURCES, convert
from gatebench.stability.checks import StabilityError
from gatebench.stability.own_network.checkpoints import SEPARATORS, Checkpoint

MANY = 8  # names that an error lists
_SEPARATOR = re.compile("[./]")
_PASS = re.compile(r"_(l\d+(?:_reverse)?)$")


def modules(
    gate: Gate, checkpoint: Checkpoint, source: str, layer: int | None = None, direction: str | None = None
) -> list[str]:
    """Return the prefixes whose tensors `convert` takes as one module of the gate, by dtypes and shapes alone.

    Where layer or direction is not said, a module with several counts too. "" is a module without a prefix.
    """
    below: dict[str, dict[str, Tensor]] = defaultdict(dict)
    for name, tensor in checkpoint.without_numbers().items():
        for prefix in _prefixes(name):
            below[prefix][name] = tensor
    found: list[str] = []
    for prefix in sorted(below, key=len, reverse=True):  # a module before all that contains it
        contains = tuple(prefix + separator for separator in SEPARATORS) if prefix else ("",)
        if not any(other.startswith(contains) for other in found) and _takes(
            gate, below[prefix], source, layer, direction
        ):
            found.append(prefix)
    return sorted(found)


def _prefixes(name: str) -> list[str]:
    return ["", *(name[: separator.start()] for separator in _SEPARATOR.finditer(name))]


def _takes(gate: Gate, tensors: Mapping[str, Tensor], source: str, layer: int | None, direction: str | None) -> bool:
    keywords = SOURCES[source].keywords
    single = len(getattr(gate, "passes", "1")) == 1  # a stack takes all layers and directions
    if single and layer is None and "layer" in keywords:
        layer = 0
    if single and direction is None and "direction" in keywords:
        direction = "forward"
    try:
        convert(gate, tensors, source=source, layer=layer, direction=direction)
    except UserError:
        return False
    return True


def unknown_prefix(prefix: str, checkpoint: Checkpoint, fitting: Iterable[str]) -> StabilityError:
    """Build the error for a prefix that the file does not have; `fitting` modules are suggested before others."""
    fitting = [name for name in fitting if name]
    others = {start for name in checkpoint for start in _prefixes(name) if start}
    near = sorted(fitting, key=lambda name: -difflib.SequenceMatcher(None, name, prefix).ratio())
    choices = near or difflib.get_close_matches(prefix, others, n=MANY, cutoff=0.0)
    accepted = f"accepted: {_listed(choices)}" if choices else "accepted: no prefix, the names have none"
    close = suggest(prefix, fitting) or suggest(prefix, others)
    return StabilityError(checkpoint.file, f"has no prefix {prefix!r}", accepted, close)


def next_step(
    gate: Gate, whole: Checkpoint, part: Checkpoint, source: str, layer: int | None, direction: str | None
) -> str:
    """Say what to choose where `convert` did not take `part` of a file; "" where nothing else would fit."""
    if layer is None and direction is None and _takes(gate, part.without_numbers(), source, layer, direction):
        return f"choose {' and '.join(name for name in SOURCES[source].keywords if name in ('layer', 'direction'))}"
    if found := modules(gate, part, source, layer, direction) or modules(gate, whole, source, layer, direction):
        return f"choose prefix: {_listed(found)}"
    if modules(gate, part, source):
        passes = sorted({end[1] for name in part if (end := _PASS.search(name))})
        return f"there are {_listed(passes)}" if passes else ""
    other = next((name for name in SOURCES if gate.name in SOURCES[name].gates and modules(gate, part, name)), None)
    return f"choose source: {other}" if other else ""


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
    return ", ".join(names[:MANY]) + more

"""Weights of one's own: the parameters of a gate from one module of a checkpoint."""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gatebench.errors import UserError
from gatebench.gates.base import Gate
from gatebench.gates.conversion import SOURCES, convert
from gatebench.gates.conversion.layout import canonical_shapes
from gatebench.own_files import check_unchanged
from gatebench.shape import ONES, Shape
from gatebench.stability.checks import StabilityError, check_numbers
from gatebench.stability.own_network.checkpoints import Checkpoint, open_checkpoint
from gatebench.stability.own_network.modules import modules, next_step, unknown_prefix


def own_parameters(gate: Gate, weights: Mapping[str, Any], shape: Shape | None = None) -> dict[str, Tensor]:
    """Read a gate's parameters from a checkpoint -> float64 in the gate's names and layout; exact for narrower dtypes.

    weights: file (path) and sha256 of its bytes; prefix, layer, direction and source where they are not None, as
    `gates.convert` takes them. Only the tensors of that module are read from a safetensors file. shape: what the
    parameters must fit. Raises StabilityError, where = the file's name: a file that has changed or cannot be read, a
    prefix that is not there, what `gates.convert` refuses, NaN and infinite numbers, a gate without time.
    """
    path = Path(weights["file"])
    if not gate.state(ONES):
        raise StabilityError(path.name, f"{gate.name} has no time", "accepted: gates with a state", "draw its weights")
    check_unchanged(path, weights["sha256"])
    whole = open_checkpoint(path)
    found = _converted(gate, whole, _part(gate, whole, weights), weights)
    check_numbers(path.name, found, "check the file")
    if shape is not None and (sizes := own_sizes(gate, found)) != (shape.input_size, shape.hidden_size):
        what = f"its weights have I = {sizes[0]}, H = {sizes[1]}"
        raise StabilityError(path.name, what, f"accepted: I = {shape.input_size}, H = {shape.hidden_size}")
    return {name: value.double() for name, value in found.items()}


def own_sizes(gate: Gate, params: Mapping[str, Tensor]) -> tuple[int, int]:
    """Return (input size, hidden size) of a gate's parameters; StabilityError where no sizes give their shapes."""
    shapes = {name: tuple(value.shape) for name, value in params.items()}
    widths = {
        size // count
        for name, shape in shapes.items()
        for size in shape
        for count in (1, len(gate.blocks(name)) or 1)
        if size % count == 0
    }
    for inputs, hidden in itertools.product(sorted(widths), repeat=2):
        if canonical_shapes(gate, inputs, hidden) == shapes:
            return inputs, hidden
    raise StabilityError("weights", f"no sizes give the shapes {shapes}", f"accepted: those of {gate.name}")


def _part(gate: Gate, whole: Checkpoint, weights: Mapping[str, Any]) -> Checkpoint:
    prefix = weights.get("prefix") or ""
    part = whole.below(prefix) if prefix else whole
    if prefix and not part:
        fitting = modules(gate, whole, weights["source"], weights.get("layer"), weights.get("direction"))
        raise unknown_prefix(prefix, whole, fitting)
    return part


def _converted(gate: Gate, whole: Checkpoint, part: Checkpoint, weights: Mapping[str, Any]) -> dict[str, Tensor]:
    source, layer, direction = weights["source"], weights.get("layer"), weights.get("direction")
    try:
        return convert(gate, part, source=source, layer=layer, direction=direction)
    except StabilityError:
        raise  # of the file itself, while a tensor was read
    except UserError as error:
        known = source in SOURCES and gate.name in SOURCES[source].gates
        step = next_step(gate, whole, part, source, layer, direction) if known else ""
        raise StabilityError(whole.file, error.what, error.accepted, step or error.next_step) from None

"""Inputs of one's own: x from a .npy file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.own_files import check_file, check_unchanged
from gatebench.shape import Shape
from gatebench.stability.checks import StabilityError, check_numbers

FORM = "accepted: .npy with floats (T, B, I) or (T, I)"
_STEP = "numpy.save(path, x)"
_DTYPES = ("float16", "float32", "float64")


def inputs_of(gate: Gate, shape: Shape, seed: int, kind: str, own: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a gate's inputs, float64: drawn as `Gate.inputs` does, or x (T, B, I) from a file and zero initial states.

    own: inputs_file, where there is one, with file (path) and sha256 of its bytes; its first seq_len steps are taken.
    weights, where there are some: with direction "reverse" that pass gets x reversed in time. Raises StabilityError,
    where = the file's name: a file that has changed or is no such array, sizes other than the shape's, NaN and infinite
    numbers; gatebench.Unsupported for a shape that the gate refuses.
    """
    if "inputs_file" in own:
        inputs = {**gate.inputs(shape, seed, "zero"), "x": _read(shape, own["inputs_file"])}
    else:
        inputs = gate.inputs(shape, seed, kind)
    reverse = own.get("weights", {}).get("direction") == "reverse"
    return {**inputs, "x": inputs["x"].flip(0)} if reverse else inputs


def _read(shape: Shape, inputs_file: Mapping[str, Any]) -> Tensor:
    path = Path(inputs_file["file"])
    check_unchanged(path, inputs_file["sha256"])
    array = _opened(path)
    steps, batch, width = array.shape
    if shape.seq_len > steps or (batch, width) != (shape.batch, shape.input_size):
        accepted = f"accepted: T from {shape.seq_len}, B = {shape.batch}, I = {shape.input_size}"
        raise StabilityError(path.name, f"x has T = {steps}, B = {batch}, I = {width}", accepted)
    x = _first(array, shape.seq_len)
    check_numbers(path.name, {"x": x}, "check the file")
    return x


def sequence_sizes(path: Path) -> tuple[int, int, int]:
    """Return (T, B, I) of a .npy file; raises StabilityError where it holds no such floats."""
    check_file(path)
    return _opened(path).shape


def check_sequence(path: Path, steps: int) -> None:
    """Raise StabilityError where the first steps of a .npy file hold NaN or infinite numbers."""
    check_numbers(path.name, {"x": _first(_opened(path), steps)}, "check the file")


def _first(array: np.ndarray, steps: int) -> Tensor:
    return torch.from_numpy(np.array(array[:steps], np.float64, order="C"))


def _opened(path: Path) -> np.ndarray:
    """Return the array (T, B, I) of a file, mapped, not read; Python objects in it are refused, never loaded."""
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, OSError, EOFError, TypeError, OverflowError) as error:
        what = f"is no whole array file: {' '.join(str(error).split())[:120]}"
        raise StabilityError(path.name, what, FORM, _STEP) from None
    if array.dtype.name not in _DTYPES:
        raise StabilityError(path.name, f"x is {array.dtype}", FORM, f"x.astype(one of {', '.join(_DTYPES)})")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise StabilityError(path.name, f"x has shape {array.shape}", FORM, _STEP)
    return array if array.ndim == 3 else array[:, None, :]

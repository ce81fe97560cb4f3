"""What all entries of `triton` claim, and whether it can run here."""

import importlib
from typing import Any

import torch

from gatebench.contract import Unavailable


def available(device: str) -> None:
    """Import Triton, outside any clock; raises Unavailable without a CUDA device, or where it is not installed."""
    if not torch.cuda.is_available():
        raise Unavailable("no CUDA device")
    try:
        importlib.import_module("triton")
    except ImportError as error:
        raise Unavailable(f"{error}; in the checkout: pip install '.[triton]'") from None


# Of every launch. Triton 3.9 warns where it is not said whether a * b + c may be fused, and 3.10 changes its default.
LAUNCH: dict[str, Any] = {"enable_fp_fusion": True}


def block_of(width: int, most: int) -> int:
    """Return the elements of a tile in rows of `width`: a power of 2, at most `most`, which is one."""
    return min(most, 1 << max(width - 1, 0).bit_length())


# All kernels are named triton_...: a profiled call must show one of them, which its row then names.
SETTINGS: dict[str, Any] = {
    "devices": ["cuda"], "dtypes": ["float32", "bfloat16", "float64"], "available": available, "compiles": True,
    "attest": "triton",
}  # fmt: skip


def describe(case_mode: str, name: str, block: int, **more: Any) -> dict[str, Any]:
    """Return what a row's detail says: the kernels of a mode, and elements per program."""
    directions = ("forward",) if case_mode == "forward" else ("forward", "backward")
    return {"kernels": [f"triton_{name}_{direction}" for direction in directions], "block": block, **more}

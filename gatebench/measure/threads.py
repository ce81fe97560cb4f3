"""Threads of this process: set once at the start, read back after each case."""

import sys

import torch

from gatebench.contract import Prepared


def set_threads(count: int) -> None:
    """Give torch `count` threads; the environment has told BLAS and numba already."""
    torch.set_num_threads(count)
    if torch.get_num_interop_threads() != 1:
        try:
            torch.set_num_interop_threads(1)
        except RuntimeError:
            return  # a script that used torch before cannot change it any more; no gate here uses it


def observed(implementation: str, prepared: Prepared) -> int:
    """Return how many threads the library that computed will use now."""
    if prepared.threads is not None:
        return prepared.threads()
    if implementation == "numba" and "numba" in sys.modules:
        return int(sys.modules["numba"].get_num_threads())
    return torch.get_num_threads()

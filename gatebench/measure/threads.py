"""Threads of this process: set once at the start, read back after each case."""

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


def observed(prepared: Prepared) -> int:
    """Return how many threads the library that computed will use now: torch, unless the implementation counts its own."""
    return prepared.threads() if prepared.threads is not None else torch.get_num_threads()

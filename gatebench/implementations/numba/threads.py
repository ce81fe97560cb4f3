"""Threads: as many as the case has, for Numba and torch alike."""

import numba
import torch

from gatebench.contract import Unsupported
from gatebench.words import counted


def claim_threads(count: int) -> None:
    """Let Numba and torch use `count` threads; raises Unsupported where Numba has fewer."""
    try:
        numba.set_num_threads(count)
    except ValueError as error:
        raise Unsupported(f"numba cannot run the case's {count} threads here: {error}") from None
    torch.set_num_threads(count)  # Numba's first call starts its threads, and resets torch's number


def count_threads() -> int:
    """Return how many threads Numba and torch will use; the larger number where they differ."""
    return max(numba.get_num_threads(), torch.get_num_threads())


def describe_threads(count: int) -> str | None:
    """Return the threading layer that ran and the number of threads that had work; None before any call."""
    try:
        layer = numba.threading_layer()  # pyright: ignore[reportPrivateImportUsage]
    except ValueError:  # nothing ran in parallel so far
        return None
    return f"numba: {layer}, {counted(count, 'thread')}"

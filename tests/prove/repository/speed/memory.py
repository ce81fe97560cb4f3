"""More bytes than a cache holds: each unit has its own 512 KiB of every array."""

import numba
import numpy as np
import torch

from speed.work import MOST, Unit

torch.set_num_threads(1)
_VALUES = 1 << 17  # float32, of one unit
_LINE = 16  # float32, of a cache line
_READS = 6144  # lines of one unit, anywhere in the table, no line twice in a call: 39 MiB


@numba.njit(cache=True)
def _gather(table: np.ndarray, places: np.ndarray) -> float:
    total = 0.0
    for place in places:
        total += table[place]
    return total


def chunks() -> torch.Tensor:
    return torch.ones(MOST, _VALUES)


def copy() -> Unit:
    source, target = chunks(), chunks()
    return lambda number: target[number].copy_(source[number])


def add() -> Unit:
    source, target = chunks(), chunks()
    return lambda number: torch.add(source[number], source[number], out=target[number])


def total() -> Unit:
    source = chunks().numpy()
    return lambda number: source[number].sum()


def gather() -> Unit:
    lines = 1 << 20  # 64 MiB
    table = np.ones(lines * _LINE, dtype=np.float32)
    places = _LINE * np.random.default_rng(0).permutation(lines)[: MOST * _READS].reshape(MOST, _READS)
    return lambda number: _gather(table, places[number])


UNITS = {"copy": copy, "add": add, "total": total, "gather": gather}

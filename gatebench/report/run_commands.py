"""The `gatebench run` commands that measure given cases and no others."""

import json
import math
from collections.abc import Sequence

import pandas as pd

from gatebench.report.quantities import is_missing

# Columns and their options on the command line; what has none (cache, launch, seed) only a suite can ask for.
AXES = {
    "gate": "-g", "implementation": "-i", "mode": "-m", "dtype": "--dtype", "batch": "--batch", "seq_len": "--seq-len",
    "hidden_size": "--hidden-size", "input": "--input-size", "device": "--device", "threads": "--threads",
}  # fmt: skip
SIZES = ["batch", "seq_len", "hidden_size", "input_size"]
DEFAULTS = {"cache": "hot", "launch": "eager", "seed": 0}


def run_commands(missing: pd.DataFrame) -> tuple[list[tuple[list[str], int]], int]:
    """Return (words, how many cases) of each `gatebench run` that measures these cases and no others, the largest first.

    missing: a row per case; columns gate, gate_options, implementation, mode, dtype, device, threads, sizes, cache, launch,
    seed. Second: how many cases no command can measure (another cache, launch or seed; sizes or options not known).
    """
    usual = missing[SIZES].notna().all(axis=1) & missing["gate_options"].map(_readable)
    for column, default in DEFAULTS.items():
        usual &= missing[column] == default
    asked = missing[usual]
    sides = zip(asked["input_size"], asked["hidden_size"], strict=True)
    asked = asked.assign(input=pd.Series([None if i == h else i for i, h in sides], index=asked.index, dtype=object))
    columns = [[_cell(value) for value in asked[name]] for name in (*AXES, "gate_options")]
    found = sorted(boxes(list(zip(*columns, strict=True)), len(AXES)), key=lambda box: -_size(box))
    return [(_words(box), _size(box)) for box in found], int((~usual).sum())


def boxes(cells: Sequence[tuple], axes: int) -> list[tuple]:
    """Gather cells into products: tuples whose first `axes` entries are tuples of values; each cell lies in exactly one.

    Greedy, the last axis first: what is equal in all others is joined, so a box holds its cells and no others.
    """
    found = [(*((value,) for value in cell[:axes]), *cell[axes:]) for cell in dict.fromkeys(cells)]
    for place in reversed(range(axes)):
        joined: dict[tuple, list] = {}
        for box in found:
            joined.setdefault((*box[:place], None, *box[place + 1 :]), []).extend(box[place])
        found = [(*key[:place], tuple(_ordered(values)), *key[place + 1 :]) for key, values in joined.items()]
    return found


def _ordered(values: list) -> list:
    return sorted(values) if all(isinstance(value, int) for value in values) else values


def _size(box: tuple) -> int:
    return math.prod(len(values) for values in box[: len(AXES)])


def _words(box: tuple) -> list[str]:
    words = ["gatebench", "run"]
    for option, values in zip(AXES.values(), box, strict=False):
        if values != (None,):
            words += [option, ",".join(str(value) for value in values)]
    options = json.loads(box[-1] or "{}")
    settings = [
        f"{name}={value if isinstance(value, str) else json.dumps(value)}" for name, value in sorted(options.items())
    ]
    return words + [word for gate in box[0] for setting in settings for word in ("-o", f"{gate}.{setting}")]


def _cell(value: object) -> object:
    """Return None for what is missing, and whole numbers as int: columns with gaps hold floats."""
    if is_missing(value):
        return None
    return value if isinstance(value, str) else int(value)  # pyright: ignore[reportArgumentType] (sizes and threads)


def _readable(options: object) -> bool:
    try:
        return is_missing(options) or isinstance(json.loads(str(options)), dict)
    except ValueError:
        return False

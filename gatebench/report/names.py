"""Names that people read, from the columns of a store: competitors, devices, runs, fixed sizes."""

import html
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.report.quantities import is_missing
from gatebench.store.read import WORKER
from gatebench.words import counted

_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)")
DTYPES = ("float64", "float32", "bfloat16", "float16")  # the finest first
USUAL_DTYPES = ("float32", "bfloat16", "float64")  # the first to be looked at first
USUAL_MODES = ("forward", "backward", "forward_backward")
TOKEN_FAMILIES = ("recurrent", "scan", "glu", "highway")  # batch x seq_len are tokens; gates of others may take images


def options_label(text: str | None) -> str:
    """Return JSON options as `name=value, ...`, an empty string where all are at their defaults."""
    if is_missing(text):
        return ""
    try:
        options = json.loads(text)
    except ValueError:
        return text
    return ", ".join(f"{name}={value}" for name, value in sorted(options.items())) if options else ""


def competitors(measurements: pd.DataFrame) -> pd.Series:
    """Name each row's competitor: the implementation, and its options where they differ from the default.

    Columns: implementation, implementation_options.
    """
    pairs = zip(measurements["implementation"], measurements["implementation_options"], strict=True)
    names = [f"{name} ({label})" if (label := options_label(text)) else name for name, text in pairs]
    return pd.Series(names, index=measurements.index, dtype=object)


def gate_names(rows: pd.DataFrame) -> pd.Series:
    """Name each row's gate, and its options where they differ from the default. Columns: gate, gate_options."""
    pairs = zip(rows["gate"], rows["gate_options"], strict=True)
    names = [f"{gate} ({label})" if (label := options_label(text)) else str(gate) for gate, text in pairs]
    return pd.Series(names, index=rows.index, dtype=object)


def shown(text: str, most: int = 60) -> str:
    """Return text from a store as figures may show it: on one line, cut after `most` letters, HTML escaped."""
    line = " ".join(str(text).split())
    return html.escape(line if len(line) <= most else line[:most] + " …", quote=False)


def devices(measurements: pd.DataFrame) -> pd.Series:
    """Name each row's device: `cpu, 2 threads` or `cuda`. Columns: device, threads."""
    names = [
        f"cpu, {counted(threads, 'thread')}"
        if device == "cpu" and not is_missing(threads)
        else ("" if is_missing(device) else str(device))
        for device, threads in zip(measurements["device"], measurements["threads"], strict=True)
    ]
    return pd.Series(names, index=measurements.index, dtype=object)


def inputs(measurements: pd.DataFrame) -> pd.Series:
    """Say how the input size goes with the hidden size: `I = H`, or `I = 64`. Columns: input_size, hidden_size."""
    pairs = zip(measurements["input_size"], measurements["hidden_size"], strict=True)
    return pd.Series(["I = H" if i == h else f"I = {i}" for i, h in pairs], index=measurements.index, dtype=object)


def natural(name: str) -> tuple[str | float, ...]:
    """Return the key that sorts names as people do, numbers in them by value: T=16 before T=128, b=-2 before b=1."""
    return tuple(float(part) if number % 2 else part for number, part in enumerate(_NUMBER.split(name)))


def case_labels(cases: Sequence[str]) -> dict[str, str]:
    """Name cases by what tells them apart, e.g. `numba, T128 B16 I256 H256`: implementation, shape, and what else differs.

    What would be alike without the rest keeps its id.
    """
    parts = {case: re.split("[/;]", case) for case in cases}
    longest = max(map(len, parts.values()), default=0)
    filled = {case: [*found, *[""] * (longest - len(found))] for case, found in parts.items()}
    told = [
        place for place in range(longest) if place in (1, 2) or len({found[place] for found in filled.values()}) > 1
    ]
    names = {
        case: ", ".join(
            found[place].replace("-", " ") if place == 2 else found[place] for place in told if found[place]
        )
        for case, found in filled.items()
    }
    counts = Counter(names.values())
    return {case: name if name and counts[name] == 1 else case for case, name in names.items()}


def coarseness(dtype: str) -> int:
    """Return the place of a dtype among DTYPES, the finest first; what is not known comes last."""
    return DTYPES.index(dtype) if dtype in DTYPES else len(DTYPES)


def by_value(column: pd.Series, name: Callable[[Any], str]) -> pd.Series:
    """Return the names of a column's values; each value is named once, for stability has a million rows and ten values."""
    codes, values = pd.factorize(column, use_na_sentinel=False)
    return pd.Series(np.array([name(value) for value in values], dtype=object)[codes], index=column.index, dtype=object)


def run_label(
    run_id: str, suite: str | None, created_utc: str | None, folder: str = "runs", harness: str = WORKER
) -> str:
    """Return a run's name for people, unique by the end of its id, e.g. `2026-11-20 23:15 quick 4f1c`.

    A committed run says so first: `ref. 2026-11-20 23:15 quick 4f1c`; one that was measured otherwise than by worker
    processes names its harness: `2026-11-20 23:15 quick pytest 4f1c`. Runs of the command line's options have no suite to
    name: the label stays short enough to be read whole in a narrow column.
    """
    words = [
        "ref." if folder == "reference" else "",
        date_label(created_utc) or run_id,
        "" if is_missing(suite) or suite == COMMAND_LINE_SUITE else str(suite),
        "" if harness == WORKER else harness,
        run_id.rpartition("-")[2],
    ]
    return " ".join(word for word in words if word)


def date_label(created_utc: str | None) -> str:
    """Return an ISO time as `2026-11-20 23:15`; unreadable text as it is, nothing for nothing."""
    if is_missing(created_utc):
        return ""
    try:
        return f"{datetime.fromisoformat(str(created_utc)):%Y-%m-%d %H:%M}"
    except ValueError:
        return str(created_utc)


def place_label(place: str) -> str:
    """Return a place of gatebench.report.run_facts in short: of an environment class, a digest, its first digits."""
    return place if " " in place else place[:8]

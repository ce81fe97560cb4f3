"""A run's measurements in slices: what is alike in all but sizes T, H and who competes, as one figure shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gatebench.report.names import devices, inputs, natural, options_label
from gatebench.report.quantities import is_missing

# Choice -> column; in the order of the select boxes.
CHOICES = {
    "Gate": "gate_name", "Mode": "mode_name", "Dtype": "dtype", "Device": "device_name", "Batch size": "batch_name", "Input size": "input_name",
    "Cache": "cache", "Launch": "launch", "Side": "side", "Seed": "seed_name",
}  # fmt: skip
# Values that come first, and that a title need not name.
_FIRST: dict[str, tuple[str, ...]] = {
    "mode_name": ("forward", "backward", "forward + backward"), "dtype": ("float32", "bfloat16", "float64"), "input_name": ("I = H",),
    "cache": ("hot", "cold"), "launch": ("eager", "graph"), "side": ("run", "head", "base"),
}  # fmt: skip
_ALWAYS = ("Gate", "Mode", "Dtype", "Device", "Batch size", "Input size")  # said in every title
_PHRASES = {"Cache": "{} cache", "Launch": "launch {}", "Side": "side {}", "Seed": "seed {}"}
SIZES = ("batch", "seq_len", "input_size", "hidden_size")


@dataclass(frozen=True)
class Slice:
    """Rows of one run where only T, H and the competitor vary. keys: what was chosen; title: the same in words."""

    keys: Mapping[str, str]
    title: str
    rows: pd.DataFrame


def slices(measurements: pd.DataFrame) -> list[Slice]:
    """Return the slices of one run: gates as the suite lists them, then modes, dtypes and so on as people sort them.

    Rows without sizes, as imported ones may be, are in no slice.
    """
    rows = measurements[measurements[list(SIZES)].notna().all(axis=1)]
    if rows.empty:
        return []
    rows = rows.astype(dict.fromkeys(SIZES, "int64"))
    rows = rows.assign(
        gate_name=[_named(gate, options) for gate, options in zip(rows["gate"], rows["gate_options"], strict=True)],
        mode_name=rows["mode"].str.replace("_", " + "), device_name=devices(rows), input_name=inputs(rows),
        batch_name=[f"B = {batch}" for batch in rows["batch"]], seed_name=["none" if is_missing(seed) else str(int(seed)) for seed in rows["seed"]],
    )  # fmt: skip
    rows = rows.fillna(dict.fromkeys(("dtype", "mode_name", "cache", "launch", "side"), "unknown"))
    return list(_split(rows))


def _split(rows: pd.DataFrame) -> Iterator[Slice]:
    columns = list(CHOICES.values())
    places = {"gate_name": {name: place for place, name in enumerate(dict.fromkeys(rows["gate_name"]))}}
    groups = dict(list(rows.groupby(columns, sort=False, dropna=False)))
    several = {choice for choice, column in CHOICES.items() if rows[column].nunique() > 1}
    for values in sorted(groups, key=lambda values: _order(dict(zip(columns, values, strict=True)), places)):
        keys = dict(zip(CHOICES, map(str, values), strict=True))
        yield Slice(keys, _title(keys, several), groups[values])


def _order(values: Mapping[str, Any], places: Mapping[str, Mapping[str, int]]) -> list[tuple]:
    found: list[tuple] = []
    for column, value in values.items():
        known = places.get(column) or {name: place for place, name in enumerate(_FIRST.get(column, ()))}
        found.append((known.get(value, len(known)), natural(str(value))))
    return found


def _title(keys: Mapping[str, str], several: set[str]) -> str:
    told = [keys[name] for name in _ALWAYS]
    told += [_PHRASES[name].format(keys[name]) for name in CHOICES if name not in _ALWAYS and name in several]
    return " · ".join(word for word in told if word)


def _named(gate: str, options: str | None) -> str:
    return f"{gate} ({label})" if (label := options_label(options)) else gate


class SamplesByCase:
    """The samples of single cases, found without a search through all of them."""

    def __init__(self, samples: pd.DataFrame) -> None:
        self._samples = samples
        self._places = samples.groupby("case_id", sort=False).indices if len(samples) else {}

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the samples of these measurements' cases, in the order of the cases."""
        found = [place for case in dict.fromkeys(rows["case_id"]) for place in self._places.get(case, ())]
        return self._samples.iloc[found]

"""A run's measurements in slices: what is alike in all but sizes T, H and who competes, as one figure shows it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gatebench.report.names import USUAL_DTYPES, USUAL_MODES, devices, gate_names, inputs, natural
from gatebench.report.quantities import is_missing

# Choice -> column; in the order of the select boxes.
CHOICES = {
    "Gate": "gate_name", "Mode": "mode_name", "Dtype": "dtype", "Device": "device_name", "Batch size": "batch_name", "Input size": "input_name",
    "Cache": "cache", "Launch": "launch", "Side": "side", "Seed": "seed_name",
}  # fmt: skip
# Values that come first, and that a title need not name.
_FIRST: dict[str, tuple[str, ...]] = {
    "mode_name": tuple(mode.replace("_", " + ") for mode in USUAL_MODES), "dtype": USUAL_DTYPES, "input_name": ("I = H",),
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


def slices(measurements: pd.DataFrame, along: str = "") -> list[Slice]:
    """Return the slices of one run: gates as the suite lists them, then modes, dtypes and so on as people sort them.

    along: one of CHOICES that varies within the slices. Rows without sizes, as imported ones may be, are in no slice.
    """
    rows = measurements[measurements[list(SIZES)].notna().all(axis=1)]
    if rows.empty:
        return []
    rows = rows.astype(dict.fromkeys(SIZES, "int64"))
    rows = rows.assign(
        gate_name=gate_names(rows), mode_name=rows["mode"].str.replace("_", " + "), device_name=devices(rows), input_name=inputs(rows),
        batch_name=[f"B = {batch}" for batch in rows["batch"]], seed_name=["none" if is_missing(seed) else str(int(seed)) for seed in rows["seed"]],
    )  # fmt: skip
    rows = rows.fillna(dict.fromkeys(("dtype", "mode_name", "cache", "launch", "side"), "unknown"))
    return list(_split(rows, {choice: column for choice, column in CHOICES.items() if choice != along}))


def _split(rows: pd.DataFrame, choices: Mapping[str, str]) -> Iterator[Slice]:
    columns = list(choices.values())
    places = {"gate_name": {name: place for place, name in enumerate(dict.fromkeys(rows["gate_name"]))}}
    groups = dict(list(rows.groupby(columns, sort=False, dropna=False)))
    several = {choice for choice, column in choices.items() if rows[column].nunique() > 1}
    for values in sorted(groups, key=lambda values: _order(dict(zip(columns, values, strict=True)), places)):
        keys = dict(zip(choices, map(str, values), strict=True))
        yield Slice(keys, _title(keys, several), groups[values])


def _order(values: Mapping[str, Any], places: Mapping[str, Mapping[str, int]]) -> list[tuple]:
    found: list[tuple] = []
    for column, value in values.items():
        known = places.get(column) or {name: place for place, name in enumerate(_FIRST.get(column, ()))}
        found.append((known.get(value, len(known)), natural(str(value))))
    return found


def _title(keys: Mapping[str, str], several: set[str]) -> str:
    told = [keys[name] for name in _ALWAYS if name in keys]
    told += [_PHRASES[name].format(keys[name]) for name in keys if name not in _ALWAYS and name in several]
    return " · ".join(word for word in told if word)


class BlocksByCase:
    """The blocks of single cases, found without a search through all of them."""

    def __init__(self, blocks: pd.DataFrame) -> None:
        self._blocks = blocks
        self._places = blocks.groupby("case_id", sort=False).indices if len(blocks) else {}

    def of(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return the blocks of these measurements' cases, in the order of the cases."""
        found = [place for case in dict.fromkeys(rows["case_id"]) for place in self._places.get(case, ())]
        return self._blocks.iloc[found]

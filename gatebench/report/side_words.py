"""Two sides as people read them: names of cases and groups, effects with interval and n, outcomes, tables."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from gatebench.analyze.sides import CHANGE, Sides
from gatebench.report.ci.words import change_text, size_text, verdict_word
from gatebench.report.names import competitors, devices, options_label
from gatebench.report.quantities import estimate_text, is_missing, significant, times_text
from gatebench.report.table import shape_label
from gatebench.store.schema import FAILURES
from gatebench.words import counted

MEASURES = {"speedup": "speed-up of B over A", "change": "change from A to B"}
TIMES = ("time", "compile")  # quantities in ns
SIZES = ("batch", "seq_len", "input_size", "hidden_size")
_MANY = 6  # names in a cell
_UNUSUAL = (("cache", "hot"), ("launch", "eager"), ("harness", "worker"), ("about_side", "run"))


def effect_text(value: Any, low: Any, high: Any, measure: str, quantity: str = "time") -> str:
    """Return `1.42× (1.38 to 1.46)` or `+3.2 % [2.6, 3.9]`; a dash where there is no value.

    A time without an interval says so; what was counted exactly needs none.
    """
    text = change_text(value, low, high) if measure == CHANGE else times_text(value, low, high)
    unsure = quantity in TIMES and not is_missing(value) and (is_missing(low) or is_missing(high))
    return f"{text} (no interval)" if unsure else text


def blocks_text(row: Any) -> str:
    """Return what n is: `5 pairs of blocks`, or `3 and 5 blocks` of A and B; a dash where nothing was timed."""
    if not is_missing(row.pairs):
        return counted(row.pairs, "pair") + " of blocks"
    counts = [None if is_missing(count) else int(count) for count in (row.blocks_a, row.blocks_b)]
    if is_missing(row.value) or None in counts:
        return "–"
    return f"{counts[0]} and {counts[1]} blocks"


def amount_text(amount: Any, low: Any, high: Any, quantity: str) -> str:
    """Return what one side measured of a quantity with its interval; a dash where it measured nothing."""
    if is_missing(amount):
        return "–"
    if quantity == "time":
        return estimate_text(amount, low, high)
    if quantity == "compile":
        return estimate_text(amount, None, None).removesuffix(" (no interval)")
    return size_text(amount) if quantity.endswith("_bytes") else significant(amount, 2)


def outcome_text(outcome: str, quantity: str = "time") -> str:
    """Return an outcome in words."""
    return verdict_word(quantity, outcome).replace("_", " ")


def group_names(rows: pd.DataFrame) -> pd.Series:
    """Name the group of each row: gate with options and mode, and dtype, device and what is unusual where rows differ.

    Columns: ABOUT of gatebench.analyze.sides (`about_side`, or `side` in its means).
    """
    rows = rows.rename(columns={"side": "about_side"})
    rows = rows.assign(device_text=devices(rows))
    differing = [name for name in ("dtype", "device_text") if rows[name].nunique(dropna=False) > 1]
    several = [(name, usual) for name, usual in _UNUSUAL if name in rows and rows[name].nunique(dropna=False) > 1]
    columns = ["gate", "gate_options", "mode", *differing, *(name for name, _ in several)]
    names = []
    for row in rows[columns].astype(object).itertuples():
        options = "" if is_missing(row.gate) else options_label(row.gate_options)
        words = [
            "not measured" if is_missing(row.gate) else f"{row.gate}{f' ({options})' if options else ''}",
            _plus(row.mode),
            *(getattr(row, name) for name in differing),
            *(f"{name.removeprefix('about_')} {getattr(row, name)}" for name, usual in several if getattr(row, name) != usual),
        ]  # fmt: skip
        names.append(", ".join(str(word) for word in words if not is_missing(word) and word))
    return pd.Series(names, index=rows.index, dtype=object)


def _plus(mode: Any) -> Any:
    return mode.replace("_", " + ") if isinstance(mode, str) else mode


def case_names(rows: pd.DataFrame, who: bool | None = None) -> pd.Series:
    """Name each row within its group: competitor where there are several (or `who`), and shape; its key where its sizes are not known."""
    names = competitors(rows)
    who = names[rows["gate"].notna()].nunique() > 1 if who is None else who
    seeds = rows["seed"].nunique() > 1
    found = []
    for name, row in zip(names, rows[["key", "gate", "seed", *SIZES]].astype(object).itertuples(), strict=True):
        if any(is_missing(getattr(row, column)) for column in ("gate", *SIZES)):
            found.append(str(row.key))
            continue
        seed = f"seed {int(row.seed)}" if seeds and not is_missing(row.seed) else ""
        found.append(" ".join(word for word in (name if who else "", shape_label(row), seed) if word))
    return pd.Series(found, index=rows.index, dtype=object)


def shown_rows(sides: Sides, quantity: str = "time") -> pd.DataFrame:
    """Return the rows that have a number as a table of text: case, effect with interval, n, outcome, both sides, why."""
    rows = sides.rows[sides.rows["value"].notna()]
    columns: dict[str, Callable[[Any], str]] = {
        f"{MEASURES[sides.measure]} (95 %)": lambda row: effect_text(
            row.value, row.low, row.high, sides.measure, quantity
        ),
        "verdict" if sides.judged else "outcome": lambda row: outcome_text(row.outcome, quantity),
        "n": blocks_text,
        "A": lambda row: amount_text(row.amount_a, row.low_a, row.high_a, quantity),
        "B": lambda row: amount_text(row.amount_b, row.low_b, row.high_b, quantity),
    }
    if sides.judged:
        columns["detectable"] = lambda row: change_text(row.detectable, None, None).removeprefix("+")
    columns["why"] = lambda row: "" if is_missing(row.reason) else str(row.reason)
    told = list(
        rows.astype(object).itertuples()
    )  # once, and of plain objects: of the arrays behind, each cell takes long
    cells = {name: [text(row) for row in told] for name, text in columns.items()}
    return pd.DataFrame({"gate, mode": group_names(rows), "case": case_names(rows), **cells}).reset_index(drop=True)


def without_number(sides: Sides, quantity: str = "time") -> pd.DataFrame:
    """Return the cases without a number, one row per implementation, outcome and reason: how many, why, where; failures first.

    where: all their gates, modes and shapes.
    """
    rows = sides.rows[sides.rows["value"].isna()]
    order = rows["outcome"].map({name: place for place, name in enumerate(FAILURES)}).fillna(len(FAILURES))
    table = pd.DataFrame(
        {
            "implementation": competitors(rows).where(rows["gate"].notna(), "–"),
            "outcome": [outcome_text(str(word), quantity) for word in rows["outcome"]],
            "why": rows["reason"].fillna(""), "order": order, "cases": 1, "gate": rows["gate"], "mode": rows["mode"].map(_plus),
            "shape": case_names(rows, who=False),
        }
    ).sort_values("order", kind="stable")  # fmt: skip
    gathered = table.groupby(["implementation", "outcome", "why"], sort=False)
    found = gathered.agg({"cases": "size", "gate": _listed, "mode": _listed, "shape": _listed}).reset_index()
    found["where"] = [" · ".join(word for word in words if word) for words in zip(found["gate"], found["mode"], found["shape"], strict=True)]  # fmt: skip
    return found[["implementation", "outcome", "cases", "why", "where"]]


def _listed(names: pd.Series) -> str:
    """Return names once each, as many as a cell can hold."""
    distinct = [str(name) for name in dict.fromkeys(names.dropna())]
    more = f", … and {len(distinct) - _MANY} more" if len(distinct) > _MANY else ""
    return ", ".join(distinct[:_MANY]) + more

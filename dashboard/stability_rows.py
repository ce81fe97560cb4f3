"""The rows of a run's stability that its page shows: chosen by filters, at one T, H and training step or along them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from dashboard.filters import Filters, largest_first, ordered, text
from gatebench.own_files import short_name
from gatebench.report.names import DTYPES, by_value
from gatebench.report.stability import BY_STEP, gate_names
from gatebench.report.stability_series import SIZES, sweep_axes

SEVERAL = (("gates", "Gates", "gate"), ("init", "Initialisation", "init"), ("chain_dtype", "Dtype", "dtype"))
ONE = (
    ("task", "Task", "task"), ("inputs", "Inputs", "inputs"), ("stability_batch", "Batch size B", "batch"),
)  # fmt: skip
SHAPE = (("seq_len", "T (sequence length)", "seq_len"), ("hidden_size", "H (hidden size)", "hidden_size"))
GRADIENTS = (
    ("train_step", "Training step", "train_step", largest_first), ("probe", "Probe", "probe", ordered("ones")),
)  # fmt: skip
AXES = {"seq_len": "T", "hidden_size": "H", "train_step": "training step"}  # in the URL; a form of init as it is
TOLD = [  # columns that filters choose by
    "gate", "options", "init", "inputs", "dtype", "seq_len", "hidden_size", "batch", "probe", "task", "train_step",
]  # fmt: skip
SWEPT = ("half_life", "largest_lyapunov")  # metrics that a sweep shows


@dataclass(frozen=True)
class Chosen:
    """The chosen gates, inits and dtypes, in order, with one task, kind of inputs and batch size.

    rows: at every T, H, training step and probe; gate says the options, which plain_gate and plain_options keep apart.
    at: which of those is shown where one is (column -> value as text).
    axis: what the sweep goes along, one of `sweep_axes`; None: the rows hold no sweep.
    """

    rows: pd.DataFrame
    at: dict[str, str] = field(default_factory=dict)
    axis: str | None = None

    def here(self, *along: str) -> pd.DataFrame:
        """Return the rows at the chosen T, H, training step and probe, but for the columns in `along`: all of those."""
        keep = np.ones(len(self.rows), dtype=bool)
        for column in self.at.keys() - set(along):
            keep &= self._there[column]
        return self.rows if keep.all() else self.rows[keep]

    @cached_property
    def _there(self) -> dict[str, np.ndarray]:
        """Which rows are at the chosen place, by column of it."""
        # What came to nothing as a whole has neither probe nor training step, and is said all the same.
        failed = self.rows["status"] != "ok"
        return {
            column: ((by_value(values, text) == self.at[column]) | (failed & values.isna())).to_numpy()
            for column, values in self.rows[list(self.at)].items()
        }

    def told(self) -> list[str]:
        """Return the columns that name a case in a table: gate, and init and dtype unless all rows share them."""
        return ["gate", *(name for name in ("init", "dtype") if self.rows[name].nunique() > 1)]

    def sweep(self) -> pd.DataFrame:
        """Return the rows of the sweep."""
        return self.here(*(name for name in SIZES if name == self.axis))


def choose(filters: Filters, rows: pd.DataFrame) -> Chosen:
    """Let the sidebar choose gates, inits and dtypes (several), and one of all else that differs."""
    number, cases = _cases(rows)
    keys = orders(cases)
    kept = in_order(cases, keys)
    for key, label, column in SEVERAL:
        wanted = filters.many(key, label, sorted(kept[column].unique(), key=keys[column]))
        kept = pd.DataFrame(kept[kept[column].isin(wanted)])
    if kept.empty:
        return Chosen(rows.iloc[:0])
    for key, label, column in ONE:
        kept = filters.slice(kept, key, label, column, order=ordered("none", "normal"))
    chosen = Chosen(_rows_of(kept, rows, number), _choose_place(filters, kept))
    # Asked also where there is no sweep: what the URL still says of another run's is dropped and named.
    axes = _axes(chosen)
    axis = filters.one("against", "Sweep against", axes or ["none"], always=False, words=AXES)
    return Chosen(chosen.rows, chosen.at, axis if axes else None)


def _cases(rows: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Return the number of each row's case, and the cases by number: what filters choose by, for there are few.

    gate says the options, files have the first digits of their hash. lasting: it has values, not only by training step.
    """
    lasting = (rows["status"] == "ok") & ~rows["metric"].isin(BY_STEP)
    told = rows[TOLD].assign(lasting=lasting)
    number = told.groupby(list(told), dropna=False, sort=False).ngroup().to_numpy()
    cases = told[~pd.Series(number).duplicated().to_numpy()].reset_index(drop=True)
    named = {name: by_value(cases[name], short_name) for name in ("init", "inputs")}
    return number, cases.assign(gate=gate_names(cases), **named)


def _rows_of(cases: pd.DataFrame, rows: pd.DataFrame, number: np.ndarray) -> pd.DataFrame:
    """Return the rows of these cases in their order of gate, init and dtype, with names as the cases have them.

    The options then count as told: plain_gate and plain_options keep gate and options apart.
    """
    place = cases.groupby(["gate", "init", "dtype"], sort=False).ngroup().reindex(range(number.max() + 1)).to_numpy()
    order = np.argsort(place[number], kind="stable")[: np.isfinite(place[number]).sum()]  # NaN, of no case, comes last
    found, case = rows.iloc[order], number[order]
    named = {name: cases[name].reindex(range(len(place))).to_numpy()[case] for name in ("gate", "init", "inputs")}
    return found.assign(plain_gate=found["gate"], plain_options=found["options"], options="{}", **named)


def orders(rows: pd.DataFrame) -> dict[str, Callable]:
    """Return how names are sorted: gates as the rows list them, torch's init first, the finest dtype first."""
    return {"gate": ordered(*rows["gate"].unique()), "init": ordered("torch"), "dtype": ordered(*DTYPES)}


def in_order(table: pd.DataFrame, keys: dict[str, Callable]) -> pd.DataFrame:
    """Return a table sorted by gate, init and dtype, and else as it is."""

    def places(column: pd.Series) -> pd.Series:
        return column.map(
            {name: place for place, name in enumerate(sorted(column.unique(), key=keys[str(column.name)]))}
        )

    return table.sort_values(list(keys), key=places, kind="stable")


def _choose_place(filters: Filters, cases: pd.DataFrame) -> dict[str, str]:
    """Choose T, H, training step and probe, those that gradients were looked at with; values as text."""
    at = {}
    for key, label, column in SHAPE:
        cases = filters.slice(cases, key, label, column, always=True, order=largest_first)
        at[column] = text(cases[column].iloc[0])
    cases = pd.DataFrame(cases[cases["lasting"]]) if cases["lasting"].any() else cases
    for key, label, column, order in GRADIENTS:
        cases = filters.slice(cases, key, label, column, order=order)
        at[column] = text(cases[column].iloc[0])
    return at


def _axes(chosen: Chosen) -> list[str]:
    """Return what a sweep can go along with all else as chosen."""
    swept = Chosen(pd.DataFrame(chosen.rows[chosen.rows["metric"].isin(SWEPT)]), chosen.at)
    return [axis for axis in sweep_axes(swept.rows) if axis in sweep_axes(Chosen(swept.rows, chosen.at, axis).sweep())]

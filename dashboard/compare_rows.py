"""What the page Compare reads of runs: their rows and blocks, narrowed by gate, mode, dtype and implementation."""

from dataclasses import dataclass, field

import pandas as pd

from dashboard.filters import Filters, ordered
from dashboard.loading import Store
from dashboard.slices import DTYPES, MODES
from gatebench.analyze.two_runs import Frames
from gatebench.report.names import competitors, options_label

# Filter, label, column: several values each, none chosen means all.
SEVERAL = (
    ("gates", "Gates", "gate_name"), ("modes", "Modes", "mode"), ("dtypes", "Dtypes", "dtype"),
    ("implementation", "Implementations", "implementation"),
)  # fmt: skip
_ORDERS = {"mode": MODES, "dtype": DTYPES}


@dataclass(frozen=True)
class Narrowed:
    """Measurements and blocks of one run or two, narrowed; chosen: column -> values, of what was not left at all."""

    frames: tuple[Frames, ...]
    chosen: dict[str, list[str]] = field(default_factory=dict)

    def words(self) -> list[str]:
        """Return -g, -i, -m and -k of a command that shows these rows; of several dtypes it shows the others, too."""
        found = []
        for flag, column in (("-g", "gate_name"), ("-i", "implementation"), ("-m", "mode")):
            values = self.chosen.get(column, [])
            # A gate's options have no flag: the gate is shown with all of them.
            found += [word for value in dict.fromkeys(name.split(" (")[0] for name in values) for word in (flag, value)]
        dtypes = self.chosen.get("dtype", [])
        return [*found, "-k", f"*/{dtypes[0]}/*"] if len(dtypes) == 1 else found


def measurements(store: Store, run_id: str) -> pd.DataFrame:
    """Return one run's measurements, with gate_name (options and all) and competitor."""
    rows = store.rows("measurements", run_id)
    labels = [options_label(text) for text in rows["gate_options"]]
    names = [f"{gate} ({label})" if label else str(gate) for gate, label in zip(rows["gate"], labels, strict=True)]
    return rows.assign(gate_name=names, competitor=competitors(rows))


def measured_runs(store: Store) -> pd.DataFrame:
    """Return the runs that measured a case, newest first, those with a time before those without."""
    runs = store.runs[store.runs["cases"] > 0]
    return last(runs, runs["timed"] == 0)


def counted(store: Store, runs: pd.DataFrame, column: str) -> pd.Series:
    """Return how many values of a column of the measurements each run has a time of."""
    sql = f"SELECT run_id, count(DISTINCT {column}) AS n FROM measurements WHERE time_ns IS NOT NULL GROUP BY run_id"
    counts = store.questions.frame(sql).set_index("run_id")["n"]
    return runs["run_id"].map(counts).fillna(0)


def last(runs: pd.DataFrame, behind: pd.Series) -> pd.DataFrame:
    """Return runs in their order, those for which `behind` holds behind the others."""
    return runs.iloc[behind.to_numpy().argsort(kind="stable")]


def narrow(filters: Filters, frames: list[Frames], without: tuple[str, ...] = ()) -> Narrowed:
    """Let the sidebar choose gates, modes, dtypes and implementations that either run has; `without`: columns not asked for."""
    rows = pd.concat([frame[0] for frame in frames])
    chosen = {}
    for key, label, column in SEVERAL:
        values = list(dict.fromkeys(str(value) for value in rows[column].dropna()))
        options = sorted(values, key=_ORDERS.get(column) or ordered(*values))
        if column in without or (len(options) < 2 and column != "gate_name"):
            continue
        kept = filters.many(key, label, options)
        if len(kept) < len(options):
            chosen[column] = kept
    return Narrowed(tuple((_kept(measured, chosen), blocks) for measured, blocks in frames), chosen)


def _kept(rows: pd.DataFrame, chosen: dict[str, list[str]]) -> pd.DataFrame:
    for column, values in chosen.items():
        rows = pd.DataFrame(rows[rows[column].isin(values)])
    return rows.reset_index(drop=True)

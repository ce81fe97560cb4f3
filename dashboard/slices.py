"""One slice of a run's measurements for the pages that compare implementations: chosen by filters, as a command too."""

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from dashboard import elements
from dashboard.filters import Filters, ordered
from dashboard.loading import Store, gates_of_runs
from gatebench.report.names import USUAL_DTYPES, USUAL_MODES, devices, gate_names, inputs
from gatebench.report.quantities import is_missing
from gatebench.report.run_commands import run_commands

PROBLEM = ("gate", "gate_options", "mode", "dtype", "device", "threads")  # what cases of one problem share beside sizes
SIZES = ("batch", "seq_len", "input_size", "hidden_size")
MODES = ordered(*USUAL_MODES)
DTYPES = ordered(*USUAL_DTYPES)


@dataclass
class Slice:
    """The chosen rows of one run, and what was chosen: run (a row of Store.runs) and words for a caption.

    every_batch: the rows of all batch sizes, else alike. only: the implementations that were chosen; empty: all. gates: those
    of the run, as the sidebar offers them.
    """

    store: Store
    run: pd.Series
    rows: pd.DataFrame
    words: list[str] = field(default_factory=list)
    every_batch: pd.DataFrame = field(default_factory=pd.DataFrame)
    only: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()

    def blocks(self, rows: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return the blocks of these rows' samples, or of others of the run."""
        blocks = self.store.rows("blocks", self.run["run_id"])
        return blocks[blocks["case_id"].isin((self.rows if rows is None else rows)["case_id"])]

    def environment(self) -> Mapping[str, Any]:
        """Return the environment that the run's manifest holds; nothing where it holds none."""
        found = json.loads(self.store.questions.manifest(self.run["run_id"])).get("environment")
        return found if isinstance(found, dict) else {}

    def like(self, columns: Sequence[str], row: pd.Series | None = None) -> tuple[str, list[Any]]:
        """Return SQL that finds the rows which have these columns as `row` does (as all rows here, where none is given)."""
        first = self.rows.iloc[0] if row is None else row
        # DuckDB takes Python's own values only.
        values = [None if is_missing(value) else value.item() if isinstance(value, np.generic) else value for value in first[list(columns)]]  # fmt: skip
        return " AND ".join(f"{name} IS NOT DISTINCT FROM ?" for name in columns), values

    @property
    def caption(self) -> str:
        """Say what is shown in one line."""
        return " · ".join(self.words)


def choose_run(filters: Filters, runs: pd.DataFrame) -> pd.Series:
    """Let the sidebar choose one of these runs, newest first; times of two machines never meet in one figure."""
    words = dict(zip(runs["run_id"], runs["label"], strict=True))
    about = dict(zip(runs["run_id"], runs["machine"], strict=True))
    run_id = filters.one("run", "Run", list(runs["run_id"]), words=words, about=about)
    return runs[runs["run_id"] == run_id].iloc[0]


def choose_slice(filters: Filters, store: Store, along: str = "") -> Slice | None:
    """Let the sidebar choose run, gate, mode, dtype, device, what else differs, and batch; None: nothing measured.

    along: `batch` where all batch sizes are wanted.
    """
    runs = store.runs[store.runs["sized"] > 0]  # what was imported may have no sizes
    # A run whose every case failed must not hide the newest one that has times.
    runs = runs.iloc[(runs["timed"] == 0).to_numpy().argsort(kind="stable")]
    if runs.empty:
        return None
    _prefer_a_run_with_the_gate(filters, store, runs)
    run = choose_run(filters, runs)
    rows = store.rows("measurements", run["run_id"])
    rows = rows[rows["seq_len"].notna()].astype(dict.fromkeys(SIZES, "int64"))
    rows = rows.assign(gate_name=gate_names(rows), device_text=devices(rows), input_text=inputs(rows))
    gates = tuple(dict.fromkeys(rows["gate_name"]))  # as the suite lists them
    rows = filters.slice(rows, "gate", "Gate", "gate_name", always=True, order=ordered(*gates))
    rows = filters.slice(rows, "mode", "Mode", "mode", always=True, order=MODES)
    rows = filters.slice(rows, "dtype", "Dtype", "dtype", always=True, order=DTYPES)
    rows = filters.slice(rows, "device", "Device", "device_text", always=True)
    rows = filters.slice(rows, "input", "Input size", "input_text", order=ordered("I = H"))
    rows = filters.slice(rows, "cache", "Cache", "cache", order=ordered("hot", "cold"))
    rows = filters.slice(rows, "launch", "Launch", "launch", order=ordered("eager", "graph"))
    rows = filters.slice(rows, "side", "Side", "side", order=ordered("run", "head", "base"))
    rows = filters.slice(rows, "seed", "Seed", "seed")
    every_batch = rows
    if along != "batch":
        rows = filters.slice(rows, "batch", "Batch size B", "batch", always=True)
    first = rows.iloc[0]
    sizes = [first["input_text"]] if along == "batch" else [f"B = {first['batch']}", first["input_text"]]
    words = [first["gate_name"], first["mode"].replace("_", " + "), first["dtype"], first["device_text"], *sizes]
    return Slice(store, run, rows, [*words, run["label"], run["machine"]], every_batch, gates=gates)


def _prefer_a_run_with_the_gate(filters: Filters, store: Store, runs: pd.DataFrame) -> None:
    """Choose the newest run that measured the gate that the URL asks for: the newest of all may be of another one."""
    if not (asked := filters.asked("gate")):
        return
    known = gates_of_runs(store)
    having = set(known.loc[known["measured"] & (known["gate"] == asked.partition(" (")[0]), "run_id"])
    if runs["run_id"].iloc[0] not in having and (found := [run_id for run_id in runs["run_id"] if run_id in having]):
        filters.prefer("run", found[0])


def choose_implementations(filters: Filters, chosen: Slice) -> Slice:
    """Let the sidebar keep some implementations; none chosen means all."""
    every = sorted(set(chosen.rows["implementation"]))
    kept = filters.many("implementation", "Implementations", every)
    rows, every_batch = (frame[frame["implementation"].isin(kept)] for frame in (chosen.rows, chosen.every_batch))
    return replace(chosen, rows=rows, every_batch=every_batch, only=() if len(kept) == len(every) else tuple(kept))


def command_of_run(run: Mapping[Any, Any] | pd.Series, *choice: str) -> str:
    """Return the `gatebench compare` that shows one run (a row of Store.runs), narrowed by the options `choice`, without the store.

    Of two versions, or of one against itself, all of it: such a run takes no choice.
    """
    words = choice if run["purpose"] == "run" else ("--long",)
    return shlex.join(["gatebench", "compare", run["run_id"], *words])


def compare_command(
    chosen: Slice, *, size: str = "T*", hidden: str = "H*", batch: str | None = None, baseline: str | None = None
) -> str:
    """Return the `gatebench compare` that shows these rows; size, hidden and batch are T, H and B as case ids write them."""
    first = chosen.rows.iloc[0]
    device = f"cpu-{int(first['threads'])}" if first["device"] == "cpu" else first["device"]
    shape = f"{size}-{batch or 'B' + str(first['batch'])}-I*-{hidden}"
    glob = f"{first['gate']}/*/{shape}/{first['dtype']}/{device}/{first['mode']}*"
    words = ["-g", first["gate"], "-m", first["mode"], "-k", glob]
    words += [word for name in chosen.only for word in ("-i", name)]
    every = set(chosen.rows["implementation"])
    words += ["--baseline", baseline] if baseline in every else []
    return command_of_run(chosen.run, *words) + elements.store_option()


def commands_to_measure(chosen: Slice, sizes: Iterable[tuple[int, int, int]]) -> list[str]:
    """Return the `gatebench run` commands that measure these (T, H, B) for all else that is chosen, the largest first.

    Asked for are the implementations that have a time here, without those of plugins, whose files a store does not know;
    eager where there are none.
    """
    timed = set(chosen.every_batch.loc[chosen.every_batch["time_ns"].notna(), "implementation"])
    names = sorted(name for name in timed if ":" not in name) or ["eager"]
    first = chosen.rows.iloc[0]
    cases = [
        {**first, "implementation": name, "seq_len": t, "hidden_size": h, "batch": b,
         "input_size": h if first["input_text"] == "I = H" else first["input_size"]}
        for (t, h, b), name in product(sizes, names)
    ]  # fmt: skip
    found, _ = run_commands(pd.DataFrame(cases)) if cases else ([], 0)
    return [shlex.join(words) + elements.store_option() for words, _ in found]

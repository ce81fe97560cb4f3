"""One slice of a run's measurements for the pages that compare implementations: chosen by filters, as a command too."""

import shlex
from dataclasses import dataclass, field

import pandas as pd

from dashboard import elements, loading
from dashboard.filters import Filters, ordered
from dashboard.loading import Store
from gatebench.report.names import devices, inputs, options_label

SIZES = ("batch", "seq_len", "input_size", "hidden_size")
MODES = ordered("forward", "backward", "forward_backward")
DTYPES = ordered("float32", "bfloat16", "float64")


@dataclass
class Slice:
    """The chosen rows of one run, and what was chosen: run (a row of Store.runs) and words for a caption."""

    run: pd.Series
    rows: pd.DataFrame
    words: list[str] = field(default_factory=list)

    def samples(self) -> pd.DataFrame:
        """Return the samples of these rows."""
        samples = loading.table(self.run["path"], "samples")
        return samples[samples["case_id"].isin(set(self.rows["case_id"]))] if len(samples) else samples

    @property
    def caption(self) -> str:
        """Say what is shown in one line."""
        return " · ".join(self.words)


def choose_run(filters: Filters, runs: pd.DataFrame) -> pd.Series:
    """Let the sidebar choose one of these runs, newest first; times of two machines never meet in one figure."""
    words = dict(zip(runs["run_id"], runs["label"], strict=True))
    run_id = filters.one("run", "Run", list(runs["run_id"]), words=words)
    return runs[runs["run_id"] == run_id].iloc[0]


def choose_slice(filters: Filters, store: Store) -> Slice | None:
    """Let the sidebar choose run, gate, mode, dtype, device, batch and what else differs; None: nothing measured."""
    measurements = store.measurements[store.measurements["seq_len"].notna()]  # what was imported may have no sizes
    measurements = measurements.astype(dict.fromkeys(SIZES, "int64"))
    runs = store.runs[store.runs["run_id"].isin(set(measurements["run_id"]))]
    # A run whose every case failed must not hide the newest one that has times.
    timed = set(measurements.loc[measurements["time_ns"].notna(), "run_id"])
    runs = runs.iloc[(~runs["run_id"].isin(timed)).to_numpy().argsort(kind="stable")]
    if runs.empty:
        return None
    run = choose_run(filters, runs)
    rows = measurements[measurements["run_id"] == run["run_id"]]
    rows = rows.assign(gate_name=_gate_names(rows), device_text=devices(rows), input_text=inputs(rows))
    rows = filters.slice(rows, "gate", "Gate", "gate_name", always=True, order=_by_appearance(rows["gate_name"]))
    rows = filters.slice(rows, "mode", "Mode", "mode", always=True, order=MODES)
    rows = filters.slice(rows, "dtype", "Dtype", "dtype", always=True, order=DTYPES)
    rows = filters.slice(rows, "device", "Device", "device_text", always=True)
    rows = filters.slice(rows, "batch", "Batch size B", "batch", always=True)
    rows = filters.slice(rows, "input", "Input size", "input_text", order=ordered("I = H"))
    rows = filters.slice(rows, "cache", "Cache", "cache", order=ordered("hot", "cold"))
    rows = filters.slice(rows, "launch", "Launch", "launch", order=ordered("eager", "graph"))
    rows = filters.slice(rows, "side", "Side", "side", order=ordered("run", "head", "base"))
    rows = filters.slice(rows, "seed", "Seed", "seed")
    first = rows.iloc[0]
    words = [
        first["gate_name"], first["mode"].replace("_", " + "), first["dtype"], first["device_text"],
        f"B = {first['batch']}", first["input_text"], run["label"], run["machine"],
    ]  # fmt: skip
    return Slice(run, rows, words)


def choose_implementations(filters: Filters, chosen: Slice) -> Slice:
    """Let the sidebar keep some implementations; none chosen means all."""
    kept = filters.many("implementation", "Implementations", sorted(set(chosen.rows["implementation"])))
    return Slice(chosen.run, chosen.rows[chosen.rows["implementation"].isin(kept)], chosen.words)


def compare_command(chosen: Slice, *, size: str = "T*", hidden: str = "H*", baseline: str | None = None) -> str:
    """Return the `gatebench compare` that shows these rows; size and hidden are T and H as case ids write them."""
    first = chosen.rows.iloc[0]
    device = f"cpu-{int(first['threads'])}" if first["device"] == "cpu" else first["device"]
    glob = f"{first['gate']}/*/{size}-B{first['batch']}-I*-{hidden}/{first['dtype']}/{device}/{first['mode']}*"
    words = ["gatebench", "compare", chosen.run["run_id"], "-g", first["gate"], "-m", first["mode"], "-k", glob]
    every = set(chosen.rows["implementation"])
    words += ["--baseline", baseline] if baseline in every else []
    return shlex.join(words) + elements.store_option()


def run_command(chosen: Slice, seq_lens: list[int], hidden_sizes: list[int]) -> str:
    """Return the `gatebench run` that measures these sizes for the slice's gate, mode, dtype and batch."""
    first = chosen.rows.iloc[0]
    names = sorted(set(chosen.rows.loc[chosen.rows["time_ns"].notna(), "implementation"])) or ["eager"]
    words = [
        "gatebench", "run", "-g", first["gate"], "-i", ",".join(names), "-m", first["mode"], "--dtype", first["dtype"],
        "--batch", str(first["batch"]), "--seq-len", ",".join(map(str, seq_lens)),
        "--hidden-size", ",".join(map(str, hidden_sizes)),
    ]  # fmt: skip
    words += [] if first["input_text"] == "I = H" else ["--input-size", str(first["input_size"])]
    return shlex.join(words) + elements.store_option()


def _gate_names(rows: pd.DataFrame) -> list[str]:
    pairs = zip(rows["gate"], rows["gate_options"], strict=True)
    return [f"{gate} ({label})" if (label := options_label(options)) else gate for gate, options in pairs]


def _by_appearance(names: pd.Series):
    """Sort gates as the suite lists them."""
    return ordered(*dict.fromkeys(names))

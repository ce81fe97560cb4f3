"""Write stores of thousands of runs in a minute: runs of `tests.synthetic` again and again, under other ids, dates and times."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gatebench.store.schema import TABLES
from tests.synthetic import START, Plan, write_store

MACHINES = ("EPYC 9654", "Threadripper 2990WX", "H200")
# 200 measurements a run, and stability of two gates.
PATTERN = Plan(
    runs=len(MACHINES), machines=MACHINES, gates=("lstm", "gru"), implementations=("eager", "native", "numba"),
    seq_lens=(64, 128, 256, 512), hidden_sizes=(64, 128, 256, 512), suites=("nightly",), stability_seq_lens=(128,),
    modes=("forward", "forward_backward"), failures=True,
)  # fmt: skip
DRIFT = 0.02  # standard deviation of a run's log times, all alike
STEPS = {
    "numba": (0.5, 1.08),
    "eager": (0.8, 0.95),
}  # implementation -> (share of the history, factor of time from there on)


def write_large_store(store: Path, runs: int, pattern: Plan = PATTERN, seed: int = 0) -> list[str]:
    """Write so many runs below `store`, hours apart, on the pattern's machines in turn; returns their ids, oldest first."""
    random = np.random.default_rng(seed)
    pattern_store = store.with_name(store.name + "-pattern")
    folders = [pattern_store / "runs" / run_id for run_id in write_store(pattern_store, pattern)]
    kinds = [(_manifest(folder), (folder / "gates.json").read_bytes(), _tables(folder)) for folder in folders]
    return [_write(store, *kinds[number % len(kinds)], number, number / runs, random) for number in range(runs)]


def _manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def _tables(folder: Path) -> dict[str, pa.Table]:
    return {name: pq.read_table(path) for name in TABLES if (path := folder / f"{name}.parquet").exists()}


def _write(
    store: Path, manifest: dict[str, Any], gates: bytes, tables: dict[str, pa.Table], number: int, age: float,
    random: np.random.Generator,
) -> str:  # fmt: skip
    created = START + timedelta(hours=2 * number)
    run_id = f"{created:%Y%m%dT%H%M%SZ}-{number & 0xFFFF:04x}"
    folder = store / "runs" / run_id
    folder.mkdir(parents=True)
    drift = float(np.exp(random.normal(0, DRIFT)))
    for name, table in tables.items():
        written = _with_column(table, "run_id", pa.repeat(pa.scalar(run_id), len(table)))
        if name in ("measurements", "samples"):
            written = _scaled(written, tables["measurements"], drift, age)
        pq.write_table(written, folder / f"{name}.parquet", compression="zstd")
    (folder / "gates.json").write_bytes(gates)
    about = {
        "run_id": run_id,
        "created_utc": f"{created:%Y-%m-%dT%H:%M:%SZ}",
        "git": {"sha": f"{number:040x}", "dirty": False},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest | about))
    return run_id


def _scaled(table: pa.Table, measurements: pa.Table, drift: float, age: float) -> pa.Table:
    """Return a table with its times as they are in a run of this age, 0 the oldest and 1 the newest."""
    names = dict(zip(measurements["case_id"].to_pylist(), measurements["implementation"].to_pylist(), strict=True))
    factors = {name: factor for name, (since, factor) in STEPS.items() if age >= since}
    factor = np.array([drift * factors.get(names[case], 1.0) for case in table["case_id"].to_pylist()])
    for name in ("time_ns", "ci_low_ns", "ci_high_ns", "min_ns", "wall_ns"):
        if name in table.column_names:
            table = _with_column(table, name, pa.array(table[name].to_numpy() * factor, from_pandas=True))
    return table


def _with_column(table: pa.Table, name: str, values: Sequence[Any] | pa.Array) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values).replace_schema_metadata(table.schema.metadata)


if __name__ == "__main__":
    import sys

    write_large_store(Path(sys.argv[1]), int(sys.argv[2]))

"""Write run folders: built in staging, fsynced, then renamed into place, so that a reader never sees half a run."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gatebench.errors import StoreError
from gatebench.store.schema import SCHEMA_VERSION, TABLES, arrow_schema

Rows = Iterable[Mapping[str, Any]]


def write_run(
    staging: Path, destination: Path, manifest: Mapping[str, Any], gates: Any, tables: Mapping[str, Rows],
    plan: Mapping[str, Any] | None = None,
) -> Path:  # fmt: skip
    """Write manifest.json, gates.json and one parquet per table, then rename the folder to `destination`.

    plan: of an A/B, written as plan.json. `manifest` comes without schema_version and files, which are added here. Returns `destination`.
    Raises StoreError where the folder exists or the file system refuses (read-only, full).
    """
    folder = staging / "folder"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(folder / "gates.json", gates)
        files = {"gates.json": {"sha256": _sha256(folder / "gates.json"), "rows": len(gates)}}
        if plan is not None:
            write_json(folder / "plan.json", plan)
            files["plan.json"] = {"sha256": _sha256(folder / "plan.json"), "rows": 1}
        for name, rows in tables.items():
            path = folder / f"{name}.parquet"
            table = as_table(name, rows)
            pq.write_table(table, path, compression="zstd")
            _fsync(path)
            files[path.name] = {"sha256": _sha256(path), "rows": table.num_rows}
        write_json(folder / "manifest.json", {"schema_version": SCHEMA_VERSION, **manifest, "files": files})
        destination.parent.mkdir(parents=True, exist_ok=True)
        if destination.exists():
            raise StoreError(f"run {destination.name}", "the folder exists", "run folders are never edited")
        folder.rename(destination)
        _fsync(destination.parent)
    except OSError as error:
        raise refused(f"store {destination.parent.parent.name}/", error, staging.name) from error
    return destination


def refused(where: str, error: OSError, run_id: str | None = None) -> StoreError:
    """Build the error for a store that cannot be written, with what becomes of a run that is under way."""
    accepted = "a folder that can be written, on a disk with free space, is accepted"
    kept = f"what was measured is kept: make room, then `gatebench run --resume {run_id}`" if run_id else ""
    return StoreError(
        where, f"cannot write: {error.strerror or error}", accepted, kept or "choose another with --store"
    )


def write_json(path: Path, value: Any) -> None:
    """Write JSON durably: to a temporary file, fsynced, then renamed over `path`."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(value, file, indent=1, ensure_ascii=False, allow_nan=False)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)  # on a full disk even this half would be missed
        raise
    _fsync(path.parent)


def as_table(name: str, rows: Rows) -> pa.Table:
    """Return rows as the Arrow table that is stored; raises ValueError for a column that the table does not have."""
    columns = [column.name for column in TABLES[name]]
    materialized = list(rows)
    unknown = {key for row in materialized for key in row} - set(columns)
    if unknown:
        raise ValueError(f"table {name} has no columns {sorted(unknown)}")
    harnesses = {row["harness"] for row in materialized if row.get("harness")}
    if len(harnesses) > 1:  # whoever compares the rows of a run relies on it
        raise ValueError(f"a run is measured one way, not by {', '.join(sorted(harnesses))}")
    return pa.Table.from_pydict(
        {column: [row.get(column) for row in materialized] for column in columns}, schema=arrow_schema(name)
    )


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

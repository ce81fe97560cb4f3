"""Read a store or one run folder into DataFrames; what cannot be read is named, and the rest still works."""

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from gatebench.errors import StoreError, suggest
from gatebench.store.schema import SCHEMA_VERSION, TABLES, VERSION_KEY, arrow_schema
from gatebench.store.shapes import manifest_fault, plan_fault

FOLDERS = ("runs", "reference")
WORKER = "worker"  # the harness of `gatebench run`, and of runs that name none
_READERS = 4  # threads that read parquets; decoding lets other threads run


@dataclass(frozen=True)
class Run:
    """One run folder: where it is, which half of the store holds it, and its manifest."""

    path: Path
    folder: str
    manifest: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Return the run's id, which is also the folder's name."""
        return self.manifest["run_id"]

    @property
    def purpose(self) -> str:
        """Return what the run is for: run (implementations), ab (two versions) or calibrate (one version against itself)."""
        return self.manifest.get("purpose", "run")

    def plan(self) -> dict[str, Any]:
        """Return the plan of a run of two versions; raises StoreError for any other run, and for a plan of another shape."""
        where = f"run {self.path.name}"
        plan = _json(self.path / "plan.json", where)
        if fault := plan_fault(plan):
            raise StoreError(where, f"plan.json: {fault}", "", "restore or remove the folder")
        return plan

    def gates(self) -> list[dict[str, Any]]:
        """Return the gates of the run as gates.json describes them."""
        return _json(self.path / "gates.json", f"run {self.path.name}")


@dataclass(frozen=True)
class Results:
    """Runs of a store as DataFrames: runs, measurements, samples, accuracy, stability, verdicts.

    Each table is read when first asked for; columns and units as in gatebench.store.schema. A column
    `folder` in `runs` says runs or reference. `problems` names what could not be read, one line each.
    """

    folders: tuple[Run, ...]
    problems: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        newest = f", newest {self.folders[-1].run_id}" if self.folders else ""
        return f"Results({len(self.folders)} runs{newest}, {len(self.problems)} problems)"

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run, newest last."""
        return pd.DataFrame([run_row(run) for run in self.folders], columns=pd.Index(RUN_COLUMNS))

    @cached_property
    def measurements(self) -> pd.DataFrame:
        """One row per case and side."""
        return self._read("measurements")

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row per sample, dropped ones too."""
        return self._read("samples")

    @cached_property
    def accuracy(self) -> pd.DataFrame:
        """One row per case, side and tensor."""
        return self._read("accuracy")

    @cached_property
    def stability(self) -> pd.DataFrame:
        """Gradient-stability metrics in long form."""
        return self._read("stability")

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Verdicts of A/B runs."""
        return self._read("verdicts")

    def require(self, *tables: str) -> None:
        """Read these tables, all of them where none is named; raises StoreError for the first problem."""
        for table in tables or TABLES:
            getattr(self, table)
        if self.problems:
            raise StoreError(*self.problems[0].split(": ", 1))

    def _read(self, table: str) -> pd.DataFrame:
        paths = [run.path / f"{table}.parquet" for run in self.folders if f"{table}.parquet" in run.manifest["files"]]
        with ThreadPoolExecutor(_READERS) as readers:
            found = list(readers.map(lambda path: _table_or_problem(path, table), paths))
        parts = [entry for entry in found if isinstance(entry, pa.Table)]
        self.problems.extend(entry for entry in found if isinstance(entry, str))
        empty = arrow_schema(table).empty_table()
        return pa.concat_tables([empty.replace_schema_metadata(), *parts]).to_pandas()


RUN_COLUMNS = (
    "run_id", "folder", "created_utc", "status", "resumes", "suite", "gatebench_version", "git_sha", "git_dirty",
    "environment_class", "device_name", "seed", "harness",
)  # fmt: skip


def run_row(run: Run) -> dict[str, Any]:
    """Return a run's row of the table `runs`."""
    manifest = run.manifest
    git = manifest.get("git") or {}
    return {
        "run_id": run.run_id,
        "folder": run.folder,
        "created_utc": manifest.get("created_utc"),
        "status": manifest.get("status"),
        "resumes": manifest.get("resumes"),
        "suite": (manifest.get("suite") or {}).get("name"),
        "gatebench_version": manifest.get("gatebench_version"),
        "git_sha": git.get("sha"),
        "git_dirty": git.get("dirty"),
        "environment_class": manifest.get("environment_class"),
        "device_name": (manifest.get("environment") or {}).get("device_name"),
        "seed": manifest.get("seed"),
        "harness": str(manifest.get("harness") or WORKER),
    }


def load(path: str | Path = "results") -> Results:
    """Read a store (or one run folder) and return Results; broken runs are left out and named in `problems`.

    Runs that another run resumes are hidden. Raises StoreError where `path` does not exist, or is the
    runs/ or reference/ of a store.
    """
    path = Path(path)
    if (path / "manifest.json").is_file():
        return Results((read_run(path),))
    check_store(path)
    problems: list[str] = []
    runs: list[Run] = []
    for folder in run_folders(path):
        try:
            runs.append(read_run_of_store(folder))
        except StoreError as error:
            problems.append(str(error))
    resumed = {str(run.manifest.get("resumes")) for run in runs}
    kept = sorted((run for run in runs if run.run_id not in resumed), key=lambda run: run.run_id)
    return Results(tuple(kept), problems)


def check_store(store: Path) -> None:
    """Raise StoreError where a folder does not exist, or is a part of a store."""
    accepted = "a folder with runs/ or reference/"
    if not store.is_dir():
        raise StoreError(f"store {store}", "no such folder", accepted, "run `gatebench run quick`")
    folder = store.resolve()
    if folder.name in FOLDERS and any(folder.glob("*/manifest.json")):
        whole = store.parent if store.name in FOLDERS else store / ".."
        raise StoreError(f"store {store}", f"is the {folder.name}/ of a store", accepted, f"give {whole}")


def run_folders(store: Path) -> list[Path]:
    """Return the run folders of a store, runs/ before reference/, oldest first."""
    found = []
    for name in FOLDERS:
        parent = store / name
        if parent.is_dir():
            # What the folder itself says of its entries: asking each of thousands takes ten times as long.
            with os.scandir(parent) as entries:
                found += [parent / name for name in sorted(entry.name for entry in entries if entry.is_dir())]
    return found


def find_run(store: Path, name: str) -> Run:
    """Return the run with this id (or a unique part of it), `latest`, or at this path; raises StoreError."""
    if (Path(name) / "manifest.json").is_file():
        return read_run(Path(name))
    check_store(store)
    folders = run_folders(store)
    if name == "latest":
        matches = sorted((f for f in folders if (f / "manifest.json").exists()), key=lambda folder: folder.name)[-1:]
    else:
        matches = [folder for folder in folders if name in folder.name]
    if len(matches) != 1:
        what = f"no run {name!r}" if not matches else f"{len(matches)} runs match {name!r}"
        newest = ", ".join(sorted(folder.name for folder in folders)[-3:]) or "none"
        close = suggest(name, [f.name for f in folders])
        next_step = close or ("give more of the id" if matches else "run `gatebench run quick`")
        raise StoreError(f"store {store}", what, f"runs there, newest last: {newest}", next_step)
    return read_run(matches[0])


def read_run(folder: Path) -> Run:
    """Read the manifest of a run folder; raises StoreError where it is missing, broken, of another shape or of a newer schema."""
    where = f"run {folder.name}"
    manifest = _json(folder / "manifest.json", where)
    version = manifest.get("schema_version") if isinstance(manifest, dict) else None
    known = isinstance(version, int) and isinstance(manifest.get("files"), dict)
    if version is None or not known or not isinstance(manifest.get("run_id"), str):
        raise StoreError(where, "manifest.json is not of a GateBench run", "", "move the folder out of the store")
    if version > SCHEMA_VERSION:
        raise StoreError(
            where, f"schema version {version} is newer", f"up to {SCHEMA_VERSION} is accepted", "update gatebench"
        )
    if fault := manifest_fault(manifest):
        raise StoreError(where, f"manifest.json: {fault}", "", "restore or remove the folder")
    return Run(folder, folder.parent.name, manifest)


def read_run_of_store(folder: Path) -> Run:
    """Read the manifest of a run folder of a store; raises StoreError as `read_run` does, and where the folder is a copy."""
    run = read_run(folder)
    if run.run_id != folder.name:
        what = f"holds run {run.run_id}, so it is a copy"
        raise StoreError(f"run {folder.name}", what, "a folder named as its run", "move it out of the store")
    return run


def read_table(path: Path, table: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one parquet of a run, columns as this version knows them, or some of them; raises StoreError where it cannot."""
    where = f"run {path.parent.name}"
    try:
        with pq.ParquetFile(path) as file:
            found = file.read(columns, use_threads=False)  # small files: handing columns to threads takes longer
    except (OSError, pa.ArrowException) as error:
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StoreError(
            where, f"{path.name} cannot be read: {first_line}", "", "restore or remove the folder"
        ) from error
    version = (found.schema.metadata or {}).get(VERSION_KEY)
    if version is None or not version.isdigit():
        raise StoreError(where, f"{path.name} was not written by GateBench", "", "move the folder out of the store")
    if int(version) > SCHEMA_VERSION:
        raise StoreError(where, f"{path.name} has schema version {int(version)}", f"up to {SCHEMA_VERSION} is accepted")
    schema = arrow_schema(table).remove_metadata()
    schema = schema if columns is None else pa.schema([schema.field(name) for name in columns])
    if found.schema.equals(schema):
        return found.replace_schema_metadata()
    known_columns = []
    for name in schema.names:
        if found.schema.names.count(name) > 1:
            raise StoreError(where, f"{path.name}: column {name} comes twice", "", "move the folder out of the store")
        known = found.column(name) if name in found.schema.names else pa.nulls(found.num_rows)
        try:
            known_columns.append(known.cast(schema.field(name).type))
        except pa.ArrowException as error:
            what = f"{path.name}: column {name} holds {known.type}, not {schema.field(name).type}"
            raise StoreError(where, what, "", "move the folder out of the store") from error
    return pa.Table.from_arrays(known_columns, schema=schema)


def _table_or_problem(path: Path, table: str) -> pa.Table | str:
    try:
        return read_table(path, table)
    except StoreError as error:
        return str(error)


def _json(path: Path, where: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StoreError(where, f"{path.name}: {error.strerror}", "", "restore or remove the folder") from error
    except (ValueError, RecursionError) as error:
        raise StoreError(where, f"{path.name} is not JSON: {error}", "", "restore or remove the folder") from error

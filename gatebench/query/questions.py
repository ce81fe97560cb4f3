"""Questions to a store in SQL, answered by DuckDB from the store's index."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from gatebench.errors import StoreError
from gatebench.query.content import KEY, RUNS_SCHEMA, SCHEMAS
from gatebench.query.index import Index

# As gatebench.report.run_facts.place.
_PLACE = "coalesce(nullif(environment_class, ''), 'device ' || nullif(device_name, ''), 'run ' || run_id)"
_MEMORY = "256MB"  # that DuckDB takes for one question; beyond, it uses the disk


class IndexGone(StoreError):
    """Files of the index are there no more, or cannot be read: it was written anew or deleted meanwhile, or is damaged."""


class Questions:
    """Tables of an index: runs (newest last), measurements, accuracy, stability, verdicts, blocks;
    columns as in gatebench.query.content.SCHEMAS; runs also has `place`, the same for runs of one machine, never null.

    Runs that another one resumes are hidden. Threads may ask at the same time. Making and asking raise IndexGone.
    """

    def __init__(self, index: Index) -> None:
        self.index = index
        with _reading():
            self._open()

    def _open(self) -> None:
        index = self.index
        self._database = duckdb.connect(":memory:", config={"memory_limit": _MEMORY, "preserve_insertion_order": True})
        self._keep("_keys", pa.table({KEY: pa.array(sorted(index.keys), pa.string())}))
        source = _source(index.files["runs"])
        if source is None:
            self._keep("_no_runs", RUNS_SCHEMA.empty_table())
        self._database.execute(
            f"CREATE TABLE runs AS SELECT * EXCLUDE manifest, {_PLACE} AS place FROM {source or '_no_runs'} SEMI JOIN _keys USING ({KEY}) ORDER BY run_id"
        )
        self._database.execute("DELETE FROM runs WHERE run_id IN (SELECT resumes FROM runs WHERE resumes IS NOT NULL)")
        shown = self.frame("SELECT count(*) AS n FROM runs")["n"].item()
        only = "" if index.whole and shown == len(index.keys) else f" SEMI JOIN runs USING ({KEY})"
        for table, schema in SCHEMAS.items():
            source = _source(index.files[table])
            if source is None:
                self._keep(table, schema.empty_table())
            else:
                self._database.execute(f"CREATE VIEW {table} AS SELECT * EXCLUDE {KEY} FROM {source}{only}")

    def _keep(self, name: str, content: pa.Table) -> None:
        """Copy a table into the database: what is only registered is unknown to cursors."""
        self._database.register("_given", content)
        self._database.execute(f"CREATE TABLE {name} AS SELECT * FROM _given")
        self._database.unregister("_given")

    def frame(self, sql: str, parameters: Sequence[Any] = ()) -> pd.DataFrame:
        """Return the answer; `?` in the text stand for the parameters, in their order."""
        cursor = self._database.cursor()
        try:
            with _reading():
                return cursor.sql(sql, params=list(parameters)).to_arrow_table().to_pandas()
        finally:
            cursor.close()

    def manifest(self, run_id: str) -> str:
        """Return a run's manifest.json as it was indexed."""
        source = _source(self.index.files["runs"])
        sql = f"SELECT manifest FROM {source} SEMI JOIN runs USING ({KEY}) WHERE run_id = ?"
        return self.frame(sql, [run_id])["manifest"].iloc[0]

    def from_manifests(self, key: str, run_ids: Sequence[str]) -> pd.DataFrame:
        """Return run_id and what each manifest holds under `key`, as JSON text; null where it holds nothing."""
        source = _source(self.index.files["runs"])
        if source is None:
            return pd.DataFrame(columns=pd.Index(["run_id", "value"]))
        sql = f"SELECT run_id, json_extract(manifest, ?)::VARCHAR AS value FROM {source} SEMI JOIN runs USING ({KEY}) WHERE run_id IN (SELECT unnest(?))"
        return self.frame(sql, [f'$."{key}"', list(run_ids)])


@contextmanager
def _reading() -> Iterator[None]:
    """Raise IndexGone where DuckDB finds a file missing (IOException) or damaged."""
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        what = f"cannot be read: {str(error).splitlines()[0]}"
        raise IndexGone(
            "index", what, "it is built anew when it is gone", "delete the folder .index of the store"
        ) from error


def _source(files: Sequence[Path]) -> str | None:
    """Return the files as SQL reads them; None where there are none."""
    if not files:
        return None
    names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in files)
    return f"read_parquet([{names}])"

"""The journal of a run under way: one fsynced file per finished unit, so that SIGKILL loses nothing measured."""

import fcntl
import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatebench.errors import StoreError
from gatebench.store.write import refused, write_json

HEADER = "header.json"


class Journal:
    """The staging folder of one run, locked by the process that writes it."""

    def __init__(self, store: Path, run_id: str) -> None:
        """Create or open `<store>/_staging/<run_id>`; raises StoreError where it is locked or cannot be written."""
        self.run_id = run_id
        self._where = f"store {store.name}/"
        self.folder = store / "_staging" / run_id
        self.entries_folder = self.folder / "journal"
        try:
            self.entries_folder.mkdir(parents=True, exist_ok=True)
            self._lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise refused(f"store {store}", error) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise StoreError(f"run {run_id}", "another process is measuring it", "", "wait for it to end") from error

    def write_header(self, header: Mapping[str, Any]) -> None:
        """Store what the run was asked for; a resume reads it. Where that fails, nothing is left in staging."""
        try:
            write_json(self.folder / HEADER, header)
        except OSError as error:
            self.remove()
            raise refused(self._where, error) from error

    def header(self) -> dict[str, Any]:
        """Return what the run was asked for; raises StoreError where it is missing or broken."""
        try:
            return json.loads((self.folder / HEADER).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise StoreError(
                f"run {self.run_id}", f"{HEADER} cannot be read: {error}", "", "start the run anew"
            ) from error

    def write(self, kind: str, key: str, entry: Mapping[str, Any]) -> None:
        """Store one finished unit durably; kind is `case` or `stability`, key names the unit."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:24]
        try:
            write_json(self.entries_folder / f"{kind}-{digest}.json", {"kind": kind, "key": key, **entry})
        except OSError as error:
            raise refused(self._where, error, self.run_id) from error

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the finished units of a kind; one that the disk damaged counts as not measured."""
        found = []
        for path in sorted(self.entries_folder.glob(f"{kind}-*.json")):
            try:
                found.append(json.loads(path.read_text(encoding="utf-8")))
            except (OSError, ValueError):
                continue  # never half-written, by rename; the unit is measured again
        return found

    def remove(self) -> None:
        """Delete the staging folder of a run that was published."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Give up the lock; the folder stays."""
        self._lock.close()


def staged_runs(store: Path) -> list[str]:
    """Return the ids of runs in staging, oldest first."""
    folder = store / "_staging"
    return sorted(entry.name for entry in folder.iterdir() if (entry / HEADER).is_file()) if folder.is_dir() else []

"""From the journal of an A/B to a run folder with plan.json and verdicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatebench.analyze.verdicts import verdicts
from gatebench.run.publish import manifest, tables_of
from gatebench.run.scrub import scrub_all
from gatebench.store.journal import Journal
from gatebench.store.write import as_table, write_run


def publish_ab(store: Path, journal: Journal, header: Mapping[str, Any], plan: Mapping[str, Any]) -> Path:
    """Write the run folder of what the journal holds and remove the staging folder; returns the folder.

    Verdicts are computed from the tables as they are stored, so that the stored run gives the same ones again.
    """
    tables = tables_of(journal, header)
    plan = {**plan, "sides": scrub_all(plan["sides"])}
    frames = {name: as_table(name, tables[name]).to_pandas() for name in ("measurements", "samples")}
    found = verdicts(plan, frames["measurements"], frames["samples"])
    tables["verdicts"] = found.astype(object).where(found.notna(), None).to_dict("records")
    status = "partial" if plan["interrupted"] else "complete"
    destination = store / "runs" / journal.run_id
    about = manifest(journal.run_id, status, header)
    write_run(journal.folder, destination, about, scrub_all(header["gates"]), tables, plan)
    journal.remove()
    return destination

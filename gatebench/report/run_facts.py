"""What a manifest says of its run, as small tables: facts, what differs from another run's environment, files, plugins.

A manifest may have been edited or written by others: whatever is not of the expected kind reads as not told.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from gatebench.comparable import comparable_facts, differences
from gatebench.report.environment import environment_rows
from gatebench.report.names import date_label
from gatebench.report.quantities import is_missing, significant
from gatebench.store.read import WORKER

NOT_TOLD = "not told"
SHORT_SHA = 12  # digits of a commit
LONGEST = 300  # letters of a value in a table
DECIDES = "times are not comparable"
GRADIENTS_ONLY = "looks at gradients only"
OF_ALL_REQUESTS = ("timeout_s", "memory_mb")  # settings that are not of timing alone
PURPOSES = {"run": "compares implementations", "ab": "compares two versions", "calibrate": "one version against itself"}
Manifest = Mapping[str, Any]


def run_facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Return (what, value) of a run: what it was for, of which code, how it was measured, how long it took.

    What a run has no words for is left out, as are settings of timing where nothing was to be timed.
    """
    suite, git, elapsed = (part(manifest, name) for name in ("suite", "git", "elapsed"))
    purpose = str(manifest.get("purpose") or "run")
    only = gradients_only(manifest)
    settings = {
        name: value
        for name, value in part(manifest, "measure").items()
        if value is not None and (name in OF_ALL_REQUESTS or not only)
    }
    facts = [
        ("run", value_text(manifest.get("run_id"))),
        ("started (UTC)", date_label(manifest.get("created_utc")) or NOT_TOLD),
        ("status", value_text(manifest.get("status"))),
        ("resumes", "no other run" if manifest.get("resumes") is None else value_text(manifest["resumes"])),
        ("took", _elapsed(elapsed)),
        ("purpose", f"{purpose}: {GRADIENTS_ONLY if only else PURPOSES[purpose]}" if purpose in PURPOSES else value_text(purpose)),
        ("measured by", value_text(manifest.get("harness") or WORKER)),
        ("suite", value_text(suite.get("name"))),
        ("why", value_text(part(manifest, "request").get("why"))),
        ("commit", commit_text(git)),
        ("gatebench", value_text(manifest.get("gatebench_version"))),
        ("seed", value_text(manifest.get("seed"))),
        ("measure", ", ".join(f"{name} = {value_text(value)}" for name, value in settings.items()) or NOT_TOLD),
        ("environment class", value_text(manifest.get("environment_class"))),
    ]  # fmt: skip
    return [(what, value) for what, value in facts if value]


def gradients_only(manifest: Manifest) -> bool:
    """Say whether a run looked at gradients, and was to time nothing."""
    asked = part(manifest, "request").get("cases")
    compares = str(manifest.get("purpose") or "run") == "run"
    return (
        compares
        and not asked
        and not stored_rows(manifest, "measurements")
        and bool(stored_rows(manifest, "stability"))
    )


def stored_rows(manifest: Manifest, table: str) -> int | None:
    """Return how many rows a table of the run was stored with; 0 for a table that it has not, None where it does not tell."""
    files = part(manifest, "files")
    if f"{table}.parquet" not in files:
        return 0
    count = part(files, f"{table}.parquet").get("rows")
    return count if isinstance(count, int) else None


def commit_text(git: Mapping[str, Any]) -> str:
    """Return the first digits of a commit, and whether files had changes that no commit holds."""
    sha = value_text(git.get("sha"))[:SHORT_SHA]
    return f"{sha} with uncommitted changes" if git.get("dirty") is True else sha


def _elapsed(elapsed: Mapping[str, Any]) -> str:
    times = [elapsed.get(name) for name in ("total_s", "compile_s")]
    total, compiling = (value if isinstance(value, int | float) else None for value in times)
    if total is None:
        return NOT_TOLD
    return f"{significant(total)} s" + (f", of it {significant(compiling)} s compiling" if compiling else "")


def environment_table(manifest: Manifest) -> pd.DataFrame:
    """Return the environment of a run in words: columns what, value."""
    rows = environment_rows(part(manifest, "environment")).items()
    return pd.DataFrame(rows, columns=pd.Index(["what", "value"]))


def environment_differences(here: Manifest, there: Manifest) -> pd.DataFrame:
    """Return in what two runs' environments differ: columns what, here, there, so.

    What makes the environment classes differ comes first, and `so` says that times are not comparable; for the rest it is
    empty. Where the classes differ and no fact does, the classes themselves are the row.
    """
    one, other = (sound_environment(manifest) for manifest in (here, there))
    decisive = differences(comparable_facts(one), comparable_facts(other))
    names = {name for name, _, _ in decisive}
    classes = here.get("environment_class"), there.get("environment_class")
    if not decisive and classes[0] != classes[1]:
        decisive = [("environment class", *classes)]
    rest = [row for row in differences(one, other) if row[0].removeprefix("versions.") not in names]
    rows = [(name, value_text(mine), value_text(its), DECIDES) for name, mine, its in decisive]
    rows += [(name, value_text(mine), value_text(its), "") for name, mine, its in rest]
    return pd.DataFrame(rows, columns=pd.Index(["what", "here", "there", "so"]))


def sound_environment(manifest: Manifest) -> dict[str, Any]:
    """Return a run's environment, a mapping whose versions are one, as comparable_facts needs it."""
    environment = part(manifest, "environment")
    return {**environment, "versions": part(environment, "versions")}


def place(run_id: str, manifest: Manifest) -> str:
    """Return what runs share that are of one machine: their environment class, of an unknown one the device's name.

    Without both a run is comparable to none.
    """
    found, device = manifest.get("environment_class"), part(manifest, "environment").get("device_name")
    if isinstance(found, str) and found:
        return found
    return f"device {device}" if device else f"run {run_id}"


def file_table(folder: Path, manifest: Manifest) -> pd.DataFrame:
    """Return the files of a run folder: columns file, size, rows, sha256 (its first digits), the manifest's own first."""
    files = part(manifest, "files")
    rows = []
    for name in ["manifest.json", *files]:
        entry = part(files, name)
        count, digest = entry.get("rows"), entry.get("sha256")
        rows.append((value_text(name), _size(folder / name), "–" if count is None else value_text(count), "–" if digest is None else str(digest)[:12]))  # fmt: skip
    return pd.DataFrame(rows, columns=pd.Index(["file", "size", "rows", "sha256"]))


def _size(path: Path) -> str:
    try:
        size = path.stat().st_size
    except (OSError, ValueError):
        return "missing"
    return f"{size:,} bytes" if size < 10_000 else f"{size / 1000:,.0f} kB"


def plugins(manifest: Manifest) -> list[dict[str, str]]:
    """Return the plugins of a run: what they give (name), where they are from, and their text; empty where it was not kept."""
    found = manifest.get("plugins")
    rows = [row for row in found if isinstance(row, Mapping)] if isinstance(found, list) else []
    return [
        {
            "name": value_text(row.get("name")),
            "source": _source(row),
            "text": row["text"] if isinstance(row.get("text"), str) else "",
        }
        for row in rows
    ]


def _source(row: Mapping[str, Any]) -> str:
    package = f"package {row['package']} {row.get('version') or ''}".strip() if row.get("package") else ""
    words = [
        package,
        f"file {row['file']}" if row.get("file") else "",
        f"sha256 {str(row['sha256'])[:12]}" if row.get("sha256") else "",
    ]
    return value_text(", ".join(word for word in words if word) or None)


def suite_text(manifest: Manifest) -> str:
    """Return the text of a run's suite; empty where it had none, as of flags."""
    text = part(manifest, "suite").get("text")
    return text if isinstance(text, str) else ""


def part(mapping: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what a mapping holds under a name, an empty one where that is none."""
    found = mapping.get(name)
    return found if isinstance(found, Mapping) else {}


def value_text(value: Any) -> str:
    """Return a value of a manifest for a table cell: yes and no, lists as JSON, and no more than 300 letters."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_missing(value):
        return NOT_TOLD
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"

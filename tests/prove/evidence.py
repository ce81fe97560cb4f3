"""What was measured, small enough to keep: the page is made from this alone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from rivals import Comparison


@dataclass(frozen=True)
class Evidence:
    """Paired blocks, the other tools' comparisons, verdicts of live jobs, and what ran where and when."""

    blocks: pd.DataFrame
    comparisons: Sequence[Comparison]
    live: pd.DataFrame
    about: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Evidence":
        """Read it from a folder."""
        comparisons = [Comparison(**found) for found in json.loads((folder / "comparisons.json").read_text())]
        about = json.loads((folder / "about.json").read_text())
        return cls(pd.read_csv(folder / "blocks.csv"), comparisons, pd.read_csv(folder / "live.csv"), about)


def write_evidence(folder: Path, evidence: Evidence) -> None:
    """Write it into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    evidence.blocks.to_csv(folder / "blocks.csv", index=False, float_format="%.6g")
    evidence.live.to_csv(folder / "live.csv", index=False, float_format="%.6g")
    (folder / "comparisons.json").write_text(
        json.dumps([comparison.to_json() for comparison in evidence.comparisons], indent=1) + "\n"
    )
    (folder / "about.json").write_text(json.dumps(evidence.about, indent=1) + "\n")

"""Which rows are shown: by gate, implementation, mode, and a glob on case ids. Names that are not there are errors."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from gatebench.errors import UserError, unknown
from gatebench.selection import FAMILY, expand_families, matches_glob
from gatebench.store.read import Run


@dataclass(frozen=True)
class Choice:
    """What is shown of some runs; empty means all. of: what to call the runs in an error."""

    gates: tuple[str, ...] = ()
    implementations: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    glob: str = ""
    of: str = "this run"


def expand_gates(choice: Choice, runs: Iterable[Run]) -> tuple[str, ...]:
    """Return the chosen gates' names; `family:<name>` stands for the runs' gates of that family."""
    families = {gate["name"]: gate["family"] for run in runs for gate in run.gates()}
    choices = [*families, *(FAMILY + family for family in sorted(set(families.values())))]
    where = f"gate of {choice.of}"
    return tuple(expand_families(choice.gates, families, lambda name: unknown("-g", where, name, choices)))


def choose_rows(frame: pd.DataFrame, gates: tuple[str, ...], choice: Choice) -> pd.DataFrame:
    """Return the rows that are shown; gates: from `expand_gates`. Columns: gate, implementation, mode, case_id.

    Raises UserError for a name that the frame does not hold.
    """
    chosen = frame
    for flag, column, wanted in (("-i", "implementation", choice.implementations), ("-m", "mode", choice.modes)):
        for name in wanted:
            if name not in set(frame[column]):
                raise unknown(flag, f"{column} of {choice.of}", name, frame[column].unique())
        if wanted:
            chosen = chosen[chosen[column].isin(wanted)]
    if gates:
        chosen = chosen[chosen["gate"].isin(gates)]
    if choice.glob:
        chosen = chosen[[matches_glob(case_id, choice.glob) for case_id in chosen["case_id"]]]
        if chosen.empty:
            raise UserError(
                "-k",
                f"{choice.glob!r} matches no case of {choice.of}",
                "a glob on case ids",
                "leave -k out to see them",
            )
    return chosen.reset_index(drop=True)

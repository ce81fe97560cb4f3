"""What a suite is once it is read: groups still to be expanded, how to measure, and what the user narrows it to."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gatebench.cases import Case
from gatebench.selection import matches_glob

SIZES = ("batch", "seq_len", "input_size", "hidden_size")


@dataclass(frozen=True)
class Measure:
    """How a suite is measured; every run stores what was used."""

    blocks: int = 3  # fresh worker processes; the unit of statistics
    rounds: int = 10  # samples per block
    sample_ms: float = 20.0  # a sample lasts at least this
    warmup_s: float = 0.3  # first block
    timeout_s: float = 300.0  # of one request
    memory_mb: int = 0  # of one worker; 0: half of the machine's memory, shared by the workers
    error_limit: float | None = (
        None  # error_ratio above which a result is wrong; lowers the dtype's limit, never raises it
    )


@dataclass(frozen=True)
class Suite:
    """A suite as it was read; `cases` and `stability` are groups that are still to be expanded."""

    name: str
    why: str
    seed: int
    measure: Measure
    cases: tuple[Mapping[str, Any], ...]
    stability: tuple[Mapping[str, Any], ...]
    plugins: tuple[Path, ...]
    text: str
    file: str

    @property
    def sha256(self) -> str:
        """Return the hash of the suite's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True)
class Narrowing:
    """What the command line leaves of a suite; empty means everything."""

    gates: tuple[str, ...] = ()
    implementations: tuple[str, ...] = ()
    modes: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ()
    batch: tuple[int, ...] = ()
    seq_len: tuple[int, ...] = ()
    hidden_size: tuple[int, ...] = ()
    threads: tuple[int, ...] = ()
    glob: str = ""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by gate or implementation

    @property
    def chooses(self) -> bool:
        """Say whether anything is left out."""
        wishes = (self.gates, self.implementations, self.modes, self.dtypes, self.batch, self.seq_len, self.hidden_size)
        return any((*wishes, self.threads, self.glob))

    def keeps(self, case: Case) -> bool:
        """Say whether a case is left."""
        shape = case.shape
        pairs = (
            (self.gates, case.gate), (self.implementations, case.implementation), (self.modes, case.mode),
            (self.dtypes, case.dtype), (self.batch, shape.batch), (self.seq_len, shape.seq_len),
            (self.hidden_size, shape.hidden_size), (self.threads, case.threads),
        )  # fmt: skip
        matches = not self.glob or matches_glob(case.case_id, self.glob)
        return matches and all(not wanted or value in wanted for wanted, value in pairs)

    def keeps_request(self, request: Mapping[str, Any]) -> bool:
        """Say whether a stability request of a gate that is left is left, too: by dtype and sizes."""
        wishes = {"dtype": self.dtypes, "batch": self.batch, "seq_len": self.seq_len, "hidden_size": self.hidden_size}
        return all(not wanted or request[key] in wanted for key, wanted in wishes.items())

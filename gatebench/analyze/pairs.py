"""Paired blocks of two sides: what the head took and what the base took in one block, beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gatebench.analyze.statistics import kept_times


@dataclass(frozen=True)
class Pairs:
    """One case's paired blocks of one stage: log(head) - log(base), log(base) in ns, and the share of disturbed samples."""

    differences: np.ndarray
    base_logs: np.ndarray
    disturbed: float

    def __len__(self) -> int:
        return len(self.differences)


_NO_BLOCKS = (np.empty(0), np.empty(0))
NO_PAIRS = Pairs(*_NO_BLOCKS, 0.0)


def pair_blocks(samples: pd.DataFrame, stage: str) -> dict[tuple[str, str], Pairs]:
    """Return the pairs of each (case_id, quantity) in one stage, in the order of blocks.

    A block counts where both sides have kept samples in it. Time: median over its rounds of the difference within a round,
    for what a neighbour does to the core lasts longer than a round, and is shared by its two samples. Compile is the
    first call that found filled caches; empty ones where a case has only that; any where none is known to have compiled.
    """
    # One comparison, whatever run its rows were resumed from: blocks are numbered through.
    samples = samples[(samples["stage"] == stage).to_numpy()].reset_index(drop=True).assign(run_id="")
    dropped = samples["dropped"].astype("boolean").fillna(False).astype(bool)
    times = samples["quantity"] == "time"
    disturbed = dropped | samples["reason"].notna()  # those that were kept for want of quieter ones, too
    shares = disturbed[times].groupby(samples.loc[times, "case_id"]).mean()
    timed = _differences(kept_times(samples), within=["round"])
    found = {
        (str(case), "time"): Pairs(*timed.get(str(case), _NO_BLOCKS), float(share)) for case, share in shares.items()
    }
    for quantity in ("first_call", "compile_cold", "compile_warm"):  # the last that a case has
        kept = samples[((samples["quantity"] == quantity) & ~dropped).to_numpy()]
        for case, (differences, base_logs) in _differences(kept).items():
            found[case, "compile"] = Pairs(differences, base_logs, 0.0)
    return found


def _differences(kept: pd.DataFrame, within: Sequence[str] = ()) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return each case's medians of head - base and of base, in log ns, by block; paired in a block, or within more."""
    logs = kept.assign(log_ns=np.log(kept["wall_ns"].to_numpy(dtype=float)))
    sides = logs.groupby(["case_id", "block", *within, "side"])["log_ns"].median().unstack("side")
    both = sides.reindex(columns=["base", "head"]).dropna()
    pairs = pd.DataFrame({"difference": both["head"] - both["base"], "base": both["base"]})
    blocks = pairs.groupby(level=["case_id", "block"]).median()
    cases = blocks.groupby(level="case_id", sort=False)
    return {str(case): (rows["difference"].to_numpy(), rows["base"].to_numpy()) for case, rows in cases}

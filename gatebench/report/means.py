"""Geometric means of speed-ups as a table: a row per group and competitor, with wins and losses."""

import pandas as pd

from gatebench.analyze.compare import geometric_means
from gatebench.errors import unknown
from gatebench.report.names import competitors, options_label
from gatebench.report.table import Block, speedup_text

# What `--by` may name: columns of a measurement that several problems share.
GROUPS = (
    "gate", "gate_options", "family", "implementation", "mode", "dtype", "device", "threads", "batch", "seq_len", "input_size", "hidden_size",
)  # fmt: skip


def check_groups(by: tuple[str, ...]) -> list[str]:
    """Return the columns to group by, once each; raises UserError for any other name."""
    for name in by:
        if name not in GROUPS:
            raise unknown("--by", "column", name, GROUPS)
    return list(dict.fromkeys(by))


def means_block(compared: pd.DataFrame, samples: pd.DataFrame, by: list[str]) -> Block:
    """Return the geometric means over the problems of each group, groups in the order of the run."""
    means = geometric_means(compared, samples, by)
    means = means.assign(competitor=competitors(means))
    if by:
        means = means.iloc[means.groupby(by, sort=False, dropna=False).ngroup().argsort(kind="stable")]
    shown = [name for name in by if name != "implementation"]
    rows = []
    for mean in means.itertuples(index=False):
        unsure = f", {mean.inconclusive} inconclusive" if mean.inconclusive else ""
        cells = (options_label(mean.gate_options) if name == "gate_options" else getattr(mean, name) for name in shown)
        rows.append((
            *map(str, cells), mean.competitor, mean.baseline, speedup_text(mean.geometric_mean, mean.low, mean.high),
            f"{mean.problems}", f"{mean.wins} won, {mean.losses} lost{unsure}",
        ))  # fmt: skip
    notes = () if rows else ("nothing has a speed-up: a second implementation with a time is needed",)
    header = (*shown, "competitor", "over", "geometric mean", "problems", "won, lost")
    return Block("Geometric means of speed-ups", header if rows else (), tuple(rows), notes, names=len(shown) + 2)

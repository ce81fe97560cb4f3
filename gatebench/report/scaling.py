"""Points of scaling lines: one per competitor and size, the time divided by what was asked for, what is missing in words."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gatebench.report.names import TOKEN_FAMILIES, competitors
from gatebench.report.quantities import significant, time_text, times_text

AXES = {"seq_len": "T (sequence length, steps)", "hidden_size": "H (hidden size)", "batch": "B (batch size)"}
POINT_COLUMNS = (
    "case_id", "competitor", "implementation", "size", "value", "low", "high", "blocks", "samples", "status", "reason", "time_ns",
    "flops", "bytes_min", "bound",
)  # fmt: skip
NO_VALUE = "no such number"  # the status of what has a time, and nothing to divide it by
NO_TIME = "no time"  # the status of what is right, and was not timed, as a head whose base failed
TIME, SHARE, SPEEDUP = "time", "share", "speed-up"


@dataclass(frozen=True)
class Per:
    """What a line shows: `title` of its axis, `kind` (TIME, SHARE or SPEEDUP), why a case with a time may have no such number."""

    title: str
    kind: str = TIME
    without: str = ""

    def text(self, value: float) -> str:
        """Return a value as text, with its unit."""
        if self.kind == SHARE:
            return "–" if value != value else f"{significant(100 * value)} %"
        return times_text(value) if self.kind == SPEEDUP else time_text(value)


PER = {
    "call": Per("time of one call"),
    "step": Per("time per step"),
    "token": Per("time per token (one step of one sequence)", without="B × T of this family are no tokens"),
    "flop": Per("time per 10⁹ model FLOP", without="the gate has no model of its FLOPs"),
    "byte": Per("time per GB that must move", without="the gate has no model of its bytes"),
    "ceiling": Per("share of the machine's measured ceiling", SHARE, "this run measured no ceiling for it"),
    "baseline": Per("speed-up over the baseline", SPEEDUP, "the baseline has no time here"),
}
_GIVEN = {  # columns that somebody else computes: analyze.ceilings and analyze.compare
    "ceiling": ("share", "share_low", "share_high"),
    "baseline": ("speedup", "speedup_low", "speedup_high"),
}
_TIMES = ("time_ns", "ci_low_ns", "ci_high_ns")


def scaling_points(measurements: pd.DataFrame, axis: str = "seq_len", per: str = "call") -> pd.DataFrame:
    """Return one row per competitor and measured size, those nobody measured included.

    measurements: the rows of one slice, where only `axis` (one of AXES) and the competitor vary; columns case_id, implementation,
    implementation_options, family, batch, seq_len, hidden_size, time_ns, ci_low_ns, ci_high_ns, blocks, samples, status, reason; for
    `flop` and `byte` flops and bytes_min; for `ceiling` those of analyze.ceilings, for `baseline` those of analyze.compare.
    Columns returned: case_id (null where nobody measured), competitor, implementation, size; value with its 95 % interval low, high (ns per call; per step = call / T,
    per token = call / (B T), per 10⁹ FLOP, per 10⁹ bytes; or the share, or the speed-up); blocks, samples, status (also
    `not measured`, NO_VALUE for what has a time and no value, and NO_TIME for what is ok without one), reason, time_ns, flops, bytes_min, bound.
    """
    rows = measurements.assign(competitor=competitors(measurements), size=measurements[axis].astype(int))
    divisor = None if per in _GIVEN else _divisor(rows, per)
    for name, source in zip(("value", "low", "high"), _GIVEN.get(per, _TIMES), strict=True):
        values = rows[source].astype(float)
        rows[name] = (values if divisor is None else values / divisor).where(rows["time_ns"].notna())
    lost = rows["time_ns"].notna() & rows["value"].isna()
    rows.loc[lost, "status"], rows.loc[lost, "reason"] = NO_VALUE, PER[per].without
    untimed = rows["time_ns"].isna() & rows["status"].eq("ok")
    rows.loc[untimed, "status"], rows.loc[untimed, "reason"] = NO_TIME, "its result is right; it was not timed"
    points = rows.reindex(columns=list(POINT_COLUMNS))
    absent = _not_measured(points)
    points = pd.concat([points, absent]) if len(absent) else points
    return points.sort_values(["competitor", "size"], ignore_index=True)


def _divisor(rows: pd.DataFrame, per: str) -> pd.Series:
    if per == "flop":
        found = rows["flops"].astype(float) / 1e9
    elif per == "byte":
        found = rows["bytes_min"].astype(float) / 1e9
    elif per == "token":
        found = (rows["seq_len"] * rows["batch"]).astype(float).where(rows["family"].isin(TOKEN_FAMILIES))
    else:
        found = rows["seq_len"].astype(float) if per == "step" else pd.Series(1.0, index=rows.index)
    return found.replace(0.0, np.nan)


def _not_measured(points: pd.DataFrame) -> pd.DataFrame:
    names = points.drop_duplicates("competitor")[["competitor", "implementation"]]
    every = names.merge(points[["size"]].drop_duplicates(), how="cross")
    seen = set(zip(points["competitor"], points["size"], strict=True))
    absent = [pair not in seen for pair in zip(every["competitor"], every["size"], strict=True)]
    missing = every[absent].assign(status="not measured", reason="nobody asked for this case")
    return missing.reindex(columns=points.columns).astype(dict.fromkeys(("value", "low", "high", "time_ns"), float))

"""What Scaling shows as text: growth with a size, crossovers, the numbers of the figure, and who has no value and why."""

import pandas as pd

from gatebench.analyze.scaling import LEAST_SIZES
from gatebench.report.names import competitors
from gatebench.report.quantities import estimate_text, is_missing, significant, times_text
from gatebench.report.scaling import PER, Per

SPEEDUP = ["baseline_case_id", "speedup", "speedup_low", "speedup_high"]
# Of a case, beside what points of report.scaling hold.
DESCRIBED = [
    "case_id", "run_id", "gate", "gate_options", "mode", "dtype", "device", "threads", "batch", "seq_len", "input_size",
    "hidden_size", "ci_low_ns", "ci_high_ns",
]  # fmt: skip
# Columns of what is shown in place of times and speed-ups, which have their own.
SHOWN_AS = {
    per: (f"{name}", f"{name}_low", f"{name}_high")
    for per, name in (
        ("step", "ns_per_step"), ("token", "ns_per_token"), ("flop", "ns_per_gflop"), ("byte", "ns_per_gb"),
        ("ceiling", "share_of_ceiling"),
    )
}  # fmt: skip
AXIS_WORDS = {"seq_len": "T", "hidden_size": "H", "batch": "B"}
LINES = (
    "Lines: mean over blocks of the block medians. Bands: 95 % intervals, Student's t over blocks of fresh processes."
)


def growth_note(axis: str) -> str:
    """Say what the exponents of `growth` are, and what they are not."""
    return (
        f"p: least squares of log time over log {AXIS_WORDS[axis]}, in each block; its interval is Student's t over blocks. It says "
        "how sure the slope is; the last column says how far a time lies off the line, where time follows no power law."
    )


def no_crossovers(axis: str) -> str:
    """Say that no crossover was found, and what one takes."""
    return f"No two lines are told to cross: that takes intervals that exclude 1 at two {AXIS_WORDS[axis]}, in both directions."


def growth(fits: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return the exponents of analyze.scaling.fitted_exponents as text."""
    word = AXIS_WORDS[axis]
    return pd.DataFrame(
        {
            "implementation": competitors(fits),
            f"time ∝ {word}ᵖ, p (95 %)": [_exponent(row) for row in fits.itertuples()],
            "sizes": [f"{row.sizes} ({word} = {row.smallest} to {row.largest})" for row in fits.itertuples()],
            "blocks": ["–" if is_missing(row.exponent) else str(row.blocks) for row in fits.itertuples()],
            "off the line by at most": [
                "–" if is_missing(row.worst) else f"{significant(100 * (row.worst - 1), 2)} %"
                for row in fits.itertuples()
            ],
        }
    )


def _exponent(row) -> str:
    if row.sizes < LEAST_SIZES:
        return f"not fitted: fewer than {LEAST_SIZES} sizes"
    if is_missing(row.low):
        return f"{row.exponent:.2f} (no interval: {'one block' if row.blocks == 1 else 'no block holds all sizes'})"
    return f"{row.exponent:.2f} ({row.low:.2f} to {row.high:.2f})"


def crossover_table(crossings: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return the crossovers of analyze.scaling as text, the smallest size first."""
    others = crossings[["other", "other_options"]].set_axis(["implementation", "implementation_options"], axis=1)
    word = AXIS_WORDS[axis]
    return pd.DataFrame(
        {
            f"faster at smaller {word}": competitors(crossings),
            f"faster at larger {word}": competitors(others),
            f"cross at {word}": [f"about {significant(row.size)}" for row in crossings.itertuples()],
            "told apart at": [f"{row.below} and {row.above}" for row in crossings.itertuples()],
            "by": [
                f"{times_text(row.advantage_below)} and {times_text(row.advantage_above)}"
                for row in crossings.itertuples()
            ],
        }
    )


def timed_rows(compared: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return the rows with a time by size, the fastest first; columns competitor and size added."""
    rows = compared.assign(competitor=competitors(compared), size=compared[axis].astype(int))
    return rows[rows["time_ns"].notna()].sort_values(["size", "time_ns"])


def numbers(rows: pd.DataFrame, points: pd.DataFrame, axis: str, per: str, baseline: str | None) -> pd.DataFrame:
    """Return what the figure shows as text, a row for each of `timed_rows`; points: of report.scaling."""
    table = {
        AXIS_WORDS[axis]: rows["size"],
        "implementation": rows["competitor"],
        "time of one call (95 %)": [estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns) for row in rows.itertuples()],
    }  # fmt: skip
    if per not in ("call", "baseline"):
        found = points.drop_duplicates(["competitor", "size"]).set_index(["competitor", "size"])
        values = found.loc[list(zip(rows["competitor"], rows["size"], strict=True))]
        table[f"{PER[per].title} (95 %)"] = [_value(row, PER[per]) for row in values.itertuples()]
    speedup = f"speed-up over {baseline or 'the baseline'} (95 %)"
    counts = {
        name: ["–" if is_missing(count) else str(int(count)) for count in rows[name]] for name in ("blocks", "samples")
    }
    return pd.DataFrame({**table, speedup: [_speedup(row) for row in rows.itertuples()], **counts})


def shown_data(compared: pd.DataFrame, points: pd.DataFrame, axis: str, per: str) -> pd.DataFrame:
    """Return what the figure shows as rows to download, units in the names; what has no value has its status and reason."""
    rows = compared[[*(name for name in DESCRIBED if name in compared), *SPEEDUP]]
    names = {"size": axis, **dict(zip(("value", "low", "high"), SHOWN_AS.get(per, ()), strict=False))}
    kept = points.drop(columns=[] if per in SHOWN_AS else ["value", "low", "high"]).rename(columns=names)
    without = [name for name in kept if name in rows and name != "case_id"]
    return kept.merge(rows.drop(columns=without), on="case_id", how="left")


def _speedup(row) -> str:
    if row.case_id == row.baseline_case_id:
        return "–"
    return times_text(row.speedup, row.speedup_low, row.speedup_high) + (" ?" if row.speedup_inconclusive else "")


def _value(row, per: Per) -> str:
    if is_missing(row.value):
        return f"– ({row.reason})"
    if is_missing(row.low) or is_missing(row.high):
        return f"{per.text(row.value)} (no interval)"
    return f"{per.text(row.value)} ({per.text(row.low)} to {per.text(row.high)})"


def reasons(without: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Return who has no value, at which sizes, and why; without: the points of report.scaling that have none."""
    gathered = without.fillna({"reason": ""}).groupby(["competitor", "status", "reason"], sort=False)
    table = gathered["size"].agg(lambda sizes: ", ".join(map(str, sorted(sizes)))).reset_index()
    table["status"] = table["status"].str.replace("_", " ")
    at = f"at {AXIS_WORDS[axis]}"
    table = table.rename(columns={"competitor": "implementation", "size": at})
    return table[["implementation", at, "status", "reason"]]


def ceilings_in_words(environment: dict, dtype: str, device: str) -> str:
    """Say which ceilings a run measured for a dtype and device; an empty string where it measured none."""
    peaks = [
        float(row["flops_per_s"]) for row in environment.get("peaks") or ()
        if (row["device"], row["dtype"]) == (device, dtype)
    ]  # fmt: skip
    levels = environment.get("ceilings" if device == "cpu" else "cuda_ceilings") or ()
    if not peaks or not levels:
        return ""
    speeds = ", ".join(
        f"{_capacity(level['bytes'])} {significant(float(level['bytes_per_s']) / 1e9)} GB/s" for level in levels
    )
    cores = f" a core, {environment.get('cores')} cores" if device == "cpu" else ""
    return f"matrix product in {dtype} {significant(peaks[0] / 1e9)} GFLOP/s{cores}; {speeds}"


def _capacity(size: object) -> str:
    size = float(size)  # pyright: ignore[reportArgumentType] ("inf" too)
    return "memory" if size == float("inf") else f"up to {size / 2**20:.3g} MiB"

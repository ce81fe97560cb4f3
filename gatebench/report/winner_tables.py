"""What a winner map shows as text: its cells as a table, and what stands in a tile."""

import pandas as pd

from gatebench.report.quantities import bytes_text, estimate_text, is_missing, time_text, times_text


def explanation(calls: float | None = None, cap_bytes: float | None = None) -> str:
    """Say what stands in a tile, and what competes."""
    text = (
        "In a tile: the fastest, and how many times faster it is than the next. “=”: others are as fast, as far as can "
        "be told: within 1.5×, and the 95 % interval over paired blocks contains 1. “?”: not sure: one block, no interval, an "
        "interval that contains 1, or a machine that was too busy."
    )
    if calls is not None:
        text += (
            f" Times are time + cost of the first call / {calls:,}; the cost is that of compiling with empty caches where that was "
            "measured, else with filled ones, else what the first call took beyond a usual one, and has no interval."
        )
    if cap_bytes is not None:
        text += f" Over {bytes_text(cap_bytes)} of memory nothing competes; what has no memory measured does."
    return text


def numbers(cells: pd.DataFrame) -> pd.DataFrame:
    """Return the cells as text: winner, time, interval, n, margin with interval, ties, cost of the first call, memory, what is left out."""
    rows = list(cells.itertuples())
    return pd.DataFrame(
        {
            "T": cells["seq_len"],
            "H": cells["hidden_size"],
            "fastest": [row.state if is_missing(row.winner) else row.winner for row in rows],
            "time of one call (95 %)": [estimate_text(row.time_ns, row.ci_low_ns, row.ci_high_ns) for row in rows],
            "blocks": ["–" if is_missing(row.blocks) else str(int(row.blocks)) for row in rows],
            "next": ["–" if is_missing(row.runner_up) else row.runner_up for row in rows],
            "margin (95 %)": [times_text(row.margin, row.margin_low, row.margin_high) for row in rows],
            "as fast": [row.tied if isinstance(row.tied, str) else "" for row in rows],
            "first call, beyond a usual one": [_first_call(row) for row in rows],
            "memory": ["–" if is_missing(row.winner) else bytes_text(row.peak_bytes) for row in rows],
            "left out": [row.left_out if isinstance(row.left_out, str) else "" for row in rows],
        }
    )


def _first_call(row) -> str:
    if is_missing(row.winner):
        return "–"
    if is_missing(row.compile_ns):
        return "not measured"
    return time_text(row.compile_ns) if row.compile_ns > 0 else "–"

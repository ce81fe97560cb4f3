"""The fastest competitor of each (T, H): its margin, ties, what its first call costs, and what is missing, in words."""

from typing import Any

import pandas as pd

from gatebench.analyze.blocks import block_logs
from gatebench.analyze.compare import SHARED_COLUMNS, compare, ratio
from gatebench.analyze.winners import compile_costs, over_calls, over_memory
from gatebench.report.names import competitors, shown
from gatebench.report.quantities import bytes_text, interval_text, is_missing, time_text

NEEDED = (
    *SHARED_COLUMNS, "run_id", "case_id", "problem_id", "implementation", "implementation_options", "seq_len", "hidden_size",
    "time_ns", "ci_low_ns", "ci_high_ns", "blocks", "status", "reason", "compile_cold_ns", "compile_warm_ns", "graphs",
    "first_call_ns", "peak_bytes", "unsteady",
)  # fmt: skip
CELL_COLUMNS = (
    "seq_len", "hidden_size", "state", "winner", "implementation", "case_id", "tied", "ties", "time_ns", "ci_low_ns", "ci_high_ns",
    "blocks", "runner_up", "margin", "margin_low", "margin_high", "inconclusive", "unsure", "compile_ns", "peak_bytes", "left_out",
    "outcomes",
)  # fmt: skip
OVER_CAP = "over the memory cap"
LONGEST_REASON = 200  # letters
NO_COMPILE_COST = "what it costs to compile was not measured"


def winner_cells(
    measurements: pd.DataFrame, samples: pd.DataFrame, calls: float | None = None, memory_cap: float | None = None
) -> pd.DataFrame:
    """Return one row per (T, H) of the grid of measured sizes, cells that nobody measured included.

    measurements: the rows of one slice, where only T, H and the competitor vary; columns NEEDED. samples: theirs, or their
    blocks. calls: compiling is paid back over so many calls, time + compile cost / calls competes; None: time alone.
    memory_cap: what takes more bytes does not compete; what has no peak_bytes does.
    Columns returned: seq_len, hidden_size, state (`won`, `alone`: one competitor is left, `failed`: none has a time,
    `no time`: nor did any fail, all are right and were not timed, `left out`: those that have one may not compete,
    `not measured`), winner and runner_up (competitors), implementation and case_id (the winner's), tied (other competitors
    as fast as the winner, ", " between them, as between the options of one), ties (how many they are; 0 without a winner),
    time_ns, ci_low_ns, ci_high_ns, blocks, compile_ns, peak_bytes (the winner's), margin (runner-up's time / winner's, with
    its 95 % interval over paired blocks), inconclusive (one of the two never settled, or was disturbed too much), unsure (it
    is, or the interval of the margin holds 1, or there is none), left_out (competitors with a time that may not compete,
    ", " between them), outcomes (a line per competitor).
    """
    if measurements.empty:
        return pd.DataFrame(columns=pd.Index(CELL_COLUMNS))
    rows = measurements.reindex(columns=list(NEEDED)).assign(competitor=competitors(measurements))
    rows = rows.assign(compile_ns=compile_costs(rows), barred="", own_ns=rows["time_ns"])
    if calls is not None:
        rows, samples = over_calls(rows, samples, calls)
        rows.loc[rows["own_ns"].notna() & rows["time_ns"].isna(), "barred"] = NO_COMPILE_COST
    if memory_cap is not None:
        rows.loc[rows["own_ns"].notna() & over_memory(rows, memory_cap), "barred"] = OVER_CAP
    rows.loc[rows["barred"] != "", ["time_ns", "ci_low_ns", "ci_high_ns"]] = None
    blocks = block_logs(samples)
    # Plain tuples: a frame of a few rows for each cell would take seconds for a large grid.
    compared = list(compare(rows, samples).sort_values("time_ns", kind="stable").itertuples(index=False))
    at: dict[tuple[int, int], list[Any]] = {}
    for row in compared:
        at.setdefault((row.seq_len, row.hidden_size), []).append(row)
    lengths, widths = (sorted(set(values)) for values in zip(*at, strict=True))
    cells = [
        {"unsure": False, "ties": 0, "seq_len": t, "hidden_size": h} | _cell(at.get((t, h), []), blocks)
        for t in lengths
        for h in widths
    ]
    return pd.DataFrame(cells, columns=pd.Index(CELL_COLUMNS))


_OF_WINNER = (
    "implementation", "case_id", "time_ns", "ci_low_ns", "ci_high_ns", "blocks", "compile_ns", "peak_bytes", "inconclusive",
)  # fmt: skip


def _cell(rows: list[Any], blocks: dict) -> dict:
    """Return the cell of these competitors, rows of analyze.compare, the fastest first, those without a time last."""
    if not rows:
        return {"state": "not measured", "outcomes": "nobody asked for a case here"}
    barred = [row.competitor for row in rows if row.barred]
    cell = {"left_out": ", ".join(barred), "outcomes": "<br>".join(_outcome(row) for row in rows)}
    timed = [row for row in rows if not is_missing(row.time_ns)]
    if not timed:
        right = all(row.status == "ok" for row in rows)
        return cell | {"state": "left out" if barred else "no time" if right else "failed"}
    best, *others = timed
    cell |= {"state": "alone", "winner": best.competitor, **{name: getattr(best, name) for name in _OF_WINNER}}
    tied = [row.competitor for row in others if row.tied]
    cell |= {"tied": ", ".join(tied), "ties": len(tied)}
    if not others:
        return cell
    second = others[0]
    margin = ratio(*(blocks.get((row.run_id, row.case_id, row.side), {}) for row in (second, best)))
    cell |= dict(zip(("margin", "margin_low", "margin_high"), margin, strict=True))
    inconclusive = any(
        each.inconclusive or (not is_missing(each.unsteady) and each.unsteady) for each in (best, second)
    )
    unsure = bool(inconclusive or best.unsure)
    return cell | {"state": "won", "runner_up": second.competitor, "inconclusive": inconclusive, "unsure": unsure}


def _outcome(row) -> str:
    """Return a line of a cell's hover text; names and reasons are escaped, and cut where they would fill the screen."""
    name = shown(row.competitor)
    if row.barred:
        why = f"{bytes_text(row.peak_bytes)}, {row.barred}" if row.barred == OVER_CAP else row.barred
        return f"{name}: left out ({time_text(row.own_ns)}; {why})"
    if is_missing(row.time_ns):
        if row.status == "ok":
            return f"{name}: right, not timed"
        why = shown("" if is_missing(row.reason) else row.reason, LONGEST_REASON) or "no reason given"
        return f"{name}: {row.status.replace('_', ' ')} ({why})"
    n = "" if is_missing(row.blocks) else f", n = {int(row.blocks)}"
    unsure = " (inconclusive: the machine was busy)" if row.inconclusive else ""
    interval = interval_text(row.ci_low_ns, row.ci_high_ns, row.blocks)
    return f"{name}: {time_text(row.time_ns)} [{interval}{n}]{unsure}"

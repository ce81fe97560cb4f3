"""The table after a run: per gate, dtype and mode, one line per shape, implementations as columns. DataFrames in,
rows of text out; gatebench.report.stored_run prints them."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gatebench.analyze.compare import SHARED_COLUMNS, geometric_means
from gatebench.report.gradient_lines import gradient_lines
from gatebench.report.names import TOKEN_FAMILIES, competitors, devices, options_label
from gatebench.report.quantities import is_missing, significant, time_text
from gatebench.store.schema import FAILURES, REFUSALS
from gatebench.words import counted

METRICS = (
    "time", "speedup", "error", "tokens_per_s", "gb_per_s", "tflops", "peak_bytes", "saved_bytes", "compile", "pay_back",
)  # fmt: skip
_COMPILES = (("compile_cold_ns", "where it compiles"), ("compile_warm_ns", "from the compile cache"))
_WIDE = 20  # an interval whose ends are further apart than this factor is not worth its digits
_WIDE_MARK = "[wide]"
# What does not come from worker processes of their own says so.
_HARNESS = {"inline": "measured in one process", "pytest": "measured by pytest", "imported": "imported"}
DEFAULT_METRICS = ("time", "speedup", "error", "compile")
Row = Any  # a named tuple of a frame's columns


@dataclass(frozen=True)
class Block:
    """One table of the report: a title, a header, rows of cells, and lines below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: bool = True  # columns after `names` are numbers, aligned right; else words
    names: int = 1  # first columns, which say what a row is: they stand in every part of a folded table
    unfolded: bool = False  # the table, or lines without a table, as wide as they are, whatever the terminal


def blocks(compared: pd.DataFrame, samples: pd.DataFrame, stability: pd.DataFrame) -> list[Block]:
    """Return one Block per gate, dtype, mode and device, in the order of the run.

    compared: the rows to show, from analyze.compare.compare over the whole run, with its pay_back_calls: what is hidden
    changes no number.
    """
    means: dict[tuple, list[Row]] = {}
    for mean in _rows(geometric_means(compared, samples, SHARED_COLUMNS)):
        means.setdefault(_table_of(mean), []).append(mean)
    lines = gradient_lines(stability)
    found = []
    for table, rows in tables_of(compared).items():
        # Said once per gate: it is the gate's own, whatever the mode and the dtype of the table.
        gradient = lines.pop((rows[0].gate, rows[0].gate_options), [])
        found.append(_block(rows, means.get(table, []), gradient))
    return found


def fastest(compared: pd.DataFrame) -> Block:
    """Return the winner of each problem, a row per gate, dtype and mode, a column per shape where gates share them."""
    lines = []
    for rows in tables_of(compared).values():
        wins = []
        for problem in grouped(rows, lambda row: row.problem_id).values():
            timed = sorted((row for row in problem if row.rank > 0), key=lambda row: row.rank)
            if timed:
                names = " = ".join([timed[0].competitor, *(row.competitor for row in timed[1:] if row.tied)])
                doubt = (
                    "inconclusive, maybe " if timed[0].inconclusive else "not sure, maybe " if unsure(timed[0]) else ""
                )
                names = f"{doubt}{names}"
                wins.append(f"{shape_label(timed[0])}: {names} ({time_text(timed[0].time_ns)})")
        lines.append((table_title(rows[0]), "; ".join(wins) or "nobody has a time"))
    return Block(
        "The fastest, and who is as fast as far as can be told (=)", ("problem", "fastest"), tuple(lines), numbers=False
    )


def tables_of(frame: pd.DataFrame) -> dict[tuple, list[Row]]:
    """Return the rows of each table, in the order of the run."""
    return grouped(_rows(frame.assign(device_label=devices(frame))), _table_of)


def _rows(frame: pd.DataFrame) -> list[Row]:
    """Return a frame's rows with the name of their competitor: small groups of them go faster without pandas."""
    named = frame.assign(competitor=competitors(frame)).astype(object)
    return list(named.where(named.notna(), None).itertuples(index=False))


def _table_of(row: Row) -> tuple:
    return tuple(getattr(row, name) for name in SHARED_COLUMNS)


def grouped(rows: list[Row], key: Callable[[Row], Any]) -> dict[Any, list[Row]]:
    """Return the rows of each key, both in their order."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def _block(rows: list[Row], means: list[Row], gradient: list[str]) -> Block:
    first = rows[0]
    baseline = next((row.competitor for row in rows if row.case_id == row.baseline_case_id), None)
    absent, columns = _columns(rows, baseline or first.baseline)
    lines = []
    for shape in grouped(rows, lambda row: (row.seq_len, row.batch, row.input_size, row.hidden_size)).values():
        here = {row.competitor: row for row in shape}
        cells = [_cell(here[name]) if name in here else "not measured" for name in columns]
        lines.append((shape_label(shape[0]), *cells))
    title = table_title(first)
    if columns != [baseline] and any(not is_missing(row.speedup) for row in rows):
        title += (
            f": time of {baseline}, speed-up of the others over it" if baseline else f": speed-up over {first.baseline}"
        )
    notes = [*_summary_notes(rows, means, columns), *absent, *gradient]
    if not columns:  # nobody could run: the notes say why
        return Block(title, (), (), tuple(notes))
    return Block(title, ("shape", *columns), tuple(lines), tuple(notes))


def table_title(row: Row) -> str:
    """Name the table that a row belongs to: gate, options, mode, dtype, device, and what is unusual."""
    options = options_label(row.gate_options)
    words = (row.mode, row.dtype, row.device_label)  # nothing of what was imported is known
    title = ", ".join([f"{row.gate}{f' ({options})' if options else ''}", *(word for word in words if word)])
    title += ", cold cache" if row.cache == "cold" else ""
    title += ", CUDA graph" if row.launch == "graph" else ""
    title += f", {_HARNESS[row.harness]}" if row.harness in _HARNESS else ""
    return title + (f", {row.side}" if row.side in ("base", "head") else "")


def _columns(table: list[Row], baseline: str | None) -> tuple[list[str], list[str]]:
    """Return notes on implementations that never ran, and the others' names, baseline first."""
    notes, names = [], []
    for name, rows in grouped(table, lambda row: row.competitor).items():
        refusals = {(row.status, row.reason) for row in rows}
        status, reason = next(iter(refusals))
        if len(refusals) == 1 and status in REFUSALS and len(table) > len(rows):
            notes.append(f"{name}: {status} ({reason})")
        else:
            names.append(name)
    return notes, sorted(names, key=lambda name: name != baseline)


def shape_label(shape: Any) -> str:
    """Name a row's shape; `unknown` where an imported row does not say it."""
    if is_missing(shape.seq_len):
        return "unknown"
    # Beside a row whose shape is not known, pandas has made the sizes of the others floats.
    steps, batch, width, hidden = (int(n) for n in (shape.seq_len, shape.batch, shape.input_size, shape.hidden_size))
    return f"T{steps} B{batch} " + (f"H{hidden}" if width == hidden else f"I{width} H{hidden}")


def _cell(row: Row) -> str:
    """Return what one implementation did at one shape: time or speed-up with its marks, or words."""
    if row.status != "ok":
        return row.status.replace("_", " ")
    mark = _marks(row)
    if row.case_id == row.baseline_case_id or is_missing(row.speedup):
        return time_text(row.time_ns) + mark
    return speedup_text(row.speedup, row.speedup_low, row.speedup_high) + mark


def unsure(fastest: Row) -> bool:
    """Say whether the fastest of a problem may not be that; ties, which are told as such, are no doubt."""
    return bool(fastest.unsure and not fastest.tied)


def _marks(row: Row) -> str:
    """Return `*` fastest (`*?` not for sure), `=` tied, `~` unsteady, `!` inconclusive, as far as they apply."""
    doubts = ("~" if not is_missing(row.unsteady) and bool(row.unsteady) else "") + ("!" if row.inconclusive else "")
    mark = (
        "" if row.inconclusive else "*" if row.rank == 1 else "=" if row.tied else ""
    )  # nobody wins by what others disturbed
    mark += "?" if mark == "*" and unsure(row) else ""
    return "".join(f" {part}" for part in (mark, doubts) if part)


def speedup_text(value: float, low: float | None, high: float | None) -> str:
    """Return a speed-up with its 95 % interval, e.g. `1.42× [1.38, 1.46]`, `[wide]` where its ends are far apart; one block has none."""
    if is_missing(low) or is_missing(high):
        return f"{significant(value)}×"
    if float(high) > _WIDE * float(low):
        return f"{significant(value)}× {_WIDE_MARK}"
    return f"{significant(value)}× [{significant(float(low), 2)}, {significant(float(high), 2)}]"


def wide_legend(shown: Iterable[Block]) -> str:
    """Return what `[wide]` means where one of these tables, or a line below it, holds it; else nothing."""
    texts = (text for block in shown for line in (*block.rows, block.notes) for text in line)
    told = f"{_WIDE_MARK} an interval whose ends are more than twentyfold apart"
    return told if any(_WIDE_MARK in text for text in texts) else ""


def _summary_notes(table: list[Row], means: list[Row], columns: list[str]) -> list[str]:
    """Return the lines below a table: geometric means, largest error, compile cost, kernels, failures."""
    notes = []
    most = max((mean.problems for mean in means), default=0)
    if most > 1:
        parts = [
            f"{mean.competitor} {speedup_text(mean.geometric_mean, mean.low, mean.high)}, "
            f"{mean.wins} won {mean.losses} lost"
            + (f" {mean.inconclusive} inconclusive" if mean.inconclusive else "")
            + (f" (of {counted(mean.problems, 'shape')} only)" if mean.problems < most else "")
            for mean in means
        ]
        notes.append(f"geometric mean over {most} shapes: " + "; ".join(parts))
    rows_of = grouped(table, lambda row: row.competitor)
    worst = {name: _largest(rows_of[name], "error_ratio") for name in columns}
    if any(value is not None for value in worst.values()):
        notes.append(
            "largest error ratio: "
            + ", ".join(f"{name} {value:.2g}" for name, value in worst.items() if value is not None)
        )
    for name in columns:
        parts = [
            f"{1e-9 * value:.1f} s {where}"
            for column, where in _COMPILES
            if (value := _largest(rows_of[name], column)) is not None
        ]
        if parts:
            notes.append(f"first call of {name}: up to " + ", ".join(parts) + _pay_back(rows_of[name]))
    kernels = {
        name: " | ".join(dict.fromkeys(row.kernel for row in rows_of[name] if not is_missing(row.kernel)))
        for name in columns
    }
    if any(kernels.values()):
        notes.append("ran: " + "; ".join(f"{name} {kernel}" for name, kernel in kernels.items() if kernel))
    broken = [row for row in table if row.status in FAILURES]
    for (name, status, reason), rows in grouped(broken, lambda row: (row.competitor, row.status, row.reason)).items():
        shapes = ", ".join(shape_label(row) for row in rows)
        notes.append(f"{name} at {shapes}: {status.replace('_', ' ')}: {reason}")
    refused = [row for row in table if row.competitor in columns and row.status in REFUSALS]
    return notes + [f"{name}: {reason}" for name, reason in grouped(refused, lambda row: (row.competitor, row.reason))]


def _pay_back(rows: list[Row]) -> str:
    """Say after how many calls the first call pays back, over the shapes of a table where it can be told."""
    compared = [row for row in rows if row.status == "ok" and row.case_id != row.baseline_case_id]
    calls = [row.pay_back_calls for row in compared if not is_missing(row.pay_back_calls)]
    finite = [value for value in calls if math.isfinite(value)]
    if not compared or is_missing(compared[0].baseline_case_id):
        return ""
    low, high = (f"{max(1, math.ceil(value)):,}" for value in (min(finite), max(finite))) if finite else ("", "")
    answers = (
        (f"after {low if low == high else f'{low} to {high}'} calls", len(finite)),
        ("never", len(calls) - len(finite)),
        ("cannot be told", len(compared) - len(calls)),
    )
    parts = [f"{answer} at {count} of {len(compared)} shapes" for answer, count in answers if count]
    if len(parts) == 1:
        parts = [parts[0].partition(" at ")[0]]
    return f"; pay-back against {rows[0].baseline}: {', '.join(parts)}"


def _largest(rows: list[Row], column: str) -> float | None:
    """Return the largest value of a column; None where it holds none."""
    return max((value for row in rows if not is_missing(value := getattr(row, column))), default=None)


def long_table(compared: pd.DataFrame, metrics: tuple[str, ...]) -> Block:
    """Return one row per case with the chosen metrics as columns; raises UserError for an unknown metric."""
    from gatebench.errors import unknown

    metrics = metrics or DEFAULT_METRICS
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("--metrics", "metric", metric, METRICS)
    rows = tuple(
        (row.case_id, str(row.status), *(_metric(row, metric) for metric in metrics)) for row in compared.itertuples()
    )
    reasons = tuple(f"{row.case_id}: {row.reason}" for row in compared.itertuples() if row.status != "ok")
    return Block("", ("case", "status", *metrics), rows, reasons, unfolded=True)


def _metric(row: Row, metric: str) -> str:
    seconds = row.time_ns * 1e-9 if not is_missing(row.time_ns) else None
    if metric == "time":
        return time_text(row.time_ns) + (_marks(row) if row.status == "ok" else "")
    if metric == "speedup":
        if row.case_id == row.baseline_case_id:
            return "baseline"
        return "–" if is_missing(row.speedup) else speedup_text(row.speedup, row.speedup_low, row.speedup_high)  # fmt: skip
    if metric == "error":
        return "–" if is_missing(row.error_ratio) else f"{row.error_ratio:.2g}"
    if metric == "compile":
        value = row.compile_cold_ns if not is_missing(row.compile_cold_ns) else row.compile_warm_ns
        return time_text(value)
    if metric == "pay_back":
        calls = row.pay_back_calls
        return "–" if is_missing(calls) else ("never" if math.isinf(calls) else f"{math.ceil(calls):,} calls")
    if metric in ("peak_bytes", "saved_bytes"):
        return "–" if is_missing(getattr(row, metric)) else f"{getattr(row, metric) / 2**20:.3g} MiB"
    if seconds is None:
        return "–"
    if metric == "tokens_per_s":
        if row.family not in TOKEN_FAMILIES:
            return "–"
        return f"{row.batch * row.seq_len / seconds:.3g}"
    column, scale = {"gb_per_s": ("bytes_min", 1e-9), "tflops": ("flops", 1e-12)}[metric]
    return "–" if is_missing(getattr(row, column)) else f"{getattr(row, column) * scale / seconds:.3g}"

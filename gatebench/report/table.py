"""The table after a run: per gate, dtype and mode, one line per shape, implementations as columns. DataFrames in,
rows of text out; gatebench.report.stored_run prints them."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from gatebench.analyze.compare import SHARED_COLUMNS, geometric_means
from gatebench.report.names import competitors, devices, options_label
from gatebench.report.quantities import is_missing, significant, time_text
from gatebench.report.stability import case_summary
from gatebench.store.schema import FAILURES

METRICS = ("time", "speedup", "error", "tokens_per_s", "gb_per_s", "tflops", "peak_bytes", "saved_bytes", "compile")
_WIDE = 20  # an interval whose ends are further apart than this factor tells nothing
DEFAULT_METRICS = ("time", "speedup", "error", "compile")


@dataclass(frozen=True)
class Block:
    """One table of the report: a title, a header, rows of cells, and lines below it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    numbers: bool = True  # columns after the first are numbers, aligned right; else words


def blocks(compared: pd.DataFrame, samples: pd.DataFrame, stability: pd.DataFrame) -> list[Block]:
    """Return one Block per gate, dtype, mode and device, in the order of the run.

    compared: the rows to show, from analyze.compare.compare over the whole run: what is hidden changes no number.
    """
    compared = compared.assign(competitor=competitors(compared), device_label=devices(compared))
    lines = gradient_lines(stability)
    found = []
    for _, group in compared.groupby(SHARED_COLUMNS, sort=False, dropna=False):
        # Said once per gate: it is the gate's own, whatever the mode and the dtype of the table.
        gradient = lines.pop((group["gate"].iloc[0], group["gate_options"].iloc[0]), [])
        found.append(_block(group, samples, gradient))
    return found


def fastest(compared: pd.DataFrame) -> Block:
    """Return the winner of each problem, a row per gate, dtype and mode, a column per shape where gates share them."""
    compared = compared.assign(competitor=competitors(compared), device_label=devices(compared))
    rows = []
    for _, group in compared.groupby(SHARED_COLUMNS, sort=False, dropna=False):
        wins = []
        for _, problem in group.groupby("problem_id", sort=False):
            timed = problem[problem["rank"] > 0].sort_values("rank")
            if len(timed):
                tied = [str(name) for name in timed["competitor"].iloc[1:][timed["tied"].iloc[1:]]]
                names = " = ".join([str(timed["competitor"].iloc[0]), *tied])
                wins.append(f"{_shape_label(timed.iloc[0])}: {names} ({time_text(timed['time_ns'].iloc[0])})")
        first = group.iloc[0]
        what = f"{first['gate']}, {first['mode']}, {first['dtype']}"
        rows.append((what, "; ".join(wins) or "nobody has a time"))
    return Block(
        "The fastest, and who is as fast as far as can be told (=)", ("problem", "fastest"), tuple(rows), numbers=False
    )


def _block(compared: pd.DataFrame, samples: pd.DataFrame, gradient: list[str]) -> Block:
    first = compared.iloc[0]
    shown = compared.loc[compared["case_id"] == compared["baseline_case_id"], "competitor"]
    baseline = shown.iloc[0] if len(shown) else first["baseline"]
    absent, columns = _columns(compared, baseline)
    shapes = compared[["seq_len", "batch", "input_size", "hidden_size"]].drop_duplicates()
    rows = []
    for shape in shapes.itertuples(index=False):
        here = compared[(compared[list(shapes.columns)] == list(shape)).all(axis=1)].set_index("competitor", drop=False)
        cells = [_cell(here.loc[name]) if name in here.index else "not measured" for name in columns]
        rows.append((_shape_label(shape), *cells))
    options = options_label(first["gate_options"])
    title = f"{first['gate']}{f' ({options})' if options else ''}, {first['mode']}, {first['dtype']}, {first['device_label']}"
    title += ", cold cache" if first["cache"] == "cold" else ""
    title += ", CUDA graph" if first["launch"] == "graph" else ""
    if columns != [baseline] and compared["speedup"].notna().any():
        title += (
            f": time of {baseline}, speed-up of the others over it" if len(shown) else f": speed-up over {baseline}"
        )
    notes = [*_summary_notes(compared, samples, columns), *absent, *gradient]
    if not columns:  # nobody could run: the notes say why
        return Block(title, (), (), tuple(notes))
    return Block(title, ("shape", *columns), tuple(rows), tuple(notes))


def _columns(compared: pd.DataFrame, baseline: str | None) -> tuple[list[str], list[str]]:
    """Return notes on implementations that never ran, and the others' names, baseline first."""
    notes, names = [], []
    for name, rows in compared.groupby("competitor", sort=False):
        refused = rows["status"].isin(("unsupported", "unavailable"))
        if refused.all() and rows["reason"].nunique() == 1 and len(compared) > len(rows):
            notes.append(f"{name}: {rows['status'].iloc[0]} ({rows['reason'].iloc[0]})")
        else:
            names.append(str(name))
    return notes, sorted(names, key=lambda name: (name != baseline, names.index(name)))


def _shape_label(shape: Any) -> str:
    label = f"T{shape.seq_len} B{shape.batch} "
    return label + (
        f"H{shape.hidden_size}"
        if shape.input_size == shape.hidden_size
        else f"I{shape.input_size} H{shape.hidden_size}"
    )


def _cell(row: pd.Series) -> str:
    """Return what one implementation did at one shape: time or speed-up, `*` fastest (`*?` by one block), `=` tied, or words."""
    if row["status"] != "ok":
        return str(row["status"]).replace("_", " ")
    mark = " *" if row["rank"] == 1 else (" =" if row["tied"] else "")
    mark += "?" if mark and row["blocks"] == 1 else ""  # one block has no interval, so ties cannot be told
    mark += " ~" if not is_missing(row["unsteady"]) and bool(row["unsteady"]) else ""
    if row["case_id"] == row["baseline_case_id"] or is_missing(row["speedup"]):
        return time_text(row["time_ns"]) + mark
    return speedup_text(row["speedup"], row["speedup_low"], row["speedup_high"]) + mark


def speedup_text(value: float, low: float | None, high: float | None) -> str:
    """Return a speed-up with its 95 % interval, e.g. `1.42× [1.38, 1.46]`, `[wide]` where it says nothing; one block has none."""
    if is_missing(low) or is_missing(high):
        return f"{significant(value)}×"
    if float(high) > _WIDE * float(low):
        return f"{significant(value)}× [wide]"
    return f"{significant(value)}× [{significant(float(low), 2)}, {significant(float(high), 2)}]"


def _summary_notes(compared: pd.DataFrame, samples: pd.DataFrame, columns: list[str]) -> list[str]:
    """Return the lines below a table: geometric means, largest error, compile cost, kernels, failures."""
    notes = []
    means = geometric_means(compared, samples, ["gate"])
    if len(means) and means["problems"].max() > 1:
        most = means["problems"].max()
        parts = [
            f"{name} {speedup_text(row.geometric_mean, row.low, row.high)}, {row.wins} won {row.losses} lost"
            + (f" (of {row.problems} shape{'s' if row.problems > 1 else ''} only)" if row.problems < most else "")
            for name, row in zip(competitors(means), means.itertuples(), strict=True)
        ]
        notes.append(f"geometric mean over {most} shapes: " + "; ".join(parts))
    timed = compared[compared["error_ratio"].notna()]
    if len(timed):
        worst = timed.groupby("competitor", sort=False)["error_ratio"].max()
        notes.append(
            "largest error ratio: " + ", ".join(f"{name} {worst[name]:.2g}" for name in columns if name in worst)
        )
    notes += _compile_notes(compared)
    kernels = compared[compared["kernel"].notna()].groupby("competitor", sort=False)["kernel"].unique()
    if len(kernels):
        notes.append("ran: " + "; ".join(f"{name} {' | '.join(kernels[name])}" for name in columns if name in kernels))
    broken = compared[compared["status"].isin(FAILURES)]
    for (name, status, reason), rows in broken.groupby(["competitor", "status", "reason"], sort=False, dropna=False):
        shapes = ", ".join(_shape_label(row) for row in rows.itertuples())
        notes.append(f"{name} at {shapes}: {str(status).replace('_', ' ')}: {reason}")
    refused = compared[compared["competitor"].isin(columns) & compared["status"].isin(("unsupported", "unavailable"))]
    notes += [
        f"{name}: {reason}"
        for name, reason in refused[["competitor", "reason"]].drop_duplicates().itertuples(index=False)
    ]
    return notes


def _compile_notes(compared: pd.DataFrame) -> list[str]:
    notes = []
    for name, rows in compared.groupby("competitor", sort=False):
        parts = [
            f"{1e-9 * rows[column].max():.1f} s {word}"
            for column, word in (
                ("compile_cold_ns", "where it compiles"),
                ("compile_warm_ns", "from the compile cache"),
            )
            if rows[column].notna().any()
        ]
        if parts:
            notes.append(f"first call of {name}: up to " + ", ".join(parts))
    return notes


def gradient_lines(stability: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Return the gradient lines by (gate, options): `halves every 1.6 steps, reach 16 steps, vanished [torch init, T=128, 8 seeds]`.

    One line per init, at the finest dtype and the longest T of the run.
    """
    if not len(stability):
        return {}
    found: dict[tuple[str, str], list[str]] = {}
    summary = case_summary(stability)
    summary = summary[summary["half_life"].notna() & summary["label"].notna()]
    fineness = {"float64": 0, "float32": 1, "bfloat16": 2}
    ordered = summary.assign(fine=summary["dtype"].map(fineness)).sort_values(
        ["fine", "seq_len"], ascending=[True, False]
    )
    for (gate, options, _, _), rows in ordered.groupby(["gate", "options", "init", "inputs"], sort=False):
        row = rows.iloc[0]
        seeds = f"{int(row['seeds'])} seed" + ("s" if row["seeds"] != 1 else "")
        halves = (
            "does not shrink"
            if row["half_life"] == float("inf")
            else f"halves every {significant(row['half_life'], 2)} steps"
        )
        conditions = (
            f"{row['init']} init, T={int(row['seq_len'])}, H={int(row['hidden_size'])}, {row['dtype']}, {seeds}"
        )
        steps = f"{row['reach']:.0f} steps"
        reach = f"at least {steps}" if row["reach"] >= row["seq_len"] else steps  # a longer T might show more
        found.setdefault((str(gate), str(options)), []).append(
            f"gradient: {halves}, reach {reach}, {row['label']} [{conditions}]"
        )
    return found


def long_table(compared: pd.DataFrame, metrics: tuple[str, ...]) -> Block:
    """Return one row per case with the chosen metrics as columns; raises UserError for an unknown metric."""
    from gatebench.errors import unknown

    metrics = metrics or DEFAULT_METRICS
    for metric in metrics:
        if metric not in METRICS:
            raise unknown("--metrics", "metric", metric, METRICS)
    rows = tuple(
        (row["case_id"], str(row["status"]), *(_metric(row, metric) for metric in metrics))
        for _, row in compared.iterrows()
    )
    reasons = tuple(f"{row.case_id}: {row.reason}" for row in compared.itertuples() if row.status != "ok")
    return Block("", ("case", "status", *metrics), rows, reasons)


def _metric(row: pd.Series, metric: str) -> str:
    seconds = row["time_ns"] * 1e-9 if not is_missing(row["time_ns"]) else None
    if metric == "time":
        return time_text(row["time_ns"])
    if metric == "speedup":
        return (
            "–" if is_missing(row["speedup"]) else speedup_text(row["speedup"], row["speedup_low"], row["speedup_high"])
        )
    if metric == "error":
        return "–" if is_missing(row["error_ratio"]) else f"{row['error_ratio']:.2g}"
    if metric == "compile":
        value = row["compile_cold_ns"] if not is_missing(row["compile_cold_ns"]) else row["compile_warm_ns"]
        return time_text(value)
    if metric in ("peak_bytes", "saved_bytes"):
        return "–" if is_missing(row[metric]) else f"{row[metric] / 2**20:.3g} MiB"
    if seconds is None:
        return "–"
    if metric == "tokens_per_s":
        return f"{row['batch'] * row['seq_len'] / seconds:.3g}"
    column, scale = {"gb_per_s": ("bytes_min", 1e-9), "tflops": ("flops", 1e-12)}[metric]
    return "–" if is_missing(row[column]) else f"{row[column] * scale / seconds:.3g}"

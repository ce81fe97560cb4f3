"""What a run's gates.json tells of a gate, as text and small tables; anything may be missing or of another shape."""

import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gatebench.analyze.compare import SHARED_COLUMNS
from gatebench.report.names import devices, inputs, options_label
from gatebench.report.quantities import estimate_text, is_missing, significant, times_text
from gatebench.report.winners import winner_cells

NOT_GIVEN = "not given"
EXAMPLE = " at I = H = 2"
LONGEST_EQUATION = 2000  # letters; longer ones are shown as text
# Signs and commands that leave the formula, define others, load something, or take room at will.
_UNSAFE = re.compile(
    r"\$|`|\\(?:[a-zA-Z]*def|let|futurelet|newcommand|renewcommand|providecommand|href|url|includegraphics|html[a-zA-Z]*|rule|"
    r"m?kern|[hm]skip|hspace|raisebox|v?phantom)(?![a-zA-Z])"
)
_NO_BREAK = re.compile(r"\\(left|begin)(?![a-zA-Z])")  # a line cannot end between these and their ends
LONGEST_LINE = 60  # letters of an equation that fits a narrow page
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))
SLICE = [*SHARED_COLUMNS, "batch", "seed"]


@dataclass(frozen=True)
class GateFacts:
    """One gate as its run described it; `not given` where it says nothing. Tables of names, as text.

    by_example: the run holds no formulas for sizes, and the tables have those at I = H = 2. gradients: of one without state
    that cannot be stacked there are none to follow; where the run tells only one of the two or none, there may be.
    """

    name: str
    family: str
    equation: str
    source: str
    doc: str
    reference: str
    options: pd.DataFrame
    parameters: pd.DataFrame
    state: pd.DataFrame
    by_example: bool
    gradients: bool


def gate_facts(described: Any, name: str) -> GateFacts:
    """Return what gates.json (a list of objects) tells of this gate; of one that it does not hold, nothing is given."""
    entries = described if isinstance(described, list) else []
    entry = next((entry for entry in entries if isinstance(entry, dict) and entry.get("name") == name), {})
    words = {key: _text(entry.get(key)) for key in ("family", "equation", "source", "doc", "reference")}
    formulas = entry.get("formulas")
    known = formulas if isinstance(formulas, dict) else {}
    return GateFacts(
        name=name, **words, options=_options(entry.get("options")),
        parameters=_sizes(entry.get("parameters"), known.get("parameters"), "parameter", "shape"),
        state=_sizes(entry.get("state"), known.get("state"), "part of the state", "width"),
        by_example=not any(known.values()),
        gradients=not (entry.get("state") == {} and entry.get("stackable") is False),
    )  # fmt: skip


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value.strip() else NOT_GIVEN


def _options(options: Any) -> pd.DataFrame:
    rows = [
        (str(name), *(_shown(option.get(key)) for key in ("default", "type")), _range(option.get("range")), _text(option.get("doc")))
        for name, option in (options.items() if isinstance(options, dict) else ())
        if isinstance(option, dict)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=pd.Index(["option", "default", "type", "accepted", "what it does"]))


def _range(values: Any) -> str:
    if not isinstance(values, list) or not values:
        return NOT_GIVEN
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return f"{values[0]} to {values[-1]}" if numbers and len(values) == 2 else ", ".join(map(_shown, values))


def _shown(value: Any) -> str:
    return NOT_GIVEN if value is None else str(value)


def _sizes(sizes: Any, formulas: Any, what: str, of: str) -> pd.DataFrame:
    """Return each tensor's sizes: as formulas, else those of the example; the column's name says it where all are the example's."""
    known = formulas if isinstance(formulas, dict) else {}
    example = EXAMPLE if known else ""
    rows = [
        (str(name), _size(known[name]) if name in known else _size(size) + example)
        for name, size in (sizes.items() if isinstance(sizes, dict) else ())
    ]
    return pd.DataFrame(rows, columns=pd.Index([what, of if known else of + EXAMPLE]))


def _size(size: Any) -> str:
    return " × ".join(map(str, size)) if isinstance(size, list) else _shown(size)


def latex(equation: str) -> str | None:
    """Return an equation that a page can set as LaTeX; None where it is missing, too long, or might leave its place."""
    if equation == NOT_GIVEN or len(equation) > LONGEST_EQUATION or _UNSAFE.search(equation):
        return None
    lines = _lines(equation) if len(equation) > LONGEST_LINE and not _NO_BREAK.search(equation) else equation
    return f"\\begin{{gathered}} {lines} \\end{{gathered}}" if "\\\\" in lines else lines


def _lines(equation: str) -> str:
    """Return an equation with a line for each of its parts: `,\\quad` outside all braces becomes a line's end."""
    parts, depth = [""], 0
    for piece in re.split(r"([{}]|,\\quad)", equation):
        depth += {"{": 1, "}": -1}.get(piece, 0)
        if piece == ",\\quad" and depth == 0:
            parts.append("")
        else:
            parts[-1] += piece
    return ",\\\\ ".join(part.strip() for part in parts)


def prose(doc: str) -> list[str]:
    """Return a docstring's paragraphs, a line each, without its formulas, which stand indented."""
    parts = re.split(r"\n(?:[ \t]*\n)+", doc)
    return [" ".join(part.split()) for part in parts if part.strip() and not re.match(r" {4}|\t", part)]


def costs(measurements: pd.DataFrame) -> pd.DataFrame:
    """Return the gate's compulsory work at each measured mode, dtype and shape, as text with units.

    Columns: mode, dtype, sizes, gate_options, flops, bytes_min. Rows where the run stored no cost are left out.
    """
    keys = ["gate_options", "mode", "dtype", "batch", "seq_len", "input_size", "hidden_size"]
    known = measurements[measurements["flops"].notna() | measurements["bytes_min"].notna()]
    known = known.drop_duplicates(keys).sort_values(keys)
    return pd.DataFrame(
        {
            **_places(known),
            "work of one call": [quantity_text(value, _UNITS, "FLOP") for value in known["flops"]],
            "bytes it must move": [quantity_text(value, _BYTES, "bytes") for value in known["bytes_min"]],
            "FLOP per byte": [
                "–" if is_missing(flops) or is_missing(size) or not size else significant(flops / size)
                for flops, size in zip(known["flops"], known["bytes_min"], strict=True)
            ],
        }
    )


def _places(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the columns that say where: shape as in case ids, mode, dtype; options only where some are not the default."""
    options = [options_label(text) or "defaults" for text in rows["gate_options"]]
    sizes = zip(*(rows[name] for name in ("seq_len", "batch", "input_size", "hidden_size")), strict=True)
    shapes = [
        "-".join(letter + ("?" if is_missing(size) else str(int(size))) for letter, size in zip("TBIH", shape, strict=True))
        for shape in sizes
    ]  # fmt: skip
    return {
        "shape": shapes, "mode": rows["mode"].str.replace("_", " + "), "dtype": rows["dtype"],
        **({"options": options} if set(options) - {"defaults"} else {}),
    }  # fmt: skip


def quantity_text(value: Any, units: tuple, unit: str) -> str:
    """Return a number with its unit and the fitting prefix, e.g. `33.6 MFLOP` or `1.50 MiB`; a dash where there is none."""
    if is_missing(value):
        return "–"
    scale, prefix = next(((scale, prefix) for scale, prefix in units if value >= scale), (1, ""))
    whole = prefix if prefix.endswith("B") else f"{prefix}{unit}"
    return f"{significant(value / scale)} {whole}"


def best_by_shape(measurements: pd.DataFrame, samples: pd.DataFrame) -> pd.DataFrame:
    """Return the fastest implementation of a gate at each measured shape of one run, as text.

    measurements, samples: as `winner_cells` takes them, of several slices. Columns: shape, fastest, time with its 95 %
    interval, mode, dtype, options, blocks, next, margin with its interval, as fast.
    """
    rows = measurements[measurements["seq_len"].notna()].reset_index(drop=True)
    rows = rows.assign(device_text=devices(rows), input_text=inputs(rows))
    found = []
    for _, group in rows.groupby([*SLICE, "input_text"], dropna=False, sort=False):
        cells = winner_cells(group, samples[samples["case_id"].isin(set(group["case_id"]))])
        shapes = group.drop_duplicates(["seq_len", "hidden_size"]).set_index(["seq_len", "hidden_size"])
        tried = cells[cells["state"] != "not measured"]
        found += [(shapes.loc[(cell.seq_len, cell.hidden_size)], cell) for cell in tried.itertuples()]
    if not found:
        return pd.DataFrame()
    places, cells = pd.DataFrame([where for where, _ in found]).reset_index(drop=True), [cell for _, cell in found]
    places = places.assign(seq_len=[cell.seq_len for cell in cells], hidden_size=[cell.hidden_size for cell in cells])
    where = _places(places)
    # A narrow window shows the first columns.
    return pd.DataFrame(
        {
            "shape": where.pop("shape"),
            "fastest": ["none has a time" if is_missing(cell.winner) else cell.winner for cell in cells],
            "time of one call (95 %)": [estimate_text(cell.time_ns, cell.ci_low_ns, cell.ci_high_ns) for cell in cells],
            **where,
            "blocks": ["–" if is_missing(cell.blocks) else str(int(cell.blocks)) for cell in cells],
            "next": ["–" if is_missing(cell.runner_up) else cell.runner_up for cell in cells],
            "margin (95 %)": [times_text(cell.margin, cell.margin_low, cell.margin_high) for cell in cells],
            "as fast": ["" if is_missing(cell.tied) else cell.tied for cell in cells],
            "device": places["device_text"],
        }
    )

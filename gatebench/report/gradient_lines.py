"""What gradients do, in one line per init below a gate's table of times."""

import math
from collections.abc import Callable

import pandas as pd

from gatebench.own_files import short_name
from gatebench.report.names import coarseness
from gatebench.report.quantities import is_missing, significant
from gatebench.report.stability import case_summary
from gatebench.words import counted


def gradient_lines(stability: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Return the gradient lines by (gate, options): `halves every 1.6 steps, reach 16 steps, vanished [torch init, T=128, 8 seeds]`.

    One line per init, inputs and task, at the finest dtype, the longest T and the end of training.
    """
    if not len(stability):
        return {}
    summary = case_summary(stability)
    return _by_gate(summary[summary["half_life"].notna() & summary["label"].notna()], _line)


def stack_lines(stability: pd.DataFrame) -> dict[tuple[str, str], list[str]]:
    """Return such lines of gates that are stacked: `through 8 layers: vanished [torch init, T=128, H=32, float64, 2 seeds]`."""
    layers = stability.loc[stability["metric"] == "log_depth_gradient_norm", "index"].max()
    if is_missing(layers):
        return {}
    summary = case_summary(stability)
    words = f"through {counted(int(layers), 'layer')}: "
    return _by_gate(
        summary[summary["label"].notna()], lambda row: f"{words}{row['label']} [{', '.join(_conditions(row))}]"
    )


def _by_gate(summary: pd.DataFrame, line: Callable[[pd.Series], str]) -> dict[tuple[str, str], list[str]]:
    """Return a line per init, inputs and task of each (gate, options), of its case at the finest dtype and longest T."""
    ordered = summary.assign(fine=summary["dtype"].map(coarseness)).sort_values(
        ["fine", "seq_len", "train_step"], ascending=[True, False, False]
    )
    found: dict[tuple[str, str], list[str]] = {}
    for (gate, options, *_), rows in ordered.groupby(
        ["gate", "options", "init", "inputs", "task"], sort=False, dropna=False
    ):
        found.setdefault((str(gate), str(options)), []).append(line(rows.iloc[0]))
    return found


def _line(row: pd.Series) -> str:
    halves = f"halves every {significant(row['half_life'], 2)} steps"
    halves = "does not shrink" if row["half_life"] == math.inf else halves
    steps = f"{row['reach']:.0f} steps"
    reach = f"at least {steps}" if row["reach"] >= row["seq_len"] else steps  # a longer T might show more
    return f"gradient: {halves}, reach {reach}, {row['label']} [{', '.join(_conditions(row))}]"


def _conditions(row: pd.Series) -> list[str]:
    words = [f"{short_name(row['init'])} init", f"T={int(row['seq_len'])}", f"H={int(row['hidden_size'])}"]
    if not is_missing(row["task"]):
        words.append(f"after {int(row['train_step'])} steps of {row['task']}")
    elif row["inputs"] != "normal":
        words.append(f"inputs {short_name(row['inputs'])}")
    return [*words, row["dtype"], counted(row["seeds"], "seed")]

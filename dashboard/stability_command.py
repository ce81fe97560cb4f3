"""The `gatebench stability` that measures what the stability page shows: a line for all gates that share their inits."""

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from dashboard import elements
from dashboard.filters import text
from gatebench.forms import DEFAULT_METRICS, METRICS
from gatebench.own_files import FROM_FILE, selectors
from gatebench.report.names import natural

SEEDS = 4  # the command's own default
# Groups of metrics that are measured only where they are asked for, by a metric of theirs.
ASKED_FOR = {
    "lyapunov_exponent": "spectrum", "log_singular_value": "singular_values", "log_abs_det": "determinant",
}  # fmt: skip


# Keys of a part that say which rows it asked for, and the column that they fill; a key that is not there says nothing.
AXES = {"gates": "plain_gate", "init": "init", "dtypes": "dtype", "seq_len": "seq_len", "hidden_size": "hidden_size"}
ASKED = [  # columns that say what was asked for
    "plain_gate", "plain_options", "init", "dtype", "seq_len", "hidden_size", "inputs", "batch", "seed", "metric", "probe",
    "task", "train_step",
]  # fmt: skip
Part = Mapping[str, Any]


def command(rows: pd.DataFrame, asked: Sequence[Part] = ()) -> str:
    """Return it; what a store does not know (paths of files, a threshold that differs) is a word in capitals.

    asked: the [stability] parts that the run was asked for. A line asks for each of its gates at each of its inits, and a
    gate without a gate that keeps its state has no forget_bias: gates with other inits get a line of their own.
    """
    rows = pd.DataFrame(rows[ASKED]).drop_duplicates()
    inits = rows.groupby("plain_gate", sort=False)["init"].agg(frozenset)
    lines = [rows[rows["plain_gate"].isin(gates.index)] for _, gates in inits.groupby(inits, sort=False)]
    return "\n".join(_line(line, asked) for line in lines)


def _line(rows: pd.DataFrame, asked: Sequence[Part]) -> str:
    parts = [part for part in asked if _filled(part, rows)]
    words = [
        "gatebench", "stability", *dict.fromkeys(rows["plain_gate"]), *_options(rows), *_model(rows),
        "--dtype", _list(rows["dtype"]), "--seq-len", _list(rows["seq_len"]), *_inputs(rows), *_seeds(rows),
        *_metrics(rows, parts), *_probes(rows), *_training(rows, parts),
    ]  # fmt: skip
    return shlex.join(words) + elements.store_option()


def _list(values: pd.Series) -> str:
    """Return the values as an option takes them, numbers in their order."""
    found = list(dict.fromkeys(values.dropna().map(text)))
    return ",".join(sorted(found, key=natural) if pd.api.types.is_numeric_dtype(values) else found)


def _options(rows: pd.DataFrame) -> list[str]:
    """Return -o for each option of the gates; a gate that is there with several sets of options goes without."""
    words = []
    for gate, options in rows.groupby("plain_gate", sort=False)["plain_options"]:
        if options.nunique() == 1:
            for name, value in sorted(json.loads(options.iloc[0]).items()):
                words += ["-o", f"{gate}.{name}={value if isinstance(value, str) else json.dumps(value)}"]
    return words


def _model(rows: pd.DataFrame) -> list[str]:
    """Return the words that name the weights; a store knows a file's hash, not where it lies."""
    from_file = rows["init"].str.startswith(FROM_FILE)
    if from_file.iloc[0]:
        chosen = selectors(rows["init"].iloc[0])
        return ["--weights", "FILE", *(word for key, value in chosen.items() for word in (f"--{key}", value))]
    return ["--init", _list(rows.loc[~from_file, "init"]), "--hidden-size", _list(rows["hidden_size"])]


def _inputs(rows: pd.DataFrame) -> list[str]:
    kind = str(rows["inputs"].iloc[0])
    if kind.startswith(FROM_FILE):
        return ["--inputs", "FILE"]
    return [*(() if kind in ("normal", "task") else ("--inputs", kind)), "--batch", _list(rows["batch"])]


def _seeds(rows: pd.DataFrame) -> list[str]:
    """Return --seeds where it is not the default; where weights and inputs come from files, nothing is drawn."""
    drawn = not (rows[["init", "inputs"]].iloc[0].str.startswith(FROM_FILE)).all()
    seeds = rows["seed"].nunique()
    return ["--seeds", str(seeds)] if drawn and seeds != SEEDS else []


def _metrics(rows: pd.DataFrame, parts: Sequence[Part]) -> list[str]:
    """Return --metric with the groups that were asked for, where they are not the usual ones.

    Where a run does not say: the usual ones and those by whose rows it shows, for not every group has rows of every gate.
    """
    asked = {name for part in parts for name in part.get("metrics", DEFAULT_METRICS)}
    measured = set(rows["metric"])
    asked = asked or {*DEFAULT_METRICS, *(group for metric, group in ASKED_FOR.items() if metric in measured)}
    groups = [group for group in dict.fromkeys([*DEFAULT_METRICS, *METRICS]) if group in asked or "*" in asked]
    if set(groups) == set(DEFAULT_METRICS):
        return []
    return ["--metric", "*" if len(groups) == len(METRICS) else ",".join(groups)]


def _probes(rows: pd.DataFrame) -> list[str]:
    drawn = set(rows["probe"].dropna()) - {"ones"}
    return ["--probes", str(len(drawn))] if drawn else []


def _training(rows: pd.DataFrame, parts: Sequence[Part]) -> list[str]:
    steps = rows["train_step"].dropna()
    if steps.empty:
        return []
    words = ["--task", _list(rows["task"]), "--after-steps", text(steps.max())]
    clipped = (rows["metric"] == "clip_rate").any()
    clip = _given(parts, "clip", "THRESHOLD") or ("THRESHOLD" if clipped else "")
    rate = _given(parts, "learning_rate", "RATE")
    return [*words, *(["--clip", clip] if clip else []), *(["--learning-rate", rate] if rate else [])]


def _given(parts: Sequence[Part], key: str, several: str) -> str:
    """Return what the parts give for a key, as text; nothing where none does, `several` where they differ."""
    values = {text(part.get(key)) for part in parts} or {"none"}
    value = values.pop()
    return several if values else "" if value == "none" else value


def _filled(part: Part, rows: pd.DataFrame) -> bool:
    """Say whether some of the rows may come from a part."""
    if set(part.get("tasks", ["none"])).isdisjoint(rows["task"].map(text)):
        return False
    return not any(
        key in part and set(map(text, part[key])).isdisjoint(rows[column].map(text))
        for key, column in AXES.items()
        if key != "gates"
        or not any(":" in name for name in part.get("gates", []))  # a family, whose gates it does not name
    )

"""The `gatebench stability` that measures what the stability page shows."""

import json
import shlex

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


def command(rows: pd.DataFrame) -> str:
    """Return it; what a store does not know (paths of files, the threshold of clipping, a learning rate) is left out."""
    words = [
        "gatebench", "stability", *dict.fromkeys(rows["plain_gate"]), *_options(rows), *_model(rows),
        "--dtype", _list(rows["dtype"]), "--seq-len", _list(rows["seq_len"]), *_inputs(rows), *_seeds(rows),
        *_metrics(rows), *_probes(rows), *_training(rows),
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


def _metrics(rows: pd.DataFrame) -> list[str]:
    measured = set(rows["metric"])
    more = [group for metric, group in ASKED_FOR.items() if metric in measured]
    if not more:
        return []
    return [
        "--metric",
        "*" if len(more) == len(METRICS) - len(DEFAULT_METRICS) else ",".join([*DEFAULT_METRICS, *more]),
    ]


def _probes(rows: pd.DataFrame) -> list[str]:
    drawn = set(rows["probe"].dropna()) - {"ones"}
    return ["--probes", str(len(drawn))] if drawn else []


def _training(rows: pd.DataFrame) -> list[str]:
    steps = rows["train_step"].dropna()
    return ["--task", _list(rows["task"]), "--after-steps", text(steps.max())] if len(steps) else []

"""Stability requests in few lines: each says the axes of a part, whose product its requests are."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from gatebench.forms import METRICS
from gatebench.own_files import short_name
from gatebench.report.names import options_label
from gatebench.words import counted

AXES = ("seeds", "batch", "seq_len", "hidden_size", "inputs", "dtypes", "init", "tasks", "gates")
Part = dict[str, Any]


def parts(requests: Iterable[Mapping[str, Any]]) -> list[Part]:
    """Return parts that hold each request once: the lists of AXES, in the order of the requests, metrics, and how to train.

    hidden_size has texts: `64`, or `64 (I 7)` where the input size follows from nothing. count: how many requests.
    """
    found = [(_asked(request), tuple((value,) for value in _values(request))) for request in requests]
    for axis in range(len(AXES)):
        groups: dict[Any, list[Any]] = {}
        for asked, values in found:
            groups.setdefault((asked, *values[:axis], *values[axis + 1 :]), []).extend(values[axis])
        found = [(asked, (*rest[:axis], tuple(mine), *rest[axis:])) for (asked, *rest), mine in groups.items()]
    return [
        {**dict(zip(AXES, map(list, values), strict=True)), **json.loads(asked), "count": math.prod(map(len, values))}
        for asked, values in found
    ]


def lines(requests: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a line per part."""
    return [_line(part) for part in parts(requests)]


def _values(request: Mapping[str, Any]) -> tuple[Any, ...]:
    width, size = request["input_size"], request["hidden_size"]
    options = options_label(json.dumps(dict(request.get("gate_options", {}))))
    return (
        request["seed"], request["batch"], request["seq_len"],
        str(size) if width == size or request["task"] else f"{size} (I {width})",
        short_name(request["inputs"]), request["dtype"], short_name(request["init"]), request["task"],
        request["gate"] + (f" ({options})" if options else ""),
    )  # fmt: skip


def _asked(request: Mapping[str, Any]) -> str:
    names = ("metrics", "probes", "after_steps", "clip", "learning_rate")
    return json.dumps({name: request[name] for name in names if name in request})


def _line(part: Part) -> str:
    trained = [f"task {_listed(part['tasks'])}, {part['after_steps']} steps"] if part["tasks"] != [None] else []
    trained += [f"{name.replace('_', ' ')} {part[name]}" for name in ("clip", "learning_rate") if name in part]
    told = [
        f"init {_listed(part['init'])}",
        *([] if trained else [f"inputs {_listed(part['inputs'])}"]),
        _listed(part["dtypes"]),
        f"T {_listed(part['seq_len'])}",
        f"B {_listed(part['batch'])}",
        f"H {_listed(part['hidden_size'])}",
        counted(len(part["seeds"]), "seed"),
        *trained,
        "all metrics" if set(part["metrics"]) == set(METRICS) else f"metrics {_listed(part['metrics'])}",
        *([f"{part['probes']} Gaussian probes"] if part.get("probes") else []),
    ]
    return f"stability of {_listed(part['gates'])}: {'; '.join(told)}"


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(map(str, values))

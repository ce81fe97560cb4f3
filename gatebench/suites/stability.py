"""Expand the [stability] parts of a suite to requests: axes multiply, names and texts are checked."""

import itertools
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from gatebench.cases import DTYPES
from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError
from gatebench.forms import DEFAULT_METRICS, INITS, INPUTS, METRICS, TASKS
from gatebench.suites.checks import MAX_CASES, axis, number, sizes, stability_part, written
from gatebench.suites.model import Narrowing, Suite
from gatebench.suites.names import check_narrowing, group_gates
from gatebench.suites.own_files import FILES, default_sizes, files_of, is_drawn

CHAIN_DTYPES = (*DTYPES, "float16")  # gradients are looked at in what no implementation is timed in, too
MAX_SEEDS = 10_000  # of one part
MAX_PROBES = 1000
MAX_STEPS = 1_000_000  # of training
AXES = ("gate", "init", "inputs", "dtype", "batch", "seq_len", "hidden_size", "input_size", "task", "seed")
TRAINING = ("after_steps", "clip", "learning_rate")  # keys that say how to train, once there is a task

Request = dict[str, Any]


def expand_stability(suite: Suite, catalogue: Catalogue, narrowing: Narrowing | None = None) -> list[Request]:
    """Return one request per gate, init, inputs, dtype, shape, task and seed of the suite's [stability] parts.

    What a file of one's own says (hash, names, sizes) is still open: gatebench.run.own_files fills it in. What two parts
    both ask for is measured once, with the metrics of both. Raises SuiteError for unknown keys' values, for
    over 100,000 requests, and for two parts that train the same otherwise.
    """
    narrowing = check_narrowing(narrowing or Narrowing(), catalogue)
    requests: list[Request] = []
    total = 0
    for part, group in enumerate(suite.stability, start=1):
        where = stability_part(suite.file, part, len(suite.stability))
        names = group_gates(where, group, catalogue)
        files = files_of(where, group, names, catalogue)
        names = [name for name in names if not narrowing.gates or name in narrowing.gates]
        axes = {"gate": names, **_axes(where, group, files)}
        total += math.prod(len(values) for values in axes.values())
        if total > MAX_CASES:
            raise SuiteError(
                where, f"expands to {total:,} requests", f"at most {MAX_CASES:,} are accepted", "shorten an axis"
            )
        asked = _asked(where, group)
        given = {name: {**group.get("options", {}), **narrowing.options.get(name, {})} for name in names}
        options = {name: dict(catalogue.check_options(where, name, given[name])) for name in names}
        for choice in itertools.product(*axes.values()):
            request = _request(dict(zip(axes, choice, strict=True)), suite.seed, asked, files)
            if is_drawn(request) or request["seed"] == suite.seed:  # other seeds would measure the same again
                requests.append(request | {"gate_options": options[request["gate"]]})
    return merged(f"{suite.file}: stability", requests)


def merged(where: str, requests: Iterable[Request]) -> list[Request]:
    """Return requests without duplicates: what several ask for is one, with the metrics of all.

    Raises SuiteError for two that train the same otherwise.
    """
    kept: dict[tuple[Any, ...], Request] = {}
    for request in requests:
        _keep(where, kept, request)
    return list(kept.values())


def _axes(where: str, group: Mapping[str, Any], files: Mapping[str, Any]) -> dict[str, list[Any]]:
    def of_size(key: str, default: list[int] | None) -> list[int]:
        return sizes(where, group, key, default_sizes(files, key, default))

    return {
        "init": written(where, group, "init", ["torch"], INITS),
        "inputs": ["task"] if "tasks" in group else written(where, group, "inputs", ["normal"], INPUTS),
        "dtype": axis(where, group, "dtypes", ["float64"], CHAIN_DTYPES),
        "batch": of_size("batch", [4]),
        "seq_len": of_size("seq_len", None),
        "hidden_size": of_size("hidden_size", None),
        "input_size": sizes(where, group, "input_size", [0]),
        "task": _tasks(where, group),
        "seed": list(range(number(where, group, "seeds", 1, 1, MAX_SEEDS))),
    }


def _tasks(where: str, group: Mapping[str, Any]) -> list[str | None]:
    """Return the tasks to train on, [None] for none."""
    if "tasks" not in group:
        for key in TRAINING:
            if key in group:
                what, accepted = f"{group[key]!r}, given without tasks", f"accepted: beside tasks ({', '.join(TASKS)})"
                raise SuiteError(f"{where}.{key}", what, accepted, "add tasks and after_steps, or drop it")
        return [None]
    tasks = axis(where, group, "tasks", None, tuple(TASKS))
    if "after_steps" not in group:
        accepted = f"accepted: beside after_steps, 1 to {MAX_STEPS:,} steps of training"
        raise SuiteError(f"{where}.tasks", "given without after_steps", accepted, "add after_steps")
    for key in ("input_size", "inputs", "inputs_file"):
        if key in group:
            accepted = "accepted: one of them, a task has inputs of its own"
            raise SuiteError(f"{where}.{key}", "given together with tasks", accepted, "drop it")
    return [*tasks]


def _asked(where: str, group: Mapping[str, Any]) -> Request:
    """Return what is no axis: metrics, probes and how to train."""
    metrics = axis(where, group, "metrics", list(DEFAULT_METRICS), ("*", *METRICS))
    asked: Request = {
        "metrics": list(METRICS) if "*" in metrics else list(dict.fromkeys(metrics)),
        "probes": number(where, group, "probes", 0, 0, MAX_PROBES),
    }
    if asked["probes"] and "profile" not in asked["metrics"]:
        what, accepted = f"{asked['probes']}, given without the metric profile", "accepted: beside profile, of which each has its own"  # fmt: skip
        raise SuiteError(f"{where}.probes", what, accepted, "add profile, or drop probes")
    if "tasks" in group:
        asked["after_steps"] = number(where, group, "after_steps", 1, 1, MAX_STEPS)
        for key in ("clip", "learning_rate"):
            if key in group:
                asked[key] = number(where, group, key, 1.0, 0.0, 1e6, above=True)
    return asked


def _request(choice: Request, seed: int, asked: Request, files: Mapping[str, Any]) -> Request:
    request = {**choice, "seed": seed + choice["seed"], **asked, **files}
    task = request["task"]
    if task:
        request["input_size"] = TASKS[task]
    elif not files:
        request["input_size"] = request["input_size"] or request["hidden_size"]
    return request


def _keep(where: str, kept: dict[tuple[Any, ...], Request], request: Request) -> None:
    """Add a request, or its metrics to one that is there already."""
    told = (request["gate_options"], *(_contents(request[file]) for file in FILES if file in request))
    key = (*(request[name] for name in AXES), json.dumps(told, sort_keys=True))
    before = kept.setdefault(key, request)
    for name in TRAINING:
        values = [asked.get(name, "none given") for asked in (request, before)]
        if values[0] != values[1]:
            what = f"{values[0]}, where another part trains {request['gate']} on {request['task']} with {values[1]}"
            accepted = "accepted: one way to train a gate on a task"
            raise SuiteError(f"{where}.{name}", what, accepted, f"give both the same {name}, or measure them in two runs")  # fmt: skip
    before["metrics"] = [name for name in METRICS if name in {*before["metrics"], *request["metrics"]}]
    before["probes"] = max(before["probes"], request["probes"])


def _contents(file: Mapping[str, Any]) -> dict[str, Any]:
    """Return what tells two files apart: once a hash is known, a copy elsewhere is the same file."""
    return {key: value for key, value in file.items() if key != "file" or not file["sha256"]}

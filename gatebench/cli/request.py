"""From the flags of `run` and `verify` to a request: a suite file, a shipped name, or flags alone."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatebench.cases import COMMAND_LINE_SUITE
from gatebench.catalogue import Catalogue
from gatebench.cli.options import names, sizes
from gatebench.errors import UserError
from gatebench.run.execute import Request
from gatebench.suites import SCHEMA, Narrowing, find_suite, read_suite, suite_from_data

COMMAND_LINE = "command line"  # the file of a suite that stands for flags


def build_request(suite: str | None, flags: dict[str, Any], measure: dict[str, Any], plugins: list[Path]) -> Request:
    """Return what the user asked for. flags: gates, implementations, modes, ... as text, "" where not given."""
    read = {
        "gates": names(flags["gates"]),
        "implementations": names(flags["implementations"]),
        "modes": names(flags["modes"]),
        "dtypes": names(flags["dtypes"]),
        "batch": sizes("--batch", flags["batch"]),
        "seq_len": sizes("--seq-len", flags["seq_len"]),
        "hidden_size": sizes("--hidden-size", flags["hidden_size"]),
        "threads": sizes("--threads", flags["threads"], 0, "number of threads", "1,2"),
    }
    options: dict[str, dict[str, Any]] = flags["options"]
    if suite is not None:
        found = read_suite(find_suite(suite))
        for key in ("input_size", "device"):
            if flags[key]:
                flag = f"--{key.replace('_', '-')}"
                raise UserError(flag, "goes without a suite only", "a suite says it itself", "drop it")
        narrowing = Narrowing(**read, glob=flags["glob"], options=options)
        if measure:
            found = type(found)(
                **{**found.__dict__, "measure": type(found.measure)(**{**found.measure.__dict__, **measure})}
            )
        return Request(found, narrowing, tuple(plugins), read["implementations"])
    if not read["gates"]:
        raise UserError(
            "run",
            "neither a suite nor a gate is given",
            "a suite (file or shipped name), or -g with --batch, --seq-len, --hidden-size",
            "e.g. `gatebench run quick`",
        )
    group: dict[str, Any] = {
        "why": "asked for on the command line",
        **{key: list(value) for key, value in read.items() if value},
    }
    if flags["device"]:
        group["device"] = flags["device"]
    if flags["input_size"]:
        group["input_size"] = list(sizes("--input-size", flags["input_size"]))
    for key in ("batch", "seq_len", "hidden_size"):
        if key not in group:
            raise UserError(
                f"--{key.replace('_', '-')}",
                "is missing",
                "without a suite all of --batch, --seq-len, --hidden-size are needed",
                f"e.g. --{key.replace('_', '-')} 128",
            )
    # A gate that stands behind `family:` or `*` is known later only; what is named goes into the suite that is stored.
    hidden = {} if all(name.isidentifier() for name in read["gates"]) else options
    cases = _groups(group, read["gates"], {} if hidden else options)
    data: dict[str, Any] = {"schema": SCHEMA, "name": COMMAND_LINE_SUITE, "cases": cases, "measure": measure}
    parsed = suite_from_data(data, as_toml(data), COMMAND_LINE, Path())
    return Request(parsed, Narrowing(glob=flags["glob"], options=hidden), tuple(plugins), read["implementations"])


def say_broken_plugins(catalogue: Catalogue, named: list[Path]) -> bool:
    """Say on stderr which plugins cannot be used, and why; returns whether one of `named` is among them."""
    for path, reason in catalogue.broken.items():
        print(f"plugin {path.name}: cannot be used: {reason}", file=sys.stderr)
    return any(path.resolve() in catalogue.broken for path in named)


def _groups(group: dict[str, Any], gates: tuple[str, ...], options: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the suite's groups: one for all gates at their defaults, and one for each that has options."""
    of_implementations = {name: given for name, given in options.items() if name not in gates}
    if of_implementations:
        group = {**group, "implementation_options": of_implementations}
    plain = [name for name in gates if name not in options]
    own = [{**group, "gates": [name], "options": options[name]} for name in gates if name in options]
    return [*([{**group, "gates": plain}] if plain else []), *own]


_FLAGS = {
    "gates": "-g", "implementations": "-i", "modes": "-m", "dtypes": "--dtype", "implementation_options": "-o", "options": "-o",
    "batch": "--batch", "seq_len": "--seq-len", "hidden_size": "--hidden-size", "input_size": "--input-size",
    "threads": "--threads", "device": "--device", "init": "--init", "seeds": "--seeds",
    "weights": "--weights", "prefix": "--prefix", "layer": "--layer", "direction": "--direction", "source": "--source",
    "inputs_file": "--inputs", "inputs": "--inputs", "metrics": "--metric", "probes": "--probes", "tasks": "--task",
    "after_steps": "--after-steps", "clip": "--clip", "learning_rate": "--learning-rate", "timeout_s": "--timeout",
}  # fmt: skip


@contextmanager
def flags_named(verb: str = "run", **own: str) -> Iterator[None]:
    """Let an error of a suite that stands for flags name the flag: its user wrote no `cases[1]`.

    verb: what an error of no single key is said of. own: what a command calls a key, where that is not the flag of `run`.
    """
    try:
        yield
    except UserError as error:
        if not error.where.startswith(COMMAND_LINE):
            raise
        # <command line>: cases[1].options: gate lstm
        place, _, key = error.where.rpartition(".")
        key, _, owner = key.partition(": ")
        where = (_FLAGS | own).get(key, verb) if place else verb
        where += f": {owner}" if place and owner else ""
        raise type(error)(where, error.what, error.accepted, error.next_step) from error


def as_toml(data: dict[str, Any]) -> str:
    """Write the suite that flags stand for, so that the run keeps it and anyone can run it again."""
    lines = [f"{key} = {_toml(value)}" for key, value in data.items() if not isinstance(value, list | dict)]
    if data["measure"]:
        lines += ["", "[measure]", *(f"{key} = {_toml(value)}" for key, value in data["measure"].items())]
    for part in ("cases", "stability"):
        for group in data.get(part, []):
            lines += ["", f"[[{part}]]", *(f"{key} = {_toml(value)}" for key, value in group.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(entry)}" for key, entry in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    if isinstance(value, str):  # names of files may be bytes that are no text
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    # TOML's text, numbers and booleans look as JSON's do, but for DEL and for what JSON writes as two halves.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

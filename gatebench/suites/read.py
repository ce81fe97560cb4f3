"""Find, read and check a suite: a TOML file, a shipped name, or data."""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from gatebench.errors import SuiteError, unknown
from gatebench.shipped import shipped
from gatebench.suites.checks import check_group, check_type, known_keys, stability_part
from gatebench.suites.model import SIZES, Measure, Suite
from gatebench.suites.own_files import KEYS as FILE_KEYS
from gatebench.suites.own_files import beside

SCHEMA = "gatebench-suite/1"

_AXES = ("modes", "dtypes", "threads", "cache", "launch")
# What the file and its groups may say; docs/suites.md says what it means.
KEYS = {
    "suite": ("schema", "name", "why", "seed", "extends", "plugins", "measure", "cases", "stability"),
    "cases": (
        "why", "gates", "implementations", "device", *_AXES, *SIZES, "shapes", "options", "implementation_options", "exclude",
    ),
    "stability": (
        "why", "gates", "options", "init", "inputs", "dtypes", "batch", "seq_len", "input_size", "hidden_size", "seeds",
        "metrics", "probes", "tasks", "after_steps", "clip", "learning_rate", *FILE_KEYS,
    ),
}  # fmt: skip
_MEASURE_MINIMUM = {"blocks": 1, "rounds": 1, "sample_ms": 0.01, "warmup_s": 0.0, "timeout_s": 0.1, "memory_mb": 0}
_MAX_ERROR_LIMIT = 4.0  # the strictest dtype's own limit


def find_suite(name: str, beside: Path | None = None) -> Path:
    """Return the file of a suite: a path (of an extended one relative to `beside`), or a shipped name; raises SuiteError."""
    for path in [Path(name)] if beside is None else [beside / name, beside / f"{name}.toml"]:
        if path.is_file():
            return path
    names = shipped_suites()
    if name in names:
        return shipped("suites") / f"{name}.toml"
    if name.endswith(".toml") or "/" in name:
        raise SuiteError(f"suite {name}", "no such file", f"a TOML file, or a shipped suite: {', '.join(names)}")
    raise unknown("suite", "suite", name, names, SuiteError)


def shipped_suites() -> list[str]:
    """Return the names of the suites that come with gatebench."""
    return sorted(path.stem for path in shipped("suites").glob("*.toml"))


def read_suite(path: Path, extended_by: tuple[Path, ...] = ()) -> Suite:
    """Read and check a suite file, with what it extends; raises SuiteError with file, key and value."""
    where = path.name
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SuiteError(
            f"suite {where}", f"cannot be read: {reason}", "a TOML file is accepted", "check the path"
        ) from error
    return suite_from_text(text, where, path.parent, (*extended_by, path.resolve()))


def suite_from_text(text: str, where: str, directory: Path, extended_by: tuple[Path, ...] = ()) -> Suite:
    """Check a suite's text; plugins and the suite that it extends are looked up beside `directory`."""
    try:
        raw = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        what = error if isinstance(error, ValueError) else "nested too deep"
        raise SuiteError(
            f"suite {where}", f"is not TOML: {what}", "a TOML file is accepted", "mend the line"
        ) from error
    return suite_from_data(raw, text, where, directory, extended_by)


def suite_from_data(
    raw: Mapping[str, Any], text: str, where: str, directory: Path, extended_by: tuple[Path, ...] = ()
) -> Suite:
    """Check a suite's data and return it; raises SuiteError for anything unknown or missing.

    extended_by: the files that led here through `extends`, this one last.
    """
    if raw.get("schema") != SCHEMA:
        raise SuiteError(
            where, f"schema = {raw.get('schema')!r} is no suite", f'accepted: schema = "{SCHEMA}"', "add the line"
        )
    known_keys(where, raw, KEYS["suite"])
    base = _base(where, raw["extends"], directory, extended_by) if "extends" in raw else None
    name = raw.get("name", Path(where).stem)
    check_type(where, "name", name, str)
    check_type(where, "why", raw.get("why", ""), str)
    seed = raw.get("seed", base.seed if base else 0)
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise SuiteError(where, f"seed = {seed!r}", "an integer from 0 is accepted")
    groups = raw.get("cases", [])
    if not isinstance(groups, list) or not all(isinstance(group, dict) for group in groups):
        raise SuiteError(where, "cases is no list of tables", "accepted: [[cases]]")
    for number, group in enumerate(groups, start=1):
        check_group(f"{where}: cases[{number}]", group, KEYS["cases"])
    stability = raw.get("stability", [])
    stability = [stability] if isinstance(stability, dict) else stability
    if not isinstance(stability, list):
        raise SuiteError(where, f"stability = {stability!r}", "a table is accepted", "write [stability]")
    for number, group in enumerate(stability, start=1):
        check_group(stability_part(where, number, len(stability)), group, KEYS["stability"])
    measure = _measure(where, raw.get("measure", {}), base.measure if base else Measure())
    plugins = raw.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(plugin, str) for plugin in plugins):
        raise SuiteError(where, f"plugins = {plugins!r}", "a list of file names is accepted")
    return Suite(
        name=name,
        why=raw.get("why", ""),
        seed=seed,
        measure=measure,
        cases=(*(base.cases if base else ()), *groups),
        stability=tuple(beside(directory, group) for group in stability) or (base.stability if base else ()),
        plugins=(*(base.plugins if base else ()), *(directory / plugin for plugin in plugins)),
        text=text,
        file=where,
    )


def _base(where: str, name: Any, directory: Path, extended_by: tuple[Path, ...]) -> Suite:
    """Read the suite that this one extends; a suite that comes back to itself is an error."""
    check_type(where, "extends", name, str)
    path = find_suite(name, directory)
    if path.resolve() in extended_by:
        chain = " -> ".join(file.stem for file in (*extended_by, path))
        raise SuiteError(where, f"extends = {name!r} goes round in a circle ({chain})", "another suite is accepted")
    return read_suite(path, extended_by)


def _measure(where: str, given: Any, base: Measure) -> Measure:
    if not isinstance(given, dict):
        raise SuiteError(where, f"measure = {given!r}", "a table is accepted")
    names = tuple(entry.name for entry in fields(Measure))
    known_keys(f"{where}: measure", given, names)
    for key, value in given.items():
        whole = key in ("blocks", "rounds", "memory_mb")
        right = (
            isinstance(value, int if whole else int | float) and not isinstance(value, bool) and math.isfinite(value)
        )
        if key == "error_limit" and not (right and 0 < value <= _MAX_ERROR_LIMIT):
            raise SuiteError(
                f"{where}: measure.{key}",
                f"{value!r}",
                f"above 0, up to {_MAX_ERROR_LIMIT:g}: a suite may only lower it",
            )
        if not right or value < _MEASURE_MINIMUM.get(key, 0):
            kind = "an integer" if whole else "a finite number"
            raise SuiteError(
                f"{where}: measure.{key}", f"{value!r}", f"{kind} from {_MEASURE_MINIMUM[key]} is accepted"
            )
    return Measure(**{**{name: getattr(base, name) for name in names}, **given})

"""Checks of one key of a suite; each raises SuiteError with file, key, value and what is accepted."""

from collections.abc import Mapping
from typing import Any

from gatebench.errors import SuiteError, unknown
from gatebench.forms import Form, choice

MAX_CASES = 100_000  # of a suite, stability requests counted apart
MAX_SIZE = 1 << 24  # one axis of a shape; above this a case could not be held anywhere
MAX_THREADS = 1024  # more than any one machine has cores; starting more threads only breaks it


def stability_part(file: str, number: int, count: int) -> str:
    """Return how errors name one of a suite's [stability] parts: by its number where there are several."""
    return f"{file}: stability" + (f"[{number}]" if count > 1 else "")


def check_group(where: str, group: Any, keys: tuple[str, ...]) -> None:
    """Check that a group is a table of known keys, with a `why`, and its options are tables."""
    if not isinstance(group, dict):
        raise SuiteError(where, f"{group!r} is no table", "a table is accepted")
    known_keys(where, group, keys)
    if not isinstance(group.get("why"), str) or not group["why"].strip():
        raise SuiteError(where, "has no `why`", "one sentence is required", "say what this group is for")
    check_options(f"{where}.options", group.get("options", {}))
    by_implementation = group.get("implementation_options", {})
    check_options(f"{where}.implementation_options", by_implementation)
    for name, options in by_implementation.items():
        check_options(f"{where}.implementation_options.{name}", options)


def check_options(where: str, options: Any) -> None:
    """Check that options are a table, and that none is an empty axis."""
    if not isinstance(options, dict):
        raise SuiteError(where, f"{options!r} is no table", "a table of options is accepted", "write { name = value }")
    for name, value in options.items():
        if value == []:
            raise SuiteError(f"{where}.{name}", "the axis is empty", "at least one value is accepted")


def known_keys(where: str, table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    """Check that a table has no key beside these."""
    for key in table:
        if key not in keys:
            raise unknown(where, "key", key, keys, SuiteError)


def check_type(where: str, key: str, value: Any, kind: type) -> None:
    """Check the type of a value."""
    if not isinstance(value, kind):
        raise SuiteError(where, f"{key} = {value!r}", f"{kind.__name__} is accepted")


def texts(where: str, group: Mapping[str, Any], key: str, default: list[str] | None) -> list[str]:
    """Return a list of names; a single one counts as a list."""
    if key not in group and default is None:
        raise SuiteError(where, f"has no `{key}`", "it is required", f"add {key} = [...]")
    values = group.get(key, default)
    values = [values] if isinstance(values, str) else values
    if not isinstance(values, list) or not values or not all(isinstance(value, str) for value in values):
        raise SuiteError(f"{where}.{key}", f"{values!r}", "a list of at least one name is accepted")
    return values


def axis(
    where: str, group: Mapping[str, Any], key: str, default: list[str] | None, choices: tuple[str, ...]
) -> list[str]:
    """Return a list of names that are all among `choices`."""
    values = texts(where, group, key, default)
    for value in values:
        if value not in choices:
            raise unknown(f"{where}.{key}", key.removesuffix("s"), value, choices, SuiteError)
    return values


def written(where: str, group: Mapping[str, Any], key: str, default: list[str], forms: tuple[Form, ...]) -> list[str]:
    """Return a list of texts that are all written in one of `forms`."""
    values = texts(where, group, key, default)
    for value in values:
        choice(f"{where}.{key}", key, value, forms, SuiteError)
    return values


def sizes(
    where: str,
    group: Mapping[str, Any],
    key: str,
    default: list[int] | None,
    minimum: int = 1,
    maximum: int = MAX_SIZE,
) -> list[int]:
    """Return a list of integers from minimum to maximum; a single one counts as a list."""
    if key not in group and default is None:
        raise SuiteError(where, f"has no `{key}`", "it is required", f"add {key} = [...]")
    if key not in group:
        return list(default or [])
    values = group[key] if isinstance(group[key], list) else [group[key]]
    if not values:
        raise SuiteError(f"{where}.{key}", "the axis is empty", "at least one size is accepted")
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise SuiteError(f"{where}.{key}", f"{value!r}", f"integers from {minimum} to {maximum} are accepted")
    return values


def number(
    where: str, group: Mapping[str, Any], key: str, default: Any, minimum: float, maximum: float, above: bool = False
) -> Any:
    """Return one number of the default's kind from minimum to maximum (above: the minimum itself left out)."""
    value, whole = group.get(key, default), isinstance(default, int)
    kind = int if whole else (int, float)
    if not isinstance(value, kind) or isinstance(value, bool) or not minimum <= value <= maximum or (above and value == minimum):  # fmt: skip
        words = "an integer" if whole else "a number"
        start = f"above {minimum:g}, up to" if above else f"from {minimum:g} to"
        raise SuiteError(f"{where}.{key}", f"{value!r}", f"{words} {start} {maximum:,.0f} is accepted")
    return value if whole else float(value)

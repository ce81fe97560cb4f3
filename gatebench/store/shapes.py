"""The shapes of manifest.json and plan.json: what readers need of them, for both may have been edited since they were written."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_HUGE = 1e300  # floats cannot go on with larger whole numbers; NaN is not below it either
_PRESENCE = ("both", "new", "gone")


class Kind(NamedTuple):
    """One kind of value: what an error calls it, and whether a value is one."""

    name: str
    holds: Callable[[Any], bool]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < _HUGE


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not any(
        "\ud800" <= letter <= "\udfff" for letter in value
    )  # halves of letters: no UTF-8


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


def _is_whole(value: Any) -> bool:
    return type(value) is int and -(2**63) <= value < 2**63


def _list_of(name: str, holds: Callable[[Any], bool]) -> Kind:
    return Kind(f"a list of {name}", lambda value: isinstance(value, list) and all(map(holds, value)))


def _object_of(name: str, holds: Callable[[Any], bool]) -> Kind:
    return Kind(f"an object of {name}", lambda value: isinstance(value, dict) and all(map(holds, value.values())))


_TEXT = Kind("text", _is_text)
_TEXT_OR_NULL = Kind("text or null", lambda value: value is None or _is_text(value))
_FLAG = Kind("true or false", lambda value: isinstance(value, bool))
_AMOUNT = Kind("a number from 0 on", lambda value: _is_number(value) and value >= 0)
_LEVEL = Kind("a number above 0 and at most 1", lambda value: _is_number(value) and 0 < value <= 1)
_COUNT = Kind("a whole number above 0", _is_count)

_OBJECT = Kind("an object", lambda value: isinstance(value, dict))
_FILES = _object_of("objects with rows", lambda value: isinstance(value, dict) and _is_whole(value.get("rows", 0)))
# Each may be missing or null.
_MANIFEST = {
    **dict.fromkeys(("created_utc", "status", "resumes", "purpose", "gatebench_version", "environment_class", "harness"), _TEXT),
    "seed": Kind("a whole number of 64 bits", _is_whole), "files": _FILES,
    "suite": _OBJECT, "suite.name": _TEXT, "git": _OBJECT, "git.sha": _TEXT, "git.dirty": _FLAG,
    "environment": _OBJECT, "environment.device_name": _TEXT,
}  # fmt: skip
_SIDE = {"given": _TEXT, "sha": _TEXT_OR_NULL, "dirty": _FLAG, "subject": _TEXT_OR_NULL}
_PLAN = {
    "order": _list_of("texts", _is_text),
    "cases": _object_of(", ".join(_PRESENCE), lambda value: value in _PRESENCE),
    "controls": _object_of("numbers", _is_number),
    "compiles": _list_of("texts", _is_text),
    "not_measured": _object_of("texts", _is_text),
    **{f"margins.{name}": _AMOUNT for name in ("time", "compile", "peak_bytes", "saved_bytes", "error_ratio")},
    "compile_least_s": _AMOUNT,
    **dict.fromkeys(("rate", "alpha_screen", "alpha_confirm", "power"), _LEVEL),
    "screen_blocks": _object_of("whole numbers above 0", _is_count),
    "screen_blocks.default": _COUNT,
    "confirm_blocks.least": _COUNT,
    "confirm_blocks.most": _COUNT,
    "confirm_blocks": _object_of("whole numbers above 0", _is_count),  # `room` too, where a time limit left less
    "decided": _AMOUNT,
    "fail_on": _list_of("texts", _is_text),
    "interrupted": _FLAG,
    "command": _TEXT,
    **{f"sides.{side}.{name}": kind for side in ("base", "head") for name, kind in _SIDE.items()},
}


def manifest_fault(manifest: Mapping[str, Any]) -> str | None:
    """Return the first thing of a manifest that is not what readers take it for; None where all is, or is missing."""
    for path, kind in _MANIFEST.items():
        value: Any = manifest
        for key in path.split("."):
            value = None if value is None else value.get(key)  # an object: what it is in was looked at before
        if value is not None and not kind.holds(value):
            return f"{path} is not {kind.name}"
    return None


def plan_fault(plan: Any) -> str | None:
    """Return the first thing of a plan that is not as verdicts and reports need it; None where all is."""
    for path, kind in _PLAN.items():
        value = plan
        for key in path.split("."):
            if not isinstance(value, dict) or key not in value:
                return f"{path} is missing"
            value = value[key]
        if not kind.holds(value):
            return f"{path} is not {kind.name}"
    if sorted(plan["order"]) != sorted(plan["cases"]):
        return "order and cases do not name the same cases"
    stray = next((case for case in plan["controls"] if case not in plan["cases"]), None)
    return None if stray is None else f"control {stray} is none of the cases"

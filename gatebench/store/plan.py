"""The shape of plan.json: what verdicts and reports need of a plan, which may have been edited since it was written."""

from collections.abc import Callable
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
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and value > 0


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
_SIDE = {"given": _TEXT, "sha": _TEXT_OR_NULL, "dirty": _FLAG, "subject": _TEXT_OR_NULL}
_SHAPE = {
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


def plan_fault(plan: Any) -> str | None:
    """Return the first thing of a plan that is not as verdicts and reports need it; None where all is."""
    for path, kind in _SHAPE.items():
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

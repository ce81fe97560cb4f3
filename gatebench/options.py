"""Options of gates and implementations: a default, a type, a range and a sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatebench.errors import UserError, unknown

OptionValue = bool | int | float | str


@dataclass(frozen=True)
class Option:
    """One option: numbers lie in range = (low, high), both included; other types are one of range."""

    default: OptionValue
    type: type
    range: tuple[OptionValue, ...]
    doc: str

    @property
    def accepted(self) -> str:
        """Say in words what the option takes."""
        if self.type in (int, float):
            return f"{self.type.__name__} from {self.range[0]} to {self.range[1]}"
        return "one of " + ", ".join(str(choice) for choice in self.range)

    def bind(self, where: str, name: str, value: Any) -> OptionValue:
        """Return `value` as this option's type; raises UserError where type or range is wrong."""
        wrong_type = not isinstance(value, self.type) and not (self.type is float and isinstance(value, int))
        if wrong_type or (isinstance(value, bool) and self.type is not bool):
            raise UserError(where, f"{name} = {value!r} has type {type(value).__name__}", f"accepted: {self.accepted}")
        value = self.type(value)
        inside = self.range[0] <= value <= self.range[1] if self.type in (int, float) else value in self.range
        if not inside:
            raise UserError(where, f"{name} = {value!r} is out of range", f"accepted: {self.accepted}")
        return value


def bind_options(where: str, options: Mapping[str, Option], given: Mapping[str, Any]) -> dict[str, OptionValue]:
    """Return every option with its given or default value, sorted by name; raises UserError for unknown names."""
    for name in given:
        if name not in options:
            raise unknown(where, "option", name, options)
    return {name: options[name].bind(where, name, given.get(name, options[name].default)) for name in sorted(options)}

"""Errors a user can cause and mend: one line each, `<where>: <what>; <accepted>; <next step>`."""

import difflib
from collections.abc import Iterable

_MANY = 24  # names that a line can hold


class UserError(Exception):
    """Bad usage, a broken suite or a broken store: exit code 2, one line, never a traceback."""

    exit_code = 2

    def __init__(self, where: str, what: str, accepted: str = "", next_step: str = "") -> None:
        self.where, self.what, self.accepted, self.next_step = where, what, accepted, next_step
        super().__init__(f"{where}: " + "; ".join(part for part in (what, accepted, next_step) if part))


class SuiteError(UserError):
    """A suite that cannot be run: unknown keys or names, sizes out of range, no cases."""


class StoreError(UserError):
    """A store or run folder that cannot be read or written."""


class PluginError(UserError):
    """A plugin that breaks the rules: duplicate names, a wrong signature, another contract."""


def closest(name: str, choices: Iterable[str]) -> str | None:
    """Return the closest of `choices`, None where none is close."""
    close = difflib.get_close_matches(name, [str(choice) for choice in choices], n=1, cutoff=0.55)
    return close[0] if close else None


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the closest of `choices`, or an empty string."""
    close = closest(name, choices)
    return f"did you mean {close!r}?" if close else ""


def unknown(
    where: str, kind: str, name: object, choices: Iterable[str], error: type[UserError] = UserError
) -> UserError:
    """Build the error for a name that is not among `choices`, with the closest one suggested.

    Of many choices only their number is told where one of them is close.
    """
    known = sorted(str(choice) for choice in choices)
    close = suggest(str(name), known)
    accepted = f"one of {len(known)}" if close and len(known) > _MANY else ", ".join(known)
    return error(where, f"unknown {kind} {name!r}", f"accepted: {accepted or 'none'}", close)

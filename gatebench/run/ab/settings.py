"""What the head's own files say of its A/B: [tool.gatebench] of pyproject.toml, and where a file of the user lies in it."""

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from gatebench.errors import UserError, unknown
from gatebench.run.ab.sides import Side
from gatebench.run.git import git

_WHERE = "pyproject.toml: tool.gatebench"
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Settings:
    """Defaults that a repository sets for its own A/B."""

    suite: str | None = None
    build: str | None = None
    margin: float | None = None
    time_limit_s: float | None = None


def settings_of(place: Path) -> Settings:
    """Read [tool.gatebench] of a checkout; raises UserError for unknown keys or values."""
    path = place / "pyproject.toml"
    if not path.is_file():
        return Settings()
    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError("pyproject.toml", f"is not TOML: {error}", "", "mend the line") from error
    table = tool.get("gatebench", {}) if isinstance(tool, dict) else tool
    if not isinstance(table, dict):
        raise UserError(_WHERE, f"{table!r}", "a table is accepted", "write [tool.gatebench]")
    accepted = [entry.name.removesuffix("_s") for entry in fields(Settings)]
    for key, value in table.items():
        if key not in accepted:
            raise unknown(_WHERE, "key", key, accepted)
        if not isinstance(value, str):
            raise UserError(f"{_WHERE}.{key}", f"{value!r}", "text is accepted", f'e.g. {key} = "..."')
    return Settings(
        table.get("suite"), table.get("build"),
        percent(f"{_WHERE}.margin", table["margin"]) if "margin" in table else None,
        seconds(f"{_WHERE}.time_limit", table["time_limit"]) if "time_limit" in table else None,
    )  # fmt: skip


def find_in_head(what: str, name: str, start: Path, side: Side, place: Path) -> Path:
    """Return where a file that the user names from `start` lies in the head's checkout, or outside of it.

    Raises UserError where the head does not have it.
    """
    path = (start / name).resolve()
    top = git(start, "rev-parse", "--show-toplevel") if side.sha is not None else None
    roots = [root for root in (side.folder, Path(top.strip()) if top else None) if root is not None]
    root = next((root.resolve() for root in roots if path.is_relative_to(root.resolve())), None)
    if root is None and not Path(name).is_absolute() and (place / name).is_file():
        return place / name
    found = place / path.relative_to(root) if root is not None else path
    if not found.is_file():
        where = "the head" if root is not None else "this machine"
        raise UserError(f"{what} {name}", f"is not in {where} ({side})", "a file of the head is accepted", "check the path, or commit it")  # fmt: skip
    return found


def percent(where: str, text: str) -> float:
    """Read `3%` as 0.03; raises UserError for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", text)
    if found is None:
        raise UserError(where, f"{text!r} is no percentage", "a number with % is accepted", "e.g. 3%")
    return float(found[1]) / 100


def seconds(where: str, text: str) -> float:
    """Read `90s`, `10m` or `1h`; raises UserError for anything else, and for nothing."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smh])(?:in|ec)?\s*", text)
    if found is None or not float(found[1]):
        raise UserError(where, f"{text!r} is no time", "a number with s, m or h is accepted", "e.g. 10m")
    return float(found[1]) * _UNITS[found[2]]

"""The schemas of what `--json` prints (JSON Schema 2020-12), and reading such a file that a stranger may have written."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from gatebench.errors import UserError
from gatebench.report.ci.escapes import clean, shorten

NAMES = ("ab", "run")
MOST_BYTES = 64 * 2**20  # a suite of 2,000 cases has about 5 MB
_MESSAGE_BYTES = 200  # a validator's message repeats the value, which may be as long as the file


@cache
def schema(name: str) -> dict[str, Any]:
    """Return a schema by name: `ab` (gatebench-ab/1) or `run` (what `gatebench run --json` prints)."""
    return json.loads((files("gatebench.report") / "schemas" / f"{name}.json").read_text(encoding="utf-8"))


def read_ab(path: Path) -> dict[str, Any]:
    """Read the JSON of an A/B run and check it by its schema; raises UserError for anything else.

    What passes has the documented types and bounded sizes, and nothing of it is true because it passes: the exit code and
    every name are the writer's. Renderers quote all text and compute each sentence again.
    """
    accepted, step = "what `gatebench ab --json` printed (gatebench-ab/1)", "see docs/json.md"
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UserError(str(path), f"larger than {MOST_BYTES >> 20} MiB", accepted, step)
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        raise UserError(str(path), f"cannot be read: {error.strerror}", accepted, step) from None
    except (ValueError, RecursionError) as error:
        raise UserError(str(path), f"no JSON: {_short(str(error))}", accepted, step) from None
    fault = first_fault(value, "ab")
    if fault is not None:
        raise UserError(str(path), fault, accepted, step)
    return value


def first_fault(value: Any, name: str) -> str | None:
    """Return where and why a value breaks a schema, None where it does not."""
    from jsonschema import Draft202012Validator  # a third of a second: only who checks pays for it

    error = next(Draft202012Validator(schema(name)).iter_errors(value), None)
    return None if error is None else _short(f"{error.json_path}: {error.message}")


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number of JSON; non-finite numbers are strings")


def _short(text: str) -> str:
    return shorten(clean(text), _MESSAGE_BYTES)

"""The commands that repeat a run, safe to paste into a shell: a stranger may have written the run."""

import shlex
from collections.abc import Mapping
from typing import Any

from gatebench.report.ci.escapes import clean

_MOST_BYTES = 1000


def commands_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return `again`, which measures the same, where it can be shown, and `recompute`, which judges what is stored.

    document: keeps the schema gatebench-ab/1.
    """
    again = _quoted(document["command"])
    recompute = shlex.join(["gatebench", "compare", "--recompute", clean(document["run_id"])])
    return ({"again": again} if again else {}) | {"recompute": recompute}


def _quoted(text: str) -> str:
    """Return a command of `gatebench ab` with each word quoted, so that the shell itself does nothing; else nothing.

    One that is too long is left out whole: a cut may take an opening quote away, and what follows would be live.
    """
    try:
        words = shlex.split(clean(text))
    except ValueError:  # a quote that never ends
        return ""
    command = shlex.join(words)
    return command if words[:2] == ["gatebench", "ab"] and len(command.encode()) <= _MOST_BYTES else ""

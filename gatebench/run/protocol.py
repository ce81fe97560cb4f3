"""Protocol 1 between runner and worker: JSON lines, UTF-8, at most 64 MiB each, on inherited pipes.

    worker -> {"protocol": 1, "pid": ..., "versions": {...}, "implementation": ..., "availability": {...}}
    runner -> {"id": 7, "verb": "sample", "args": {...}}
    worker -> {"id": 7, "ok": {...}}   or   {"id": 7, "error": {"status", "reason", "where"}}

Verbs: describe, prepare, verify, warm, sample, stability, profile, close, check, stop. One answer per request, in order.
Non-finite numbers are the strings "inf", "-inf", "nan". Unknown keys are ignored.
"""

import json
import math
from typing import Any

PROTOCOL = 1
MAX_LINE_BYTES = 64 * 1024 * 1024
VERBS = ("describe", "prepare", "verify", "warm", "sample", "stability", "profile", "close", "check", "stop")
_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


class ProtocolError(Exception):
    """A line that is not of protocol 1."""


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as one line; raises ProtocolError for lines over 64 MiB."""
    line = json.dumps(finite(message), allow_nan=False, separators=(",", ":")).encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise ProtocolError(f"a message of {len(line)} bytes; at most {MAX_LINE_BYTES} are accepted")
    return line


def decode(line: bytes) -> dict[str, Any]:
    """Return the message in a line; raises ProtocolError where it is none."""
    try:
        message = json.loads(line.decode("utf-8"))
    except ValueError as error:
        raise ProtocolError(f"not a line of protocol {PROTOCOL}: {line[:60]!r}") from error
    if not isinstance(message, dict):
        raise ProtocolError(f"not a message of protocol {PROTOCOL}: {line[:60]!r}")
    return message


def finite(value: Any) -> Any:
    """Return a JSON value with non-finite numbers as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [finite(entry) for entry in value]
    return value


def number(value: Any) -> float | None:
    """Return a number of a message, with its non-finite strings read back; None stays None."""
    if value is None:
        return None
    return _NON_FINITE[value] if isinstance(value, str) else float(value)

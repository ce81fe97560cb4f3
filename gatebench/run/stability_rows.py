"""Stability requests: their names in the journal, and the row of one that came to nothing."""

import json
from collections.abc import Mapping
from typing import Any

NAMES = ("gate", "init", "inputs", "dtype", "seq_len", "input_size", "hidden_size", "batch", "seed")


def request_key(request: Mapping[str, Any]) -> str:
    """Name a stability request, for the journal."""
    options = json.dumps(dict(request.get("gate_options", {})), sort_keys=True)
    return ", ".join([*(f"{name}={request[name]}" for name in NAMES), f"options={options}"])


def failed_row(request: Mapping[str, Any], status: str, reason: str) -> dict[str, Any]:
    """Return one row of stability.parquet with status and reason, and no value."""
    return {
        **{name: request[name] for name in NAMES},
        "options": json.dumps(dict(request.get("gate_options", {})), sort_keys=True),
        "part": "",
        "metric": "class",
        "status": status,
        "reason": reason,
    }

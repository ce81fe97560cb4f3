"""pytest-benchmark's JSON: what a benchmark keeps of a measurement."""

from collections.abc import Mapping, Sequence
from typing import Any

KEY = "gatebench"  # in a benchmark's extra_info
_OF_THE_RUN = ("run_id", "harness")  # columns that another run has values of its own for


def extra_info(row: Mapping[str, Any], blocks: Sequence[int]) -> dict[str, Any]:
    """Return what a benchmark's extra_info holds of a row of `measurements`, and the block of each of its rounds."""
    kept = {key: value for key, value in row.items() if value is not None and key not in _OF_THE_RUN}
    return {KEY: {**kept, "rounds_of_block": list(blocks)}}

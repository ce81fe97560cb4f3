"""Files of one's own in a [stability] part: weights in place of an init, an array in place of drawn inputs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gatebench.catalogue import Catalogue
from gatebench.errors import SuiteError, unknown
from gatebench.suites.checks import MAX_SIZE

SOURCES = ("torch", "keras", "onnx", "textbook", "tensorflow1")  # equal to those of gates.convert (tested)
DIRECTIONS = ("forward", "reverse")
SELECTORS = ("prefix", "layer", "direction", "source")
FILES = {"weights": "weights_sha256", "inputs_file": "inputs_sha256"}
KEYS = ("weights", "weights_sha256", *SELECTORS, "inputs_file", "inputs_sha256")
# What a file says itself: the key is left out beside it, or repeats what the file says.
_REPLACED = {
    "weights": {"init": "the weights are the init"},
    "inputs_file": {"batch": "the file says it", "inputs": "the file is the inputs"},
}


def beside(directory: Path, group: Mapping[str, Any]) -> dict[str, Any]:
    """Return a group whose files are looked up beside `directory`; what is no text is left for the check to find."""
    return {
        key: str(directory / value) if key in FILES and isinstance(value, str) else value
        for key, value in group.items()
    }


def files_of(where: str, group: Mapping[str, Any], gates: Sequence[str], catalogue: Catalogue) -> dict[str, Any]:
    """Return what a request says of files: weights {file, sha256, prefix, layer, direction, source}, inputs_file
    {file, sha256}, each where the group has it, None where it says nothing.

    Raises SuiteError for values that cannot be, keys beside a file that replaces them, several gates for one file of
    weights, gates without time, and seeds that nothing is drawn from. Whether the files fit is found out later.
    """
    _check_values(where, group)
    for key, file in (*((key, "weights") for key in SELECTORS), *((sha, key) for key, sha in FILES.items())):
        if key in group and file not in group:
            raise SuiteError(f"{where}.{key}", f"given without {file}", f"accepted: beside {file}", f"drop {key}")
    for file, replaced in _REPLACED.items():
        for key, why in replaced.items():
            if file in group and key in group:
                what = f"given together with {file.removesuffix('_file')}"
                raise SuiteError(f"{where}.{key}", what, f"accepted: one of them, {why}", f"drop {key}")
    found = {file: {"file": group[file], "sha256": group.get(sha)} for file, sha in FILES.items() if file in group}
    if found:
        _check_gates(where, gates, catalogue, alone="weights" in found)
        _check_seeds(where, group)
    if "weights" in found:
        chosen = {key: group[key] for key in SELECTORS if key in group}
        if "prefix" in chosen:
            chosen["prefix"] = chosen["prefix"].rstrip("./")  # one name for one module
        found["weights"] |= {"source": "torch", **chosen}
    return found


def is_drawn(group: Mapping[str, Any]) -> bool:
    """Say whether a seed changes anything that a group, or a request, measures: weights, inputs or initial states."""
    kinds = group.get("inputs", "normal")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return "weights" not in group or not ("inputs_file" in group or all(kind == "zero" for kind in kinds))


def default_sizes(files: Mapping[str, Any], key: str, default: list[int] | None) -> list[int] | None:
    """Return the default of a size: 0, to be filled in, where a file says it."""
    said = {"hidden_size": "weights", "seq_len": "inputs_file", "batch": "inputs_file"}
    return [0] if said[key] in files else default


def _check_values(where: str, group: Mapping[str, Any]) -> None:
    for key in (*FILES, *FILES.values(), "prefix"):
        if key in group and not (isinstance(group[key], str) and group[key].strip("./")):
            raise SuiteError(f"{where}.{key}", f"{group[key]!r}", "accepted: a name")
    layer = group.get("layer", 0)
    if not isinstance(layer, int) or isinstance(layer, bool) or not 0 <= layer <= MAX_SIZE:
        raise SuiteError(f"{where}.layer", f"{layer!r}", "accepted: an integer from 0", "0 is the first layer")
    for key, choices in (("direction", DIRECTIONS), ("source", SOURCES)):
        if key in group and group[key] not in choices:
            raise unknown(f"{where}.{key}", key, group[key], choices, SuiteError)


def _check_gates(where: str, gates: Sequence[str], catalogue: Catalogue, alone: bool) -> None:
    if alone and len(gates) != 1:
        what = f"{len(gates)} gates: {', '.join(gates)}"
        raise SuiteError(f"{where}.gates", what, "accepted: one, whose weights the file holds", "name that one")
    for name in gates:
        if not catalogue.gates[name]["state"]:
            accepted = "accepted beside a file: gates with a state"
            raise SuiteError(f"{where}.gates", f"{name} has no time", accepted, "`gatebench list gates`")


def _check_seeds(where: str, group: Mapping[str, Any]) -> None:
    """Raise SuiteError where seeds would measure the same numbers again: an interval over them would mean nothing."""
    if not is_drawn(group) and group.get("seeds", 1) != 1:
        what = f"{group['seeds']}, and nothing is drawn"
        raise SuiteError(f"{where}.seeds", what, "accepted: 1, for weights and inputs are given", "drop seeds")

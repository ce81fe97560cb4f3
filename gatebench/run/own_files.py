"""Files of one's own that a run measures: looked at before anything else, stored by name and hash, found again."""

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gatebench.errors import SuiteError, UserError
from gatebench.own_files import check_unchanged, row_name, sha256_of
from gatebench.suites.own_files import FILES
from gatebench.suites.stability import merged

Request = dict[str, Any]


def settle(where: str, requests: Sequence[Request]) -> list[Request]:
    """Return stability requests with what their files say filled in: absolute paths, hashes, init and inputs, sizes.

    Those that turn out to be the same, one saying what the other left to the file, are one. Raises SuiteError, where =
    the key: files that cannot be read, are not those of the hash that is given, hold no module that fits, or say other
    sizes than the request.
    """
    if not any(file in request for request in requests for file in FILES):
        return list(requests)
    said = functools.cache(_said)  # seeds, dtypes and lengths share their files
    return merged(where, [_settled(where, request, said) for request in requests])


def _settled(where: str, request: Request, said: Callable[[str, str], dict[str, int]]) -> Request:
    request = {**request, **{file: _located(f"{where}.{file}", request[file]) for file in FILES if file in request}}
    if "weights" in request:
        weights = request["weights"]
        chosen = {name: weights.get(name) for name in ("prefix", "layer", "direction")}
        request["init"] = row_name(weights["sha256"], **chosen)
        asked = {name: request[name] for name in ("gate", "gate_options", "weights")}
        sizes = said(where, json.dumps(asked, sort_keys=True))
        _check_task(where, request, sizes["input_size"])
        for key, size in sizes.items():
            request[key] = _agreed(f"{where}.{key}", request[key], size, weights["file"])
    if "inputs_file" in request:
        request["inputs"] = row_name(request["inputs_file"]["sha256"])
        asked = {name: request[name] for name in ("inputs_file", "seq_len", "input_size")}
        request |= said(where, json.dumps(asked, sort_keys=True))
    return request


def _said(where: str, asked: str) -> dict[str, int]:
    """Return the sizes that a file says, from the part of a request that names it, as JSON."""
    request = json.loads(asked)
    return _sizes_of_weights(where, request) if "weights" in request else _sizes_of_inputs(where, request)


def _located(where: str, file: Mapping[str, Any]) -> dict[str, Any]:
    """Return a file with its absolute path and its hash, which must be the given one where there is one."""
    path = Path(file["file"]).absolute()  # links stay: their names have the ending that tells the format
    with _said_of(where):
        if file["sha256"]:
            check_unchanged(path, file["sha256"])
        return {**file, "file": str(path), "sha256": sha256_of(path)}


def _sizes_of_weights(where: str, request: Mapping[str, Any]) -> dict[str, int]:
    """Return input_size and hidden_size of the weights, read as the worker will read them."""
    from gatebench import gates  # imports torch
    from gatebench.gates.conversion import SOURCES
    from gatebench.stability.own_network import own_parameters, own_sizes

    weights = request["weights"]
    accepted = SOURCES[weights["source"]].gates
    if request["gate"] not in accepted:
        what = f"{weights['source']} has no form of {request['gate']}"
        raise SuiteError(f"{where}.gates", what, f"accepted: {', '.join(accepted)}", "choose another source or gate")
    gate = gates.get(request["gate"], **request["gate_options"])
    with _said_of(f"{where}.weights"):
        sizes = own_sizes(gate, own_parameters(gate, weights))
    return dict(zip(("input_size", "hidden_size"), sizes, strict=True))


def _sizes_of_inputs(where: str, request: Mapping[str, Any]) -> dict[str, int]:
    """Return what x (T, B, I) of a file says: seq_len (T, or what is asked for), batch, input_size."""
    from gatebench.stability.own_network import check_sequence, sequence_sizes  # imports torch

    path = Path(request["inputs_file"]["file"])
    with _said_of(f"{where}.inputs_file"):
        steps, batch, width = sequence_sizes(path)
    if request["seq_len"] > steps:
        what = f"{request['seq_len']}, and {path.name} has {steps} steps"
        raise SuiteError(f"{where}.seq_len", what, f"accepted: 1 to {steps}", "leave it out for all")
    if request["input_size"] not in (0, width):
        what, accepted = f"{path.name}: x has width I = {width}", f"accepted: I = {request['input_size']}"
        raise SuiteError(f"{where}.inputs_file", what, accepted, "give what this layer sees")
    with _said_of(f"{where}.inputs_file"):
        check_sequence(path, request["seq_len"] or steps)
    return {"seq_len": request["seq_len"] or steps, "batch": batch, "input_size": width}


def _check_task(where: str, request: Request, width: int) -> None:
    task = request.get("task")
    if task and width != request["input_size"]:
        what = f"{Path(request['weights']['file']).name} takes inputs of width {width}, and the task {task} has {request['input_size']}"  # fmt: skip
        raise SuiteError(f"{where}.weights", what, f"accepted: weights with I = {request['input_size']}", "choose another task or module")  # fmt: skip


def _agreed(where: str, asked: int, found: int, file: str) -> int:
    if asked not in (0, found):
        what = f"{asked}, and the weights in {Path(file).name} have {found}"
        raise SuiteError(where, what, f"accepted: {found}", "leave it out")
    return found


@contextmanager
def _said_of(where: str) -> Iterator[None]:
    """Let an error about a file say which key named it."""
    try:
        yield
    except UserError as error:
        raise SuiteError(where, f"{error.where}: {error.what}", error.accepted, error.next_step) from None


# --- in a run folder


def recorded(groups: Iterable[Mapping[str, Any]], requests: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return [stability] groups as a run keeps them: files by name and hash, never by path."""
    hashes = {entry["file"]: entry["sha256"] for entry in _files(requests)}
    return [
        {
            **group,
            **{key: value for file in FILES if file in group for key, value in _named(group, file, hashes).items()},
        }
        for group in groups
    ]


def _named(group: Mapping[str, Any], file: str, hashes: Mapping[str, str]) -> dict[str, str]:
    path = Path(group[file])
    sha256 = hashes.get(str(path.absolute())) or group.get(FILES[file])
    if sha256 is None and path.is_file():  # a copy of another part's file
        sha256 = sha256_of(path)
    return {file: path.name} | ({FILES[file]: sha256} if sha256 else {})


def places(requests: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return hash -> path of the files of requests: what resuming needs and no run folder may hold."""
    return {entry["sha256"]: entry["file"] for entry in _files(requests)}


def found_again(groups: Iterable[Mapping[str, Any]], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return recorded groups with the paths of their files: where they were, or in this folder; raises UserError."""
    return [{**group, **{file: _place(group, file, known) for file in FILES if file in group}} for group in groups]


def _place(group: Mapping[str, Any], file: str, known: Mapping[str, str]) -> str:
    for place in (known.get(group.get(FILES[file], "")), group[file]):
        if place and Path(place).is_file():
            return place
    accepted = "accepted: the file that the run began with"
    raise UserError("--resume", f"{group[file]} is not here", accepted, "resume in its folder")


def _files(requests: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    return (request[file] for request in requests for file in FILES if file in request)

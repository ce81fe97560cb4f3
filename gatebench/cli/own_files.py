"""Options of `stability` for files of one's own: a network's weights, and its inputs."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from gatebench.cli.options import names
from gatebench.errors import UserError
from gatebench.forms import INPUTS
from gatebench.own_files import sha256_of
from gatebench.suites.own_files import FILES, is_drawn

_ENDING = re.compile(r"\.[A-Za-z]\w*$")  # .npy, but not the .5 of white=0.5
_PANEL = "Your own network"
Weights = Annotated[
    Path | None,
    typer.Option("--weights", rich_help_panel=_PANEL, help="Its file: safetensors, or a state dict (.pt, .pth, .bin)."),
]
Prefix = Annotated[
    str | None, typer.Option("--prefix", rich_help_panel=_PANEL, help="The module in the file, e.g. encoder.rnn.")
]
Layer = Annotated[
    int | None, typer.Option("--layer", min=0, rich_help_panel=_PANEL, help="Its layer, where it has several; from 0.")
]
Direction = Annotated[
    str | None, typer.Option("--direction", rich_help_panel=_PANEL, help="forward, or reverse: x reversed in time.")
]
Source = Annotated[
    str | None,
    typer.Option(
        "--source", rich_help_panel=_PANEL, help="torch, keras, onnx, textbook, tensorflow1. (default: torch)"
    ),
]


def kinds_or_file(text: str) -> tuple[list[str], Path | None]:
    """Read --inputs: one file, where the text looks like one, or kinds of drawn inputs, comma-separated."""
    kinds = list(names(text))
    known = {form.name for form in INPUTS}
    if any(kind.partition("=")[0] in known for kind in kinds):
        return kinds, None
    if kinds and (os.path.exists(text) or os.sep in text or _ENDING.search(text)):
        return [], Path(text)
    return kinds, None  # a misspelt kind, to be refused with those that there are


# Options that have a default and are left to the file, unless they are given.
_SAID_BY = {"weights": ("init", "hidden_size"), "inputs_file": ("batch", "seq_len")}


def with_files(group: Mapping[str, Any], given: Callable[[str], bool], **files: Any) -> dict[str, Any]:
    """Return a [stability] group with files of one's own, by path and hash, and without what they say themselves.

    given: says whether the user gave an option of the group; an option that a file excludes stays, to be refused.
    files: weights, prefix, layer, direction, source, inputs_file; None where not given. Raises UserError for a file that
    cannot be read.
    """
    chosen = {key: str(value) if key in FILES else value for key, value in files.items() if value is not None}
    for file, sha in FILES.items():
        if file in chosen:
            chosen[sha] = _hash("--inputs" if file == "inputs_file" else "--weights", files[file])
    left_out = {key for file, keys in _SAID_BY.items() if file in chosen for key in keys if not given(key)}
    found = {**{key: value for key, value in group.items() if key not in left_out}, **chosen}
    if not is_drawn(found) and not given("seeds"):
        found["seeds"] = 1  # others would measure the same again
    return found


def without_paths(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a suite's data with files by their names: what a run keeps tells no folder."""
    groups = [
        {key: Path(value).name if key in FILES else value for key, value in group.items()}
        for group in data["stability"]
    ]
    return {**data, "stability": groups}


def _hash(flag: str, path: Path) -> str:
    try:
        return sha256_of(path)
    except UserError as error:
        raise UserError(flag, f"{error.where}: {error.what}", error.accepted, error.next_step) from None

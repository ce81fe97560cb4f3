"""Turn whatever code under test raises into a status, a reason of one line, and a place without machine paths."""

import traceback
from pathlib import Path

import torch

from gatebench.contract import Failure, Unavailable, Unsupported
from gatebench.errors import UserError

_PACKAGE = Path(__file__).resolve().parents[1]
_OUT_OF_MEMORY_TEXTS = ("can't allocate memory", "out of memory", "Cannot allocate memory")


def classify(error: BaseException) -> Failure:
    """Return the Failure that an exception stands for; the last frame outside GateBench says where."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, Unsupported | Unavailable):
        # A refusal says itself why; only a plugin's own line helps beside it.
        status = "unsupported" if isinstance(error, Unsupported) else "unavailable"
        return Failure(status, str(error), place(error) if _foreign(error) else "")
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or any(part in text for part in _OUT_OF_MEMORY_TEXTS):
        return Failure("out_of_memory", f"{type(error).__name__}: {text[:300]}", place(error))
    if isinstance(error, UserError):
        return Failure("failed", str(error))  # it says itself where
    return Failure("failed", f"{type(error).__name__}: {text[:600]}", place(error))


def place(error: BaseException) -> str:
    """Return file:line where the error was raised; a syntax error's own place comes first."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_name(error.filename)}:{error.lineno}"
    frames = _foreign(error) or traceback.extract_tb(error.__traceback__)
    return f"{_name(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _foreign(error: BaseException) -> list[traceback.FrameSummary]:
    """Return the frames that lie outside GateBench."""
    frames = traceback.extract_tb(error.__traceback__)
    return [frame for frame in frames if not _own(frame.filename) and "/importlib" not in frame.filename]


def _own(path: str) -> bool:
    return Path(path).resolve().is_relative_to(_PACKAGE)


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]

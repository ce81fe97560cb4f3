"""Files that a user asked for: refused before the work where they cannot be written, then written whole or not at all."""

import secrets
from pathlib import Path

from gatebench.errors import UserError

_ACCEPTED = "a file in a folder that can be written is accepted"


def check_file(flag: str, path: Path) -> None:
    """Raise UserError where `write_file` would: better before half an hour of measuring than after it."""
    if not path.absolute().parent.is_dir():
        raise UserError(flag, f"no folder {path.parent}", "a file in a folder that exists is accepted", "make it")
    try:
        if path.is_dir():
            raise UserError(flag, f"{path} is a folder", "a file is accepted", "name a file in it")
        if _is_special(path):  # opening a pipe would wait for its reader
            return
        if path.exists():
            path.open("ab").close()
        half = _half(path)
        half.touch()
        half.unlink()
    except OSError as error:
        raise _refused(flag, path, error) from None


def write_file(flag: str, path: Path, text: str) -> None:
    """Write a file whole or not at all, in UTF-8, with ? for what that cannot hold; raises UserError where it cannot be written."""
    half = _half(path)
    special = _is_special(path)
    try:
        (path if special else half).write_text(text, encoding="utf-8", errors="replace")
        if not special:
            half.replace(path)
    except OSError as error:
        raise _refused(flag, path, error) from None
    finally:  # also where Ctrl-C cuts it
        half.unlink(missing_ok=True)


def _half(path: Path) -> Path:
    return path.parent / f".{secrets.token_hex(4)}.half"


def _is_special(path: Path) -> bool:
    """Say whether a path is a pipe or a device, which no file may replace."""
    return path.exists() and not path.is_file()


def _refused(flag: str, path: Path, error: OSError) -> UserError:
    return UserError(flag, f"{path.name}: cannot write: {error.strerror}", _ACCEPTED, "choose another")

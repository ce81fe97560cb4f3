"""Files that a user asked for: refused before the work where they cannot be written, then written whole or not at all."""

import secrets
from contextlib import suppress
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
        half = _half(path.resolve())
        half.touch()
        half.unlink()
    except OSError as error:
        raise _refused(flag, path, error) from None


def write_file(flag: str, path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; raises UserError where it cannot be written. Text is UTF-8, with ? for what that cannot hold."""
    there = path.resolve()  # what a link leads to is written, and the link stays
    half = _half(there)
    try:
        if _is_special(path):
            _write(path, content)
            return
        _write(half, content)
        if there.exists():
            half.chmod(there.stat().st_mode & 0o7777)
        half.replace(there)
    except OSError as error:
        raise _refused(flag, path, error) from None
    finally:  # also where Ctrl-C cuts it
        with suppress(OSError):  # it is not there, or its disk has become read-only
            half.unlink()


def _write(path: Path, content: str | bytes) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content, encoding="utf-8", errors="replace")


def _half(path: Path) -> Path:
    return path.parent / f".{secrets.token_hex(4)}.half"


def _is_special(path: Path) -> bool:
    """Say whether a path is a pipe or a device, or leads to what a process has open, which no file may replace."""
    return path.exists() and (not path.is_file() or path.is_relative_to("/dev") or path.is_relative_to("/proc"))


def _refused(flag: str, path: Path, error: OSError) -> UserError:
    return UserError(flag, f"{path.name}: cannot write: {error.strerror}", _ACCEPTED, "choose another")

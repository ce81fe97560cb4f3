"""Files of one's own that are measured: whether they can be read, their hash, and how rows name them by it."""

import functools
import hashlib
import re
import stat
from pathlib import Path

from gatebench.errors import UserError

FROM_FILE = "file:"  # what the name of a file's contents begins with
_HASH = re.compile(rf"^{FROM_FILE}([0-9a-f]{{8}})[0-9a-f]{{56}}")
_SELECTORS = re.compile(
    r"^(?P<prefix>.*?)(?:(?:^|,)l(?P<layer>\d+))?(?:(?:^|,)(?P<direction>forward|reverse))?$", re.DOTALL
)


# --- names in rows


def row_name(sha256: str, prefix: str | None = None, layer: int | None = None, direction: str | None = None) -> str:
    """Return the name of a file's contents, e.g. `file:<64 hex digits>#encoder.rnn,l1,reverse`; # only where chosen."""
    chosen = [prefix, None if layer is None else f"l{layer}", direction]
    words = ",".join(word for word in chosen if word)
    return f"{FROM_FILE}{sha256}" + (f"#{words}" if words else "")


def short_name(text: str) -> str:
    """Return such a name with 8 digits of the hash, e.g. `file:1a2b3c4d#encoder.rnn`; any other text as it is."""
    return _HASH.sub(rf"{FROM_FILE}\1", text)


def selectors(text: str) -> dict[str, str]:
    """Return what a name, short or long, says after #: prefix, layer, direction, those that are there."""
    found = _SELECTORS.match(text.partition("#")[2])
    return {key: value for key, value in found.groupdict().items() if value} if found else {}


# --- files


def check_file(path: Path) -> None:
    """Raise UserError, where = the file's name, unless there is a file with something in it that can be read."""
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise UserError(path.name, "is a folder", "accepted: one file", "name the file in it")
        if not stat.S_ISREG(mode):  # a pipe or a device may never end
            raise UserError(path.name, "is no regular file", "accepted: a file on a disk", "save or copy it to one")
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise UserError(path.name, "no such file", "accepted: a file", "check the path") from None
    except (OSError, ValueError) as error:  # ValueError: no path has a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(path.name, f"cannot be read: {reason}", "accepted: a file", "check the path") from None
    if empty:
        raise UserError(path.name, "is empty", "accepted: a file with tensors", "save or copy it again")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits; raises UserError as `check_file` does.

    A file whose size, time of change and inode are the same is not read again: checkpoints have gigabytes.
    """
    check_file(path)
    found = path.stat()
    return _sha256(path.absolute(), found.st_size, found.st_mtime_ns, found.st_ino)


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed_ns: int, inode: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_unchanged(path: Path, sha256: str) -> None:
    """Raise UserError, where = the file's name, where its bytes are not those with this SHA-256."""
    found = sha256_of(path)
    if found != sha256:
        accepted = f"accepted: {sha256[:12]}…, the file that was asked for"
        raise UserError(path.name, f"its sha256 is {found[:12]}…", accepted, "take that file, or start anew")

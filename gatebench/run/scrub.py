"""Keep machine paths, user and host names out of what is stored: paths become relative, also inside error text."""

import functools
import getpass
import re
import socket
import sysconfig
from pathlib import Path
from typing import Any

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
_HOMES = re.compile(r"/(?:home|Users)/[^/\s\"']+")
# What is left after the known prefixes: absolute paths, of which only the last part stays. A space may stand inside a
# part, never before it, so that `a / b` in a formula is no path.
_PART = r"[\w.+@-][\w.+@ -]*/"
_ABSOLUTE = re.compile(rf"(?<![\w.:/~>])/(?:{_PART})+(?=[\w.+@-])|(?<![\w.:/~>])/(?:[\w.+@-]+/)+")
_NOT_TELLING = ("root", "user", "localhost")  # names that every second machine has


def scrub(text: str) -> str:
    """Return `text` with absolute paths made relative (to site-packages or the checkout), user and host names removed."""
    text = text.encode("utf-8", "replace").decode("utf-8").replace("file://", "")  # no lone surrogates either
    for prefix, short in _prefixes():
        text = re.sub(
            rf"{re.escape(prefix)}(/|(?![\w.-]))",
            lambda found, short=short: short if found[1] else short.rstrip("/") or ".",
            text,
        )
    text = _HOMES.sub("~", text)
    text = _ABSOLUTE.sub("", text)
    user, host = _names()
    text = re.sub(rf"\b{re.escape(user)}@", "user@", text) if user else text
    return re.sub(rf"\b{re.escape(host)}\b", "host", text) if host else text


def scrub_all(value: Any) -> Any:
    """Return a JSON value with every text in it scrubbed."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {key: scrub_all(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [scrub_all(entry) for entry in value]
    return value


def _prefixes() -> list[tuple[str, str]]:
    """Return known folders and what stands for each, longest first."""
    paths = sysconfig.get_paths()
    known = {
        paths["purelib"]: "site-packages/",
        paths["platlib"]: "site-packages/",
        paths["stdlib"]: "python/",
        str(Path.cwd()): "",
        _PACKAGE_ROOT: "",
        str(Path.home()): "~/",
    }
    return sorted(((path, short) for path, short in known.items() if len(path) > 1), key=lambda pair: -len(pair[0]))


@functools.cache
def _names() -> tuple[str, str]:
    """Return the names of user and host; empty where they tell nothing."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = ""  # no entry for this user id
    names = (name if len(name) > 2 and name not in _NOT_TELLING else "" for name in (user, socket.gethostname()))
    return next(names), next(names)

"""Keep machine paths and the host's name out of what is stored: paths become relative, also inside error text."""

import re
import socket
import sysconfig
from pathlib import Path

_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])
# What is left after the known prefixes: absolute paths, of which only the last part stays.
_ABSOLUTE = re.compile(r"(?<![\w.:/~>])/(?:[\w.+@ -]+/)+(?=[\w.+@-])|(?<![\w.:/~>])/(?:[\w.+@-]+/)+")


def scrub(text: str) -> str:
    """Return `text` with absolute paths made relative (to site-packages or the checkout) and the host's name removed."""
    paths = sysconfig.get_paths()
    for prefix in sorted({paths["purelib"], paths["platlib"]}, key=len, reverse=True):
        text = text.replace(f"{prefix}/", "site-packages/")
    for prefix, short in (
        (paths["stdlib"], "python/"),
        (str(Path.cwd()), ""),
        (_PACKAGE_ROOT, ""),
        (str(Path.home()), "~/"),
    ):
        if len(prefix) > 1:
            text = text.replace(f"{prefix}/", short)
    text = _ABSOLUTE.sub("", text)
    host = socket.gethostname()
    return re.sub(rf"\b{re.escape(host)}\b", "host", text) if len(host) > 2 else text

"""What a point of a figure carries so that a click on it finds its name again, however long that is."""

import hashlib
from collections.abc import Collection

LONGEST_KEY = 400  # letters, so that no name makes a figure large
_KEPT, _DIGEST_BYTES = 60, 16  # letters of a longer name that stay to be read; 128 bits tell names apart


def click_key(name: str) -> str:
    """Return a name as points carry it: itself, or of a longer one than LONGEST_KEY its first letters and a digest of it all."""
    if len(name) <= LONGEST_KEY:
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{name[:_KEPT]}…{digest}"


def clicked(key: str, names: Collection[str]) -> str | None:
    """Return which of these names a point with this key stands for, None where it is none of them."""
    return key if key in names else next((name for name in names if click_key(name) == key), None)

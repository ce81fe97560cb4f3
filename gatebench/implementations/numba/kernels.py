"""How this package compiles: one decorator, with a cache on disk that any edit of the package makes stale."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile

# Re-association could undo the rounding trick of `activations`, and nnan and ninf would lose NaN and Inf.
FASTMATH = {"contract"}


def package_digest() -> str:
    """Return a hash of this package's sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


_DIGEST = package_digest()


class PackageCache(FunctionCache):
    """Numba's cache, with the whole package as the source: numba itself watches the kernel's own file only."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(self._cache_path, self._impl.filename_base, _DIGEST)


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function in parallel on its first call per dtype, or load it from the cache."""
    dispatcher: Any = njit(parallel=True, error_model="numpy", fastmath=FASTMATH)(function)
    dispatcher._cache = PackageCache(function)
    return dispatcher

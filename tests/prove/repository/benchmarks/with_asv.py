"""The callables with asv. Libraries are imported here, where asv's server does it once before it forks.

No `setup`: with one, asv times single calls instead of finding how many make a sample.
"""

import functools

import numba  # noqa: F401
import torch  # noqa: F401
from speed.work import ALL, call_of

call = functools.cache(call_of)


class Speed:
    """One benchmark for each callable."""

    params = ALL
    param_names = ("name",)

    def time_call(self, name):
        call(name)()

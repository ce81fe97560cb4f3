"""The callables with asv. Libraries are imported here, where asv's server does it once before it forks."""

import numba  # noqa: F401
import torch  # noqa: F401
from speed.work import ALL, call_of


class Speed:
    """One benchmark for each callable."""

    params = ALL
    param_names = ("name",)

    def setup(self, name):
        self.call = call_of(name)
        self.call()

    def time_call(self, name):
        self.call()

"""`numba`: SIMD kernels compiled at run time, for recurrent gates (`recurrent`) and the GLU family (`glu`)."""

from gatebench.implementations.numba import glu, recurrent

__all__ = ["glu", "recurrent"]

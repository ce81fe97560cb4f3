"""`numba`: SIMD kernels compiled at run time, for recurrent gates, the GLU family and highway layers."""

from gatebench.implementations.numba import glu, highway, recurrent

__all__ = ["glu", "highway", "recurrent"]

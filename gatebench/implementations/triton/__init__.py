"""`triton`: fused CUDA kernels, for the GLU family (`glu`) and for LSTM and GRU (`recurrent`).

Triton itself is loaded by the modules of kernels (`pointwise`, `cells`, `functions`) and what launches them (`sequence`):
they are imported when a case is prepared, never to know the implementation.
"""

from gatebench.implementations.triton import glu, recurrent

__all__ = ["glu", "recurrent"]

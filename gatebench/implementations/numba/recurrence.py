"""The loops over time, forward and backward: one for all recurrent gates, split over threads by hidden units.

Each step is one parallel region: a thread multiplies its panels and then does their units' pointwise part, so that
its share of U stays in its own cache.
"""

from typing import Any

from numba import prange

from gatebench.implementations.numba.cells import advance, multiply, retreat
from gatebench.implementations.numba.kernels import kernel
from gatebench.implementations.numba.tiles import product4


@kernel
def run_forward(sequence: Any, panels: Any, workers: int) -> None:
    """Run all steps of `sequence` (see cells) with U packed in panels (N, H, V·L)."""
    steps, width, count = sequence.gates.shape[0], sequence.states.shape[2], panels.shape[0]
    units = sequence.product.shape[2] // count
    for t in range(steps):
        for worker in prange(workers):
            first, last = count * worker // workers, count * (worker + 1) // workers
            multiply(sequence, t, panels, first, last)
            advance(sequence, t, first * units, min(last * units, width))


@kernel
def run_backward(sequence: Any, flow: Any, panels: Any, workers: int) -> None:
    """Run all steps back with Uᵀ packed in panels (N, G·H, V·L); flow.carry comes as dh_T and leaves as dh_0."""
    steps, batch, count = sequence.gates.shape[0], sequence.states.shape[1], panels.shape[0]
    width, units = sequence.states.shape[2], panels.shape[2]
    for t in range(steps, -1, -1):
        for worker in prange(workers):
            first, last = count * worker // workers, count * (worker + 1) // workers
            if t < steps:  # the state's gradient of step t - 1 through step t's product
                start, row = t * batch * panels.shape[1], flow.carry.shape[1]
                product4(flow.recurrent, start, batch, panels, first, last, flow.carry, 0, row, units, units // 4)
            if t > 0:
                retreat(sequence, flow, t - 1, first * units, min(last * units, width))

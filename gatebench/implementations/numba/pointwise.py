"""The pointwise kernels of the GLU family: output = value ⊙ act(gate) and its gradients, in one pass each.

Arrays are read as rows of `width` elements, `stride` apart: x (B, T, 2H) has width H and stride 2H, with the gate
`shift` = H behind the value; two separate tensors are cut into rows of any length, with shift 0.
"""

from typing import Any, NamedTuple

from numba import prange
from numba.extending import overload

from gatebench.implementations.numba.activations import sigmoid
from gatebench.implementations.numba.kernels import kernel
from gatebench.implementations.numba.simd import INLINE, VECTOR_BYTES, Pack, load, store


class Sigmoid(NamedTuple):
    """The gate of GLU, σ(u); beta is not used."""

    beta: float


class Swish(NamedTuple):
    """The gate of SwiGLU, u σ(βu)."""

    beta: float


class Rows(NamedTuple):
    """Where the elements are: n of them, in rows of `width`, `stride` apart; the gate `shift` behind the value."""

    n: int
    width: int
    stride: int
    shift: int


def activate(activation: Any, u: Any) -> Any:
    """Return (act(u), act'(u)) of a pack."""


@overload(activate, jit_options=INLINE)
def _activate(activation: Any, u: Any) -> Any:
    if not isinstance(u, Pack):
        return None

    def sigmoid_and_slope(activation: Any, u: Any) -> Any:
        s = sigmoid(u)
        return s, s * (1.0 - s)

    def swish_and_slope(activation: Any, u: Any) -> Any:
        s = sigmoid(u * activation.beta)
        return u * s, s * (1.0 + u * activation.beta * (1.0 - s))

    return {Sigmoid: sigmoid_and_slope, Swish: swish_and_slope}[activation.instance_class]


@kernel
def gate_forward(activation: Any, rows: Any, value: Any, gate: Any, output: Any, workers: int) -> None:
    """Write output = value ⊙ act(gate); output is dense, value and gate lie as `rows` says."""
    lanes, count = VECTOR_BYTES // output.itemsize, -(-rows.n // rows.width)
    for worker in prange(workers):
        for row in range(count * worker // workers, count * (worker + 1) // workers):
            dense, start = row * rows.width, row * rows.stride
            width = min(rows.width, rows.n - dense)
            for j in range(0, width, lanes):
                act, _ = activate(activation, load(gate, start + rows.shift + j, width - j))
                store(load(value, start + j, width - j) * act, output, dense + j, width - j)


@kernel
def gate_backward(
    activation: Any, rows: Any, value: Any, gate: Any, d_output: Any, d_value: Any, d_gate: Any, workers: int
) -> None:
    """Write d_value = d_output ⊙ act(gate) and d_gate = d_output ⊙ value ⊙ act'(gate), which lie as value and gate."""
    lanes, count = VECTOR_BYTES // d_output.itemsize, -(-rows.n // rows.width)
    for worker in prange(workers):
        for row in range(count * worker // workers, count * (worker + 1) // workers):
            dense, start = row * rows.width, row * rows.stride
            width = min(rows.width, rows.n - dense)
            for j in range(0, width, lanes):
                left = width - j
                act, slope = activate(activation, load(gate, start + rows.shift + j, left))
                d = load(d_output, dense + j, left)
                v = load(value, start + j, left)
                store(d * act, d_value, start + j, left)
                store(d * v * slope, d_gate, start + rows.shift + j, left)

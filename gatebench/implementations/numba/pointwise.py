"""The pointwise kernels of the GLU family: output = val(value) ⊙ act(gate) and its gradients, in one pass each.

Arrays are read as rows of `width` elements, `stride` apart: x (B, T, 2H) has width H and stride 2H, with the gate
`shift` = H behind the value; two separate tensors are cut into rows of any length, with shift 0.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from numba import prange
from numba.extending import overload

from gatebench.implementations.numba.activations import gaussian, sigmoid, tanh
from gatebench.implementations.numba.kernels import kernel
from gatebench.implementations.numba.simd import (
    INLINE,
    VECTOR_BYTES,
    Pack,
    clamp,
    load,
    on_packs,
    store,
    where_positive,
)


class Gating(NamedTuple):
    """How a pair (value, gate) becomes one number; its type says which. beta is Swish's."""

    beta: float


class Sigmoid(Gating):
    """v σ(u)."""


class Identity(Gating):
    """v u."""


class ReLU(Gating):
    """v max(0, u)."""


class GELU(Gating):
    """v u Φ(u)."""


class GELUTanh(Gating):
    """v u (1 + tanh(√(2/π) (u + 0.044715 u³))) / 2."""


class Swish(Gating):
    """v u σ(βu)."""


class TanhSigmoid(Gating):
    """tanh(v) σ(u)."""


class Rows(NamedTuple):
    """Where the elements are: n of them, in rows of `width`, `stride` apart; the gate `shift` behind the value."""

    n: int
    width: int
    stride: int
    shift: int


@on_packs
def _sigmoid(gating: Any, u: Any, d: Any) -> Any:
    s = sigmoid(u)
    return s, d * (s * (1.0 - s))


@on_packs
def _identity(gating: Any, u: Any, d: Any) -> Any:
    return u, d


@on_packs
def _relu(gating: Any, u: Any, d: Any) -> Any:
    return where_positive(u, u, 0.0), where_positive(u, d, 0.0)


@on_packs
def _gelu(gating: Any, u: Any, d: Any) -> Any:
    below, density = gaussian(u)
    return u * below, d * (below + clamp(u, -100.0, 100.0) * density)  # at 100 the density is 0, as far as told apart


# (1 + tanh(y)) / 2 = σ(2y), which does not cancel for y < 0; 2y = u (LINEAR + CUBIC u²)
LINEAR = 2 * math.sqrt(2 / math.pi)
CUBIC = 0.044715 * LINEAR


@on_packs
def _gelu_tanh(gating: Any, u: Any, d: Any) -> Any:
    s, near = sigmoid(u * (LINEAR + CUBIC * u * u)), clamp(u, -100.0, 100.0)  # at ±100 s is 1 or 0, and u² finite
    return u * s, d * (s + near * (LINEAR + 3.0 * CUBIC * near * near) * (s * (1.0 - s)))


@on_packs
def _swish(gating: Any, u: Any, d: Any) -> Any:
    s = sigmoid(u * gating.beta)
    return u * s, d * (s * (1.0 + u * gating.beta * (1.0 - s)))


# (gating, u, d) -> act(u), d ⊙ act'(u)
ACTIVATIONS: dict[type, Callable[..., Any]] = {
    Sigmoid: _sigmoid,
    Identity: _identity,
    ReLU: _relu,
    GELU: _gelu,
    GELUTanh: _gelu_tanh,
    Swish: _swish,
    TanhSigmoid: _sigmoid,
}


def activate(gating: Any, u: Any, d: Any) -> Any:
    """Return (act(u), d ⊙ act'(u)) of packs."""


@overload(activate, jit_options=INLINE)
def _activate(gating: Any, u: Any, d: Any) -> Any:
    if not isinstance(u, Pack):
        return None
    activation = ACTIVATIONS[gating.instance_class]

    def implement(gating: Any, u: Any, d: Any) -> Any:
        return activation(gating, u, d)

    return implement


def squash(gating: Any, v: Any) -> Any:
    """Return (val(v), val'(v)) of a pack: tanh for TanhSigmoid, else v itself and 1."""


@overload(squash, jit_options=INLINE)
def _squash(gating: Any, v: Any) -> Any:
    if not isinstance(v, Pack):
        return None

    def plain(gating: Any, v: Any) -> Any:
        return v, 1.0

    def squashed(gating: Any, v: Any) -> Any:
        val = tanh(v)
        return val, 1.0 - val * val

    return squashed if gating.instance_class is TanhSigmoid else plain


@kernel
def gate_forward(gating: Any, rows: Any, value: Any, gate: Any, output: Any, workers: int) -> None:
    """Write output = val(value) ⊙ act(gate); output is dense, value and gate lie as `rows` says."""
    lanes, count = VECTOR_BYTES // output.itemsize, -(-rows.n // rows.width)
    for worker in prange(workers):
        for row in range(count * worker // workers, count * (worker + 1) // workers):
            dense, start = row * rows.width, row * rows.stride
            width = min(rows.width, rows.n - dense)
            for j in range(0, width, lanes):
                u = load(gate, start + rows.shift + j, width - j)
                act, _ = activate(gating, u, u)
                val, _ = squash(gating, load(value, start + j, width - j))
                store(val * act, output, dense + j, width - j)


@kernel
def gate_backward(
    gating: Any, rows: Any, value: Any, gate: Any, d_output: Any, d_value: Any, d_gate: Any, workers: int
) -> None:
    """Write d_value = d_output ⊙ act(gate) ⊙ val'(value) and d_gate, which lie as value and gate."""
    lanes, count = VECTOR_BYTES // d_output.itemsize, -(-rows.n // rows.width)
    for worker in prange(workers):
        for row in range(count * worker // workers, count * (worker + 1) // workers):
            dense, start = row * rows.width, row * rows.stride
            width = min(rows.width, rows.n - dense)
            for j in range(0, width, lanes):
                left = width - j
                d = load(d_output, dense + j, left)
                val, slope = squash(gating, load(value, start + j, left))
                act, d_u = activate(gating, load(gate, start + rows.shift + j, left), d * val)
                store(d * act * slope, d_value, start + j, left)
                store(d_u, d_gate, start + rows.shift + j, left)

"""The pointwise kernels of GLUs and highway layers: output = val(value) ⊙ act(gate), and its gradients, in one pass.

With a third array, `carried` (a highway's input), output = val(value) ⊙ act(gate) + carried ⊙ (1 - act(gate)).
Arrays are read as rows of `width` elements, `stride` apart: x (B, T, 2H) has width H and stride 2H, with the gate
`shift` = H behind the value; two separate tensors are cut into rows of any length, with shift 0. carried lies as the output does.
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


class ReLUSigmoid(Gating):
    """max(0, v) σ(u)."""


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


@on_packs
def _tanh(gating: Any, u: Any, d: Any) -> Any:
    squashed = tanh(u)
    return squashed, d * (1.0 - squashed * squashed)


# (val, act), each (gating, u, d) -> f(u), d ⊙ f'(u)
Activation = Callable[..., Any]
ACTIVATIONS: dict[type, tuple[Activation, Activation]] = {
    Sigmoid: (_identity, _sigmoid),
    Identity: (_identity, _identity),
    ReLU: (_identity, _relu),
    GELU: (_identity, _gelu),
    GELUTanh: (_identity, _gelu_tanh),
    Swish: (_identity, _swish),
    TanhSigmoid: (_tanh, _sigmoid),
    ReLUSigmoid: (_relu, _sigmoid),
}


def squash(gating: Any, v: Any, d: Any) -> Any:
    """Return (val(v), d ⊙ val'(v)) of packs."""


def activate(gating: Any, u: Any, d: Any) -> Any:
    """Return (act(u), d ⊙ act'(u)) of packs."""


def _resolve(place: int) -> Callable[..., Any]:
    def resolve(gating: Any, u: Any, d: Any) -> Any:
        activation = ACTIVATIONS[gating.instance_class][place]

        def implement(gating: Any, u: Any, d: Any) -> Any:
            return activation(gating, u, d)

        return implement

    return resolve


overload(squash, jit_options=INLINE)(_resolve(0))
overload(activate, jit_options=INLINE)(_resolve(1))


@kernel
def gate_forward(gating: Any, rows: Any, value: Any, gate: Any, carried: Any, output: Any, workers: int) -> None:
    """Write the output, which is dense; value and gate lie as `rows` says; carried is None where there is none."""
    lanes, count = VECTOR_BYTES // output.itemsize, -(-rows.n // rows.width)
    for worker in prange(workers):
        for row in range(count * worker // workers, count * (worker + 1) // workers):
            dense, start = row * rows.width, row * rows.stride
            width = min(rows.width, rows.n - dense)
            for j in range(0, width, lanes):
                v, u = load(value, start + j, width - j), load(gate, start + rows.shift + j, width - j)
                (val, _), (act, _) = squash(gating, v, v), activate(gating, u, u)
                mixed = val * act
                if carried is not None:
                    mixed = mixed + load(carried, dense + j, width - j) * (1.0 - act)
                store(mixed, output, dense + j, width - j)


@kernel
def gate_backward(
    gating: Any, rows: Any, value: Any, gate: Any, carried: Any,
    d_output: Any, d_value: Any, d_gate: Any, d_carried: Any, workers: int,
) -> None:  # fmt: skip
    """Write the gradients of value and gate, which lie as these do, and of carried where there is one."""
    lanes, count = VECTOR_BYTES // d_output.itemsize, -(-rows.n // rows.width)
    for worker in prange(workers):
        for row in range(count * worker // workers, count * (worker + 1) // workers):
            dense, start = row * rows.width, row * rows.stride
            width = min(rows.width, rows.n - dense)
            for j in range(0, width, lanes):
                left = width - j
                d = load(d_output, dense + j, left)
                v, u = load(value, start + j, left), load(gate, start + rows.shift + j, left)
                mixed, _ = squash(gating, v, d)
                if carried is not None:
                    mixed = mixed - load(carried, dense + j, left)
                act, d_u = activate(gating, u, d * mixed)
                _, d_v = squash(gating, v, d * act)  # the compiler computes val(v) once
                store(d_v, d_value, start + j, left)
                store(d_u, d_gate, start + rows.shift + j, left)
                if carried is not None:
                    store(d * (1.0 - act), d_carried, dense + j, left)

"""Initialisations: what `gate.draw` makes of a gate's weights and biases, by their roles (`Gate.role`).

    torch           PyTorch's default: each parameter by its gate's own rule, `Gate.draw_parameter`
    keras           Keras 3: recurrent weights orthogonal, others Glorot uniform, both over all blocks at once; biases 0, that of
                    a forget gate (a memory block f) opens it by σ(1). keras/src/layers/rnn, keras/src/initializers
    xavier          Glorot uniform, U(-l, l) with l = √(6 / (fan_in + fan_out)) of each block; biases 0.
                    Glorot & Bengio 2010
    irnn            U = 1, W N(0, 0.001²), biases 0; plain recurrent networks only. Le, Jaitly & Hinton 2015, arXiv 1504.00941
    orthogonal=<g>  each recurrent block g times a random orthogonal matrix (uniform in Haar's measure), other weights as
                    torch's, biases 0. Saxe, McClelland & Ganguli 2014, arXiv 1312.6120
    gaussian=<g>    each recurrent block N(0, g² / fan_in), other weights N(0, 1 / fan_in), biases 0: mean-field theory's.
                    Sompolinsky, Crisanti & Sommers 1988
    forget_bias=<b> torch's, but the block that keeps the state gets the bias that opens the memory by σ(b)
    chrono=<T_max>  torch's, but that bias is ln U(1, T_max - 1), and an input gate's its negative; T_max is seq_len, at least 3,
                    where it is not given. Tallec & Ollivier 2018, arXiv 1804.11188

A convolution's fan_in and fan_out count its positions, as in Keras and torch. A weight with one axis (a peephole's vector, a
gain) and what a gate calls its own keep torch's rule: Keras 3 has no such cells, and Glorot's rule is about matrices.
What two initialisations draw uniformly (or normally) for a tensor differs in scale alone.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.forms import INITS, Choice, choice
from gatebench.gates.draw import draw_tensor, generator
from gatebench.shape import Shape

if TYPE_CHECKING:
    from gatebench.gates.base import Gate

IRNN_STD = 0.001


def draw_parameters(gate: "Gate", shape: Shape, seed: int, init: str) -> dict[str, Tensor]:
    """Draw a gate's parameters, float64 on the CPU; raises UserError for an unknown init, Unsupported where it is undefined."""
    chosen = choice("init", "init", init, INITS)
    if chosen.name in SCHEMES:
        return SCHEMES[chosen.name].draw(gate, shape, seed, chosen)
    params = {name: gate.draw_parameter(shape, seed, name) for name in gate.parameters(shape)}
    if chosen.name == "forget_bias":
        return _set_memory(gate, chosen.name, params, lambda suffix, width: _constant(chosen.number or 0.0, width))
    if chosen.name == "chrono":
        return _chrono(gate, seed, params, chosen.number or max(shape.seq_len, 3))
    return params


# --- weights


@dataclass(frozen=True)
class Weight:
    """A weight that is to be drawn: one or more matrices of a size, in a grid."""

    gate: "Gate"
    shape: Shape
    seed: int
    name: str
    size: tuple[int, ...]

    @property
    def grid(self) -> tuple[int, int]:
        """The matrices along its rows and columns."""
        return self.gate.grid(self.name)

    def fans(self, grid: tuple[int, int] = (1, 1)) -> tuple[int, int]:
        """Return fan_in and fan_out of one matrix of a grid, by default of the whole."""
        positions = math.prod(self.size[2:])
        return self.size[1] // grid[1] * positions, self.size[0] // grid[0] * positions

    def own(self) -> Tensor:
        """Draw by the gate's own rule."""
        return self.gate.draw_parameter(self.shape, self.seed, self.name)

    def normal(self, std: float = 1.0) -> Tensor:
        """Draw N(0, std²)."""
        return std * draw_tensor(self.size, self.seed, self.name, "normal")

    def glorot(self, grid: tuple[int, int] = (1, 1)) -> Tensor:
        """Draw U(-l, l) with l = √(6 / (fan_in + fan_out)) of one matrix of a grid."""
        return draw_tensor(self.size, self.seed, self.name, "uniform") * math.sqrt(6 / sum(self.fans(grid)))

    def gaussian(self, gain: float) -> Tensor:
        """Draw N(0, gain² / fan_in) with each matrix's fan_in."""
        return self.normal(gain / math.sqrt(self.fans(self.grid)[0]))

    def orthogonal(self, gain: float) -> Tensor:
        """Draw each matrix for itself, gain times a random orthogonal one."""
        rows, columns = self.grid
        bands = [band.chunk(columns, dim=1) for band in self.normal().chunk(rows)]
        return gain * torch.cat([torch.cat([orthogonalized(block) for block in band], dim=1) for band in bands])


def orthogonalized(normal: Tensor) -> Tensor:
    """Turn a matrix of N(0, 1) into one with orthonormal columns (rows where it is wide), uniform in Haar's measure.

    Q of QR = normal with the signs that make R's diagonal positive, as else Q depends on how QR is computed. Mezzadri 2007,
    arXiv math-ph/0609050. On one thread: with more, the last digits differ.
    """
    if normal.shape[0] < normal.shape[1]:
        return orthogonalized(normal.T).T.contiguous()
    with _one_thread():
        q, r = torch.linalg.qr(normal)
    return (q * torch.copysign(torch.ones(len(r), dtype=r.dtype), r.diagonal())).contiguous()


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


Rule = Callable[[Weight, float], Tensor]  # a weight, and the number of the init


@dataclass(frozen=True)
class Scheme:
    """How recurrent and other weights are drawn, where biases are 0 and the rest keeps its own rule."""

    recurrent: Rule
    others: Rule
    of_recurrence: bool = True  # it is about recurrent matrices, and means nothing without one
    plain_only: bool = False
    opens_forget_gate: bool = False

    def draw(self, gate: "Gate", shape: Shape, seed: int, init: Choice) -> dict[str, Tensor]:
        """Draw a gate's parameters; raises Unsupported where the scheme says nothing about them."""
        sizes = gate.parameters(shape)
        roles = {name: _role(gate, name, size) for name, size in sizes.items()}
        self._check(gate, init.name, set(roles.values()))
        rules = {"recurrent": self.recurrent, "input": self.others, "bias": _zeros, "own": _own}
        params = {
            name: rules[roles[name]](Weight(gate, shape, seed, name, size), init.number or 0.0)
            for name, size in sizes.items()
        }
        if self.opens_forget_gate and gate.memory_block == "f":
            return _set_memory(gate, init.name, params, lambda suffix, width: _constant(1.0, width))
        return params

    def _check(self, gate: "Gate", name: str, roles: set[str]) -> None:
        if self.of_recurrence and "recurrent" not in roles:
            raise Unsupported(f"{gate.name} has no recurrent matrix, so {name} does not apply")
        if not roles & {"recurrent", "input"}:
            raise Unsupported(f"{gate.name} has no weights that {name} draws")
        if self.plain_only and not gate.plain:
            raise Unsupported(f"{gate.name} is no plain recurrent network, and {name} is defined for those alone")


def _role(gate: "Gate", name: str, size: tuple[int, ...]) -> str:
    role = gate.role(name)
    return role if role == "bias" or len(size) > 1 else "own"  # a vector of weights is no matrix


def _zeros(weight: Weight, number: float) -> Tensor:
    return torch.zeros(weight.size, dtype=torch.float64)


def _own(weight: Weight, number: float) -> Tensor:
    return weight.own()


SCHEMES = {
    "keras": Scheme(
        lambda weight, _: orthogonalized(weight.normal()),
        lambda weight, _: weight.glorot(),
        of_recurrence=False,
        opens_forget_gate=True,
    ),
    "xavier": Scheme(
        lambda weight, _: weight.glorot(weight.grid), lambda weight, _: weight.glorot(weight.grid), of_recurrence=False
    ),
    "irnn": Scheme(
        lambda weight, _: torch.eye(*weight.size, dtype=torch.float64),
        lambda weight, _: weight.normal(IRNN_STD),
        plain_only=True,
    ),
    "orthogonal": Scheme(Weight.orthogonal, _own),
    "gaussian": Scheme(Weight.gaussian, lambda weight, _: weight.gaussian(1.0)),
}


# --- biases of the block that keeps the state

Opening = Callable[[str, int], Tensor]  # suffix of a set's names, width -> b, where σ(b) is how far the memory is open


def _chrono(gate: "Gate", seed: int, params: dict[str, Tensor], longest: float) -> dict[str, Tensor]:
    if gate.memory_block is not None and not gate.memory_shares:
        raise Unsupported(f"{gate.name}: no bias b keeps σ(b) of its state a step, so chrono does not apply")

    def opening(suffix: str, width: int) -> Tensor:
        uniform = torch.rand(width, generator=generator(seed, f"chrono{suffix}"), dtype=torch.float64)
        return torch.log(1 + uniform * (longest - 2))

    return _set_memory(gate, "chrono", params, opening, shuts_input=True)


def _set_memory(
    gate: "Gate", init: str, params: dict[str, Tensor], opening: Opening, shuts_input: bool = False
) -> dict[str, Tensor]:
    """Return the parameters with the memory block's bias set in each set of them; raises Unsupported where none has one."""
    changed: dict[str, Tensor] = {}
    for suffix in gate.suffixes:
        vectors = {
            name: params[name].clone() for name in (each + suffix for each in gate.memory_biases) if name in params
        }
        if gate.memory_block is None or not vectors:
            raise Unsupported(f"{gate.name} has no gate that keeps its state, so {init} does not apply")
        first = next(iter(vectors))
        letters = gate.blocks(first)  # the same for each of these vectors: their sum is one bias
        b = opening(suffix, len(vectors[first]) // len(letters))
        _set_block(vectors, letters, gate.memory_block, gate.memory_bias(b))
        if shuts_input and "i" in letters:
            _set_block(vectors, letters, "i", -b)  # what writes is shut where the memory is open
        changed |= vectors
    return {**params, **changed}


def _set_block(vectors: dict[str, Tensor], letters: tuple[str, ...], letter: str, bias: Tensor) -> None:
    # All of them act on the gate (torch has two): setting each would multiply the bias.
    rows = slice(letters.index(letter) * len(bias), (letters.index(letter) + 1) * len(bias))
    first, *others = vectors.values()
    first[rows] = bias
    for vector in others:
        vector[rows] = 0.0


def _constant(b: float, width: int) -> Tensor:
    return torch.full((width,), b, dtype=torch.float64)

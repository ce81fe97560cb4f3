"""Random numbers of a problem: one generator per tensor, keyed by (seed, name), float64 on the CPU.

Keyed so that adding a tensor or an implementation never changes the numbers of another one.
"""

import hashlib
import itertools
import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.forms import INPUTS, choice
from gatebench.shape import Shape

if TYPE_CHECKING:
    from gatebench.gates.base import Gate


def generator(seed: int, name: str) -> torch.Generator:
    """Return the generator that belongs to (seed, name)."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def draw_tensor(size: tuple[int, ...], seed: int, name: str, kind: Literal["normal", "uniform"]) -> Tensor:
    """Draw a float64 tensor: kind "normal" N(0, 1), "uniform" U(-1, 1)."""
    if kind == "normal":
        return torch.randn(size, generator=generator(seed, name), dtype=torch.float64)
    return 2 * torch.rand(size, generator=generator(seed, name), dtype=torch.float64) - 1


def draw_inputs(gate: "Gate", shape: Shape, seed: int, kind: str) -> dict[str, Tensor]:
    """Draw a gate's inputs and initial states; what `Gate.series` names is a signal, the others are N(0, 1) but for "zero".

        normal            signals N(0, 1)
        zero              all of them 0, initial states too
        white=<s2>        signals N(0, s2), √s2 times those of normal; with s2 = 0 a network runs by itself from a random state
        correlated=<rho>  x_t = ρ x_{t-1} + √(1 - ρ²) ε_t, with ε and x_0 N(0, 1), along the axis of time: variance 1 from the
                          first step on, correlation ρ^k at lag k

    Raises UserError for another kind, and gatebench.Unsupported for correlated where a signal has no axis of time.
    """
    chosen = choice("inputs", "inputs", kind, INPUTS)
    sizes = gate.input_shapes(shape)
    if chosen.name == "zero":
        return {name: torch.zeros(size, dtype=torch.float64) for name, size in sizes.items()}
    drawn = {name: draw_tensor(size, seed, name, "normal") for name, size in sizes.items()}
    for series in gate.series(shape):
        if chosen.name == "white":
            drawn |= {name: math.sqrt(chosen.number or 0.0) * drawn[name] for name in series}
        elif chosen.name == "correlated":
            _correlate([step for name in series for step in _steps(gate, name, drawn[name])], chosen.number or 0.0)
    return drawn


def _steps(gate: "Gate", name: str, signal: Tensor) -> tuple[Tensor, ...]:
    axis = gate.time_axis(name)
    if axis is None:
        raise Unsupported(f"{gate.name}: its input {name} has no axis of time, so correlated does not apply")
    return signal.unbind(axis)


def _correlate(noise: list[Tensor], rho: float) -> None:
    """Turn independent N(0, 1) steps into a stationary first-order autoregression, in place."""
    fresh = math.sqrt((1 - rho) * (1 + rho))
    for before, now in itertools.pairwise(noise):
        now.mul_(fresh).add_(before, alpha=rho)

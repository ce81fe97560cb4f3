"""Random numbers of a problem: one generator per tensor, keyed by (seed, name), float64 on the CPU.

Keyed so that adding a tensor or an implementation never changes the numbers of another one.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.errors import UserError
from gatebench.shape import Shape

if TYPE_CHECKING:
    from gatebench.gates.base import Gate

INPUT_KINDS = ("normal", "zero")
INIT_FORMS = "torch, forget_bias=<number>, chrono"


def generator(seed: int, name: str) -> torch.Generator:
    """Return the generator that belongs to (seed, name)."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def draw_tensor(size: tuple[int, ...], seed: int, name: str, kind: str) -> Tensor:
    """Draw a float64 tensor: kind "normal" N(0, 1), "uniform" U(-1, 1), "zero"."""
    if kind == "zero":
        return torch.zeros(size, dtype=torch.float64)
    if kind == "normal":
        return torch.randn(size, generator=generator(seed, name), dtype=torch.float64)
    if kind == "uniform":
        return 2 * torch.rand(size, generator=generator(seed, name), dtype=torch.float64) - 1
    raise UserError("inputs", f"unknown kind {kind!r}", f"accepted: {', '.join(INPUT_KINDS)}")


@dataclass(frozen=True)
class Init:
    """An initialisation scheme: torch's default, with the memory block's biases set where asked for."""

    name: str
    bias: float | None = None

    def apply(
        self, gate: "Gate", shape: Shape, seed: int, params: dict[str, Tensor], suffix: str = ""
    ) -> dict[str, Tensor]:
        """Return `params` with the biases of the block that keeps the state replaced; "torch" changes nothing.

        suffix: of the names that the parameters have in the gate, where they are one of several sets.
        """
        if self.name == "torch":
            return params
        changed = {name: params[name].clone() for name in gate.memory_biases if name in params}
        if gate.memory_block is None or not changed:
            raise Unsupported(f"{gate.name} has no gate that keeps its state, so {self.name} does not apply")
        if self.name == "chrono" and not gate.memory_shares:
            raise Unsupported(f"{gate.name}: no bias b keeps σ(b) of its state a step, so chrono does not apply")
        first = next(iter(changed))
        letters = gate.blocks(first)  # the same for each of these vectors: their sum is one bias
        opening = self.opening(shape, seed, len(changed[first]) // len(letters), suffix)
        self._set(changed, letters, gate.memory_block, gate.memory_bias(opening))
        if self.name == "chrono" and "i" in letters:
            self._set(changed, letters, "i", -opening)  # what writes is shut where the memory is open
        return {**params, **changed}

    def opening(self, shape: Shape, seed: int, width: int, suffix: str = "") -> Tensor:
        """Return b where σ(b) is how far the memory is open: constant, or ln U(1, T_max - 1) (chrono, T_max = seq_len)."""
        if self.bias is not None:
            return torch.full((width,), self.bias, dtype=torch.float64)
        uniform = torch.rand(width, generator=generator(seed, f"chrono{suffix}"), dtype=torch.float64)
        return torch.log(1 + uniform * (max(shape.seq_len, 3) - 2))

    @staticmethod
    def _set(vectors: dict[str, Tensor], letters: tuple[str, ...], letter: str, bias: Tensor) -> None:
        # All of them act on the gate (torch has two): setting each would multiply the bias.
        rows = slice(letters.index(letter) * len(bias), (letters.index(letter) + 1) * len(bias))
        first, *others = vectors.values()
        first[rows] = bias
        for vector in others:
            vector[rows] = 0.0


def parse_init(text: str) -> Init:
    """Parse "torch", "forget_bias=<number>" or "chrono"; raises UserError for anything else."""
    name, _, value = text.partition("=")
    if name in ("torch", "chrono") and not value:
        return Init(name)
    if name == "forget_bias":
        try:
            bias = float(value)
        except ValueError:
            bias = math.nan
        if math.isfinite(bias):
            return Init(name, bias)
    raise UserError("init", f"unknown init {text!r}", f"accepted: {INIT_FORMS}")

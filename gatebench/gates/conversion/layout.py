"""Blocks of gates along an axis: put in another order, negated."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.shape import Shape


def reordered(value: Tensor, theirs: Sequence[str], ours: Sequence[str]) -> Tensor:
    """Return a tensor (G·H, ...) whose equal blocks along the first axis come as `ours` instead of as `theirs`."""
    blocks = dict(zip(theirs, value.chunk(len(theirs)), strict=True))
    return torch.cat([blocks[letter] for letter in ours])


def negated(value: Tensor, letters: Sequence[str], letter: str) -> Tensor:
    """Return a tensor (G·H, ...) with one block negated: σ(-a) = 1 - σ(a), so that gate is 1 minus what it was."""
    blocks = value.chunk(len(letters))
    return torch.cat([-block if name == letter else block for name, block in zip(letters, blocks, strict=True)])


def canonical_shapes(gate: Gate, input_size: int, hidden_size: int) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of the gate's parameters, in its own order."""
    return gate.parameters(Shape(batch=1, seq_len=1, input_size=input_size, hidden_size=hidden_size))

"""A function of JAX as one node of torch's graph: compiled forward, compiled vjp, tensors shared by DLPack."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import torch
from jax import Array
from torch import Tensor
from torch.autograd.function import once_differentiable

Flat = Callable[..., tuple[Array, ...]]  # arrays in, arrays out


@jax.tree_util.register_static
@dataclass(frozen=True)
class Recipe:
    """How to put the function that jax.vjp returned together again from the arrays that it holds, its residuals.

    tree      its structure
    operands  per residual: which operand it is, or None for one that the forward computed
    """

    tree: Any
    operands: tuple[int | None, ...]


class Program:
    """A function compiled three times: alone, with the residuals of its vjp, and that vjp."""

    def __init__(self, function: Flat, x64: bool) -> None:
        """x64: let JAX compute in float64, in these calls alone; otherwise it rounds float64 to float32."""
        self.x64 = x64
        self.forward = jax.jit(function)
        self.forward_keeping = jax.jit(partial(keep, function))
        self.backward = jax.jit(pull_back)

    def __call__(self, *operands: Tensor) -> tuple[Tensor, ...]:
        """Compute, and let autograd follow where it wants to."""
        return Node.apply(self, *operands) if torch.is_grad_enabled() else self.run(self.forward, *operands)

    def run(self, compiled: Callable[..., Any], *arguments: Any) -> Any:
        """Call a compiled function on trees of tensors, wait until it has finished, and return its tree of tensors."""
        with jax.enable_x64(self.x64):
            results = compiled(*jax.tree.map(to_jax, arguments))
            return jax.tree.map(to_torch, jax.block_until_ready(results))


class Node(torch.autograd.Function):
    """One call of a program."""

    @staticmethod
    def forward(ctx: Any, program: Program, *operands: Tensor) -> tuple[Tensor, ...]:
        """Run forward and save the residuals, so that the backward computes no part of the forward again."""
        outputs, computed, recipe = program.run(program.forward_keeping, *operands)
        computed = iter(computed)
        ctx.save_for_backward(*(next(computed) if number is None else operands[number] for number in recipe.operands))
        ctx.program, ctx.recipe = program, recipe
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Run the compiled vjp."""
        return None, *ctx.program.run(ctx.program.backward, ctx.recipe, ctx.saved_tensors, upstream)


def keep(function: Flat, *operands: Array) -> tuple[tuple[Array, ...], list[Array], Recipe]:
    """Return a function's outputs, the residuals that it computed, and how they and the operands make its vjp.

    A residual that is an operand, as every weight is, is left out: a compiled function would return a copy of it.
    """
    outputs, vjp = jax.vjp(function, *operands)
    residuals, tree = jax.tree.flatten(vjp)
    numbers = {id(operand): number for number, operand in enumerate(operands)}
    recipe = Recipe(tree, tuple(numbers.get(id(residual)) for residual in residuals))
    return outputs, [residual for residual in residuals if id(residual) not in numbers], recipe


def pull_back(recipe: Recipe, residuals: tuple[Array, ...], upstream: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the gradients of all operands for upstream gradients of all outputs."""
    return jax.tree.unflatten(recipe.tree, residuals)(upstream)


def to_jax(tensor: Tensor) -> Array:
    """Share a tensor's memory with JAX; a strided one is copied, and so is one that is not aligned to 64 bytes."""
    return jax.dlpack.from_dlpack(tensor.detach().contiguous())


def to_torch(array: Array) -> Tensor:
    """Share an array's memory with torch."""
    return torch.from_dlpack(array)

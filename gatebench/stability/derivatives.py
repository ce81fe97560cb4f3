"""Derivatives of one step by autograd, many independent rows at once.

A step treats the rows of its batch independently, so rows of several times may share one call. All are cut
derivatives: the state that goes in is a leaf, never a node of a longer graph.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.stability.linear_maps import LinearMap

Step = Callable[[Mapping[str, Tensor], Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class RecordedStep(LinearMap):
    """The Jacobians of n rows as linear maps, in the state's dtype: x (n, I), state (n, S). Recorded when first used.

    J v is the derivative of u -> Jᵀ u, a linear function, in direction v; so both directions replay recorded graphs and
    the step is not computed again. (torch's forward mode would compile its decompositions first, and warn.)
    """

    step: Step
    params: Mapping[str, Tensor]
    x: Tensor
    state: Tensor

    def push(self, tangent: Tensor) -> Tensor:
        covector, pulled = self._transpose
        return _replayed(pulled, covector, tangent)

    def pull(self, cotangent: Tensor) -> Tensor:
        leaf, after = self._graph
        if not after.requires_grad:  # a step that ignores its state
            return torch.zeros_like(cotangent)
        return _replayed(after, leaf, cotangent)

    def matrix(self) -> Tensor:
        """Compute J[row, out, in] = ds'_out / ds_in. Costs S backward passes."""
        n, size = self.state.shape
        basis = torch.eye(size, dtype=self.state.dtype, device=self.state.device)[:, None, :].expand(size, n, size)
        return self.pull(basis).transpose(0, 1)

    def rows(self, rows: slice) -> "RecordedStep":
        return RecordedStep(self.step, self.params, self.x[rows], self.state[rows])

    @functools.cached_property
    def _graph(self) -> tuple[Tensor, Tensor]:
        leaf = self.state.detach().requires_grad_()
        with torch.enable_grad():
            return leaf, self.step(self.params, self.x, leaf)

    @functools.cached_property
    def _transpose(self) -> tuple[Tensor, Tensor]:
        """Record u -> Jᵀ u at u = 0."""
        leaf, after = self._graph
        with torch.enable_grad():
            after = after + 0 * leaf  # the sum keeps a step that ignores its state differentiable
            covector = torch.zeros_like(after).requires_grad_()
            (pulled,) = torch.autograd.grad(after, leaf, covector, create_graph=True)
        return covector, pulled


def _replayed(output: Tensor, leaf: Tensor, direction: Tensor) -> Tensor:
    """Return the vector-Jacobian product of a recorded graph, for one direction (n, S) or several (k, n, S)."""
    batched = direction.ndim > output.ndim
    (found,) = torch.autograd.grad(
        output, leaf, direction, retain_graph=True, is_grads_batched=batched, allow_unused=True, materialize_grads=True
    )
    return found

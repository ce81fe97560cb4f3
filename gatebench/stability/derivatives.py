"""Derivatives of one step with respect to the state, many independent rows at once.

A step treats the rows of its batch independently, so rows of several times may share one call.
All are cut derivatives: the state that goes in is a leaf, never a node of a longer graph.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Step = Callable[[Mapping[str, Tensor], Tensor, Tensor], Tensor]


def pull_back(step: Step, params: Mapping[str, Tensor], x: Tensor, state: Tensor, cotangent: Tensor) -> Tensor:
    """Compute Jᵀ δ for each row: x (n, I), state and cotangent (n, S) -> (n, S), in the state's dtype."""
    leaf = state.detach().requires_grad_()
    with torch.enable_grad():
        after = step(params, x, leaf)
    if not after.requires_grad:  # a step that ignores its state
        return torch.zeros_like(state)
    return torch.autograd.grad(after, leaf, cotangent, allow_unused=True, materialize_grads=True)[0]


def jacobian(step: Step, params: Mapping[str, Tensor], x: Tensor, state: Tensor) -> Tensor:
    """Compute J[row, out, in] = ds'_out / ds_in: x (n, I), state (n, S) -> (n, S, S). Costs S backward passes."""
    n, size = state.shape
    leaf = state.detach().requires_grad_()
    with torch.enable_grad():
        after = step(params, x, leaf)
    if not after.requires_grad:
        return state.new_zeros(n, size, size)
    basis = torch.eye(size, dtype=state.dtype, device=state.device)[:, None, :].expand(size, n, size)
    (rows,) = torch.autograd.grad(after, leaf, basis, is_grads_batched=True, allow_unused=True, materialize_grads=True)
    return rows.transpose(0, 1)


@dataclass(frozen=True, eq=False)
class LinearMap:
    """The Jacobians of n rows as a linear map, built once and applied often.

    J v is the derivative of u -> Jᵀ u, a linear function, in direction v; so both directions replay recorded
    graphs and the step is not computed again. (torch's forward mode would compile its decompositions first, and warn.)
    """

    leaf: Tensor
    after: Tensor
    covector: Tensor
    pulled: Tensor

    @classmethod
    def at(cls, step: Step, params: Mapping[str, Tensor], x: Tensor, state: Tensor) -> "LinearMap":
        """Record the step at x (n, I), state (n, S)."""
        leaf = state.detach().requires_grad_()
        with torch.enable_grad():
            after = step(params, x, leaf) + 0 * leaf  # the sum keeps a step that ignores its state differentiable
            covector = torch.zeros_like(after).requires_grad_()
            (pulled,) = torch.autograd.grad(after, leaf, covector, create_graph=True)
        return cls(leaf, after, covector, pulled)

    def push(self, tangent: Tensor) -> Tensor:
        """Compute J v, (n, S) -> (n, S)."""
        return torch.autograd.grad(self.pulled, self.covector, tangent, retain_graph=True)[0]

    def push_all(self, tangents: Tensor) -> Tensor:
        """Compute J Q, (n, S, k) -> (n, S, k)."""
        columns = tangents.permute(2, 0, 1).contiguous()
        if len(columns) == 1:
            return self.push(columns[0])[..., None]
        pushed = torch.autograd.grad(self.pulled, self.covector, columns, retain_graph=True, is_grads_batched=True)[0]
        return pushed.permute(1, 2, 0)

    def pull(self, cotangent: Tensor) -> Tensor:
        """Compute Jᵀ u, (n, S) -> (n, S)."""
        return torch.autograd.grad(self.after, self.leaf, cotangent, retain_graph=True)[0]

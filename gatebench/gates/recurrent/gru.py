"""The gated recurrent unit in its three forms: reset after or before the product, z keeps the old state or adds the new."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Tensors
from gatebench.gates.recurrent.base import Recurrent, State
from gatebench.gates.recurrent.layers import Layered


class GatedRecurrentUnit(Recurrent):
    """What the three forms share."""

    letters = ("r", "z", "n")
    transcendental_forward = 3
    memory_block = "z"
    nonlinearities: ClassVar[Mapping[str, str]] = {"r": "sigmoid", "z": "sigmoid", "n": "tanh"}


class GRU(GatedRecurrentUnit, Layered):
    """Gated recurrent unit: reset after the product, z keeps the old state.

        r, z = σ(W x_t + b + U h_{t-1} + c)      n = tanh(W_n x_t + b_n + r ⊙ (U_n h_{t-1} + c_n))
        h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

    Blocks r, z, n. Cho et al. 2014 (v3 of the preprint) reset before the product; torch and cuDNN after it.
    """

    name = "gru"
    equation = (
        r"r,z = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh}),\quad "
        r"n = \tanh(W_n x_t + b_{in} + r \odot (U_n h_{t-1} + b_{hn}))"
        r"\\ h_t = (1 - z) \odot n + z \odot h_{t-1}"
    )
    source = "Cho et al. 2014, arXiv 1406.1078 (v1: reset after); torch.nn.GRU"
    reserve = 4  # r, z, n, U_n h + c_n

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        (h,) = state
        u_r, u_z, u_n = projected.chunk(3, dim=-1)
        v_r, v_z, v_n = F.linear(h, params["weight_hh"], params["bias_hh"]).chunk(3, dim=-1)
        r, z = torch.sigmoid(u_r + v_r), torch.sigmoid(u_z + v_z)
        n = torch.tanh(u_n + r * v_n)
        h = (1 - z) * n + z * h
        return (h,), {"r": r, "z": z, "n": n}


class GRUResetBefore(GatedRecurrentUnit):
    """Gated recurrent unit, reset before the product: two dependent products a step. z keeps the old state.

        r, z = σ(W x_t + b + U h_{t-1} + c)      n = tanh(W_n x_t + b_n + U_n (r ⊙ h_{t-1}) + c_n)
        h_t = (1 - z) ⊙ n + z ⊙ h_{t-1}

    The form of Wikipedia, of Keras with reset_after=False, and of ONNX with linear_before_reset=0, its default. No
    permutation of weights turns it into `gru`: r ⊙ (U h) is not U (r ⊙ h).
    """

    name = "gru_reset_before"
    equation = (
        r"r,z = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh}),\quad "
        r"n = \tanh(W_n x_t + b_{in} + U_n (r \odot h_{t-1}) + b_{hn})"
        r"\\ h_t = (1 - z) \odot n + z \odot h_{t-1}"
    )
    source = "Cho et al. 2014, arXiv 1406.1078 (v3: reset before); ONNX GRU (linear_before_reset=0)"
    reserve = 3  # r, z, n

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        (h,) = state
        weight_rz, weight_n = params["weight_hh"].split([2 * h.shape[-1], h.shape[-1]])
        bias_rz, bias_n = params["bias_hh"].split([2 * h.shape[-1], h.shape[-1]])
        u_r, u_z, u_n = projected.chunk(3, dim=-1)
        v_r, v_z = F.linear(h, weight_rz, bias_rz).chunk(2, dim=-1)
        r, z = torch.sigmoid(u_r + v_r), torch.sigmoid(u_z + v_z)
        n = torch.tanh(u_n + F.linear(r * h, weight_n, bias_n))
        return (self.mix(z, n, h),), {"r": r, "z": z, "n": n}

    def mix(self, z: Tensor, n: Tensor, h: Tensor) -> Tensor:
        """Return the new state (B, H) from the update gate, the candidate and the old state."""
        return (1 - z) * n + z * h


class GRUTextbook(GRUResetBefore):
    """Gated recurrent unit as in lecture notes: reset before the product, and z adds the new state.

        r, z = σ(W x_t + b + U h_{t-1} + c)      n = tanh(W_n x_t + b_n + U_n (r ⊙ h_{t-1}) + c_n)
        h_t = z ⊙ n + (1 - z) ⊙ h_{t-1}

    `gru_reset_before` with the block z of all parameters negated, since σ(-a) = 1 - σ(a).
    """

    name = "gru_textbook"
    equation = (
        r"r,z = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh}),\quad "
        r"n = \tanh(W_n x_t + b_{in} + U_n (r \odot h_{t-1}) + b_{hn})"
        r"\\ h_t = z \odot n + (1 - z) \odot h_{t-1}"
    )
    source = "Chung et al. 2014, arXiv 1412.3555, section 3.2; Haiku's z adds, too"
    memory_sign = -1  # what keeps the state is 1 - z

    def mix(self, z: Tensor, n: Tensor, h: Tensor) -> Tensor:
        return z * n + (1 - z) * h

"""Plain recurrences, without gates: what gates are measured against."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Tensors
from gatebench.gates.recurrent.base import Recurrent, State
from gatebench.gates.recurrent.layers import Layered


class PlainRNN(Recurrent):
    """h_t = φ(W x_t + b + U h_{t-1} + c); subclasses name φ."""

    letters = ("h",)
    plain = True

    def activate(self, a: Tensor) -> Tensor:
        """Apply φ, any shape."""
        raise NotImplementedError(f"gate {self.name} does not define activate")

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        (h,) = state
        h = self.activate(projected + F.linear(h, params["weight_hh"], params["bias_hh"]))
        return (h,), {"h": h}


class RNNLinear(PlainRNN):
    """Linear recurrence: h_t = W x_t + b + U h_{t-1} + c. Its gradients are powers of U, which makes it an oracle."""

    name = "rnn_linear"
    equation = r"h_t = W x_t + b_{ih} + U h_{t-1} + b_{hh}"
    source = (
        "torch.nn.RNN with φ the identity, for which there is no operator; linear networks of depth, there feed-forward: "
        "Saxe, McClelland & Ganguli 2014, arXiv 1312.6120"
    )
    transcendental_forward = 0
    nonlinearities: ClassVar[Mapping[str, str]] = {"h": "identity"}

    def activate(self, a: Tensor) -> Tensor:
        return a


class RNNTanh(PlainRNN, Layered):
    """Plain recurrent network: h_t = tanh(W x_t + b + U h_{t-1} + c). Elman 1990; torch.nn.RNN."""

    name = "rnn_tanh"
    equation = r"h_t = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})"
    source = "Elman 1990, Finding structure in time; torch.nn.RNN(nonlinearity='tanh')"
    transcendental_forward = 1
    nonlinearities: ClassVar[Mapping[str, str]] = {"h": "tanh"}

    def activate(self, a: Tensor) -> Tensor:
        return torch.tanh(a)


class RNNReLU(PlainRNN, Layered):
    """Plain recurrent network with max(0, ·): h_t = relu(W x_t + b + U h_{t-1} + c). With U = I: IRNN, Le et al. 2015."""

    name = "rnn_relu"
    equation = r"h_t = \max(0, W x_t + b_{ih} + U h_{t-1} + b_{hh})"
    source = "Le, Jaitly & Hinton 2015, arXiv 1504.00941; torch.nn.RNN(nonlinearity='relu')"
    transcendental_forward = 0
    nonlinearities: ClassVar[Mapping[str, str]] = {"h": "relu"}

    def activate(self, a: Tensor) -> Tensor:
        return torch.relu(a)

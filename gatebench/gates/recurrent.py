"""Recurrent gates: RNN, LSTM, GRU, in PyTorch's conventions.

Layouts: x (T, B, I), output (T, B, H), states (B, H). Weights act as y = x Wᵀ, blocks stacked along the first axis.
"""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import DTYPE_BYTES, Cost, Gate, Tensors
from gatebench.shape import Shape

State = tuple[Tensor, ...]


class Recurrent(Gate):
    """A gate with time: subclasses write one `cell`; unrolling, step and costs follow from it."""

    family = "recurrent"
    stackable = True
    letters: ClassVar[tuple[str, ...]]  # blocks of weight_ih, weight_hh, bias_ih, bias_hh, in order
    parts: ClassVar[tuple[str, ...]] = ("h",)
    transcendental_forward: ClassVar[int]  # per (b, t, h)
    transcendental_backward: ClassVar[int] = 0
    reserve: ClassVar[int] = 0  # values per (b, t, h) that the backward needs and the forward must keep

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        """Advance one step from the projected input W x_t + b_ih (B, G·H) -> new state parts, gate values by letter."""
        raise NotImplementedError(f"gate {self.name} does not define cell")

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        rows = len(self.letters) * shape.hidden_size
        return {
            "weight_ih": (rows, shape.input_size),
            "weight_hh": (rows, shape.hidden_size),
            "bias_ih": (rows,),
            "bias_hh": (rows,),
        }

    def state(self, shape: Shape) -> dict[str, int]:
        return dict.fromkeys(self.parts, shape.hidden_size)

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return self.letters

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        projected = F.linear(inputs["x"], params["weight_ih"], params["bias_ih"])  # all steps in one product
        state = tuple(inputs[f"{part}0"] for part in self.parts)
        outputs = []
        for projected_t in projected.unbind(0):
            state, _ = self.cell(params, projected_t, state)
            outputs.append(state[0])
        return {"output": torch.stack(outputs), **dict(zip(self.parts, state, strict=True))}

    def step(self, params: Tensors, x_t: Tensor, state: Tensor) -> Tensor:
        return torch.cat(self._cell_of(params, x_t, state)[0], dim=-1)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return the gates' values at one step by letter, (B, H) each."""
        return self._cell_of(params, x_t, state)[1]

    def _cell_of(self, params: Tensors, x_t: Tensor, state: Tensor) -> tuple[State, dict[str, Tensor]]:
        projected = F.linear(x_t, params["weight_ih"], params["bias_ih"])
        return self.cell(params, projected, state.chunk(len(self.parts), dim=-1))

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost:
        """Return the compulsory work: matrix products 2BT·G·H(I+H) FLOP forward, twice that backward.

        Bytes, s per element: forward s[BTI + GH(I+H+2) + BTH + 2BS], weights read once;
        backward s[2BTI + 2BTH + R·BTH + 2GH(I+H+2)] with the reserve R; in forward_backward the forward also
        writes the reserve.
        """
        B, T, I, H = shape.batch, shape.seq_len, shape.input_size, shape.hidden_size
        G, s = len(self.letters), DTYPE_BYTES[dtype]
        weights, reserve = G * H * (I + H + 2), self.reserve * B * T * H
        forward = Cost(
            2 * B * T * G * H * (I + H),
            self.transcendental_forward * B * T * H,
            s * (B * T * I + weights + B * T * H + 2 * B * H * len(self.parts)),
        )
        if mode == "forward":
            return forward
        backward = Cost(
            2 * forward.flops,
            self.transcendental_backward * B * T * H,
            s * (2 * B * T * I + 2 * B * T * H + reserve + 2 * weights),
        )
        return backward if mode == "backward" else forward + backward + Cost(0, 0, s * reserve)


class PlainRNN(Recurrent):
    """h_t = φ(W x_t + b + U h_{t-1} + c); subclasses name φ."""

    letters = ("h",)

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
    source = "Saxe, McClelland & Ganguli 2014, arXiv 1312.6120 (deep linear networks); no torch operator"
    transcendental_forward = 0
    nonlinearities: ClassVar[Mapping[str, str]] = {"h": "identity"}

    def activate(self, a: Tensor) -> Tensor:
        return a


class RNNTanh(PlainRNN):
    """Plain recurrent network: h_t = tanh(W x_t + b + U h_{t-1} + c). Elman 1990; torch.nn.RNN."""

    name = "rnn_tanh"
    equation = r"h_t = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})"
    source = "Elman 1990, Finding structure in time; torch.nn.RNN(nonlinearity='tanh')"
    transcendental_forward = 1
    nonlinearities: ClassVar[Mapping[str, str]] = {"h": "tanh"}

    def activate(self, a: Tensor) -> Tensor:
        return torch.tanh(a)


class RNNReLU(PlainRNN):
    """Plain recurrent network with max(0, ·): h_t = relu(W x_t + b + U h_{t-1} + c). With U = I: IRNN, Le et al. 2015."""

    name = "rnn_relu"
    equation = r"h_t = \max(0, W x_t + b_{ih} + U h_{t-1} + b_{hh})"
    source = "Le, Jaitly & Hinton 2015, arXiv 1504.00941; torch.nn.RNN(nonlinearity='relu')"
    transcendental_forward = 0
    nonlinearities: ClassVar[Mapping[str, str]] = {"h": "relu"}

    def activate(self, a: Tensor) -> Tensor:
        return torch.relu(a)


class LSTM(Recurrent):
    """Long short-term memory with forget gate.

        i, f, o = σ(W x_t + b + U h_{t-1} + c)      g = tanh(W x_t + b + U h_{t-1} + c)
        c_t = f ⊙ c_{t-1} + i ⊙ g                   h_t = o ⊙ tanh(c_t)

    Blocks i, f, g, o; two bias vectors, as in torch and cuDNN. Hochreiter & Schmidhuber 1997 had no f.
    """

    name = "lstm"
    equation = (
        r"i,f,o = \sigma(W x_t + b_{ih} + U h_{t-1} + b_{hh}),\quad g = \tanh(W x_t + b_{ih} + U h_{t-1} + b_{hh})"
        r"\\ c_t = f \odot c_{t-1} + i \odot g,\quad h_t = o \odot \tanh(c_t)"
    )
    source = "Hochreiter & Schmidhuber 1997; forget gate: Gers, Schmidhuber & Cummins 2000; torch.nn.LSTM"
    letters = ("i", "f", "g", "o")
    parts = ("h", "c")
    transcendental_forward = 5
    transcendental_backward = 1  # tanh(c_t) computed again
    reserve = 5  # i, f, g, o, c
    memory_block = "f"
    nonlinearities: ClassVar[Mapping[str, str]] = {"i": "sigmoid", "f": "sigmoid", "g": "tanh", "o": "sigmoid"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c = state
        i, f, g, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        i, f, g, o = torch.sigmoid(i), torch.sigmoid(f), torch.tanh(g), torch.sigmoid(o)
        c = f * c + i * g
        h = o * torch.tanh(c)
        return (h, c), {"i": i, "f": f, "g": g, "o": o}


class GRU(Recurrent):
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
    letters = ("r", "z", "n")
    transcendental_forward = 3
    reserve = 4  # r, z, n, U_n h + c_n
    memory_block = "z"
    nonlinearities: ClassVar[Mapping[str, str]] = {"r": "sigmoid", "z": "sigmoid", "n": "tanh"}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        (h,) = state
        u_r, u_z, u_n = projected.chunk(3, dim=-1)
        v_r, v_z, v_n = F.linear(h, params["weight_hh"], params["bias_hh"]).chunk(3, dim=-1)
        r, z = torch.sigmoid(u_r + v_r), torch.sigmoid(u_z + v_z)
        n = torch.tanh(u_n + r * v_n)
        h = (1 - z) * n + z * h
        return (h,), {"r": r, "z": z, "n": n}


class GRUResetBefore(GRU):
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
    source = "Chung et al. 2014, arXiv 1412.3555, eqs. 4 to 7; Haiku's z adds, too"
    memory_sign = -1  # what keeps the state is 1 - z

    def mix(self, z: Tensor, n: Tensor, h: Tensor) -> Tensor:
        return z * n + (1 - z) * h

"""The sLSTM of xLSTM: exponential gates, kept in range by a stabiliser."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Tensors
from gatebench.gates.recurrent.base import Recurrent, State
from gatebench.options import Option
from gatebench.shape import Shape

FORGET = Option("sigmoid", str, ("sigmoid", "exp"), "activation of the forget gate, before the stabiliser")


class SLSTM(Recurrent):
    """LSTM with exponential input gate, a normaliser n and a stabiliser m (sLSTM of xLSTM), one head.

        ĩ, f̃, z̃, õ = W x_t + b + U h_{t-1} + c      l = log σ(f̃), or f̃ for the exponential forget gate
        m_t = max(ĩ, l + m_{t-1})      i = exp(ĩ - m_t)      f = exp(l + m_{t-1} - m_t)
        c_t = f ⊙ c_{t-1} + i ⊙ tanh(z̃)      n_t = f ⊙ n_{t-1} + i      h_t = σ(õ) ⊙ c_t / n_t

    Blocks i, f, z, o; state (h, c, n, m). The output does not depend on m: (c, n, m) and (c e^a, n e^a, m - a) stand for
    the same memory. n_0 is drawn positive. One of i and f is 1: n_t >= min(n_{t-1}, 1).

    Where c_0 = n_0 = 0, m_0 is of no effect as long as i is not 0: float32's exp(ĩ - l - m_0) is below -104, and then h is
    0/0. The published code's first step, m_1 = ĩ, is m_0 = -∞; a low m_0, say -10⁴, does the same.
    """

    name = "slstm"
    equation = (
        r"\tilde i, \tilde f, \tilde z, \tilde o = W x_t + b_{ih} + U h_{t-1} + b_{hh},\quad "
        r"m_t = \max(\tilde i, \log\sigma(\tilde f) + m_{t-1}),\quad i = \exp(\tilde i - m_t),\quad "
        r"f = \exp(\log\sigma(\tilde f) + m_{t-1} - m_t)"
        r"\\ c_t = f \odot c_{t-1} + i \odot \tanh(\tilde z),\quad n_t = f \odot n_{t-1} + i,\quad "
        r"h_t = \sigma(\tilde o) \odot c_t / n_t"
    )
    source = "Beck et al. 2024, arXiv 2405.04517, section 2.2 and appendix A; NX-AI/xlstm"
    options: ClassVar[Mapping[str, Option]] = {"forget": FORGET}
    letters = ("i", "f", "z", "o")
    parts = ("h", "c", "n", "m")
    memory_block = "f"
    nonlinearities: ClassVar[Mapping[str, str]] = {"i": "exp", "f": "exp", "z": "tanh", "o": "sigmoid"}

    def memory_bias(self, opening: Tensor) -> Tensor:
        return opening if self["forget"] == "sigmoid" else F.logsigmoid(opening)  # exp of it is σ(opening)

    def inputs(self, shape: Shape, seed: int, kind: str = "normal") -> dict[str, Tensor]:
        """Draw inputs and initial states; n0 is positive: exp of N(0, 1), or 0 for kind "zero"."""
        drawn = super().inputs(shape, seed, kind)
        return drawn if kind == "zero" else {**drawn, "n0": torch.exp(drawn["n0"])}

    def cell(self, params: Tensors, projected: Tensor, state: State) -> tuple[State, dict[str, Tensor]]:
        h, c, n, m = state
        i, f, z, o = (projected + F.linear(h, params["weight_hh"], params["bias_hh"])).chunk(4, dim=-1)
        log_f = (F.logsigmoid(f) if self["forget"] == "sigmoid" else f) + m
        m = torch.maximum(i, log_f)
        i, f, z, o = torch.exp(i - m), torch.exp(log_f - m), torch.tanh(z), torch.sigmoid(o)
        c = f * c + i * z
        n = f * n + i
        h = o * c / n
        return (h, c, n, m), {"i": i, "f": f, "z": z, "o": o}

    def pointwise_work(self) -> tuple[int, int, int]:
        # Kept: i, f, z, o, c, n; with σ also f̃, whose derivative σ(-f̃) is computed in the backward.
        return (5, 1, 7) if self["forget"] == "sigmoid" else (4, 0, 6)

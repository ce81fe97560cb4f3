"""mLSTM: the LSTM of xLSTM with a matrix for a memory."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.gates.base import Tensors
from gatebench.gates.scan.base import Scan, State, Work
from gatebench.options import Option
from gatebench.shape import Shape


class MLSTM(Scan):
    """mLSTM: per head a matrix memory C, written by i v kᵀ and read by q, with exponential input gates.

        q, k, v = W x_t + b,  k scaled by 1/√d      o = σ(W_o x_t + b_o)      ĩ, f̃ = w x_t + b (one value per head)
        m_t = max(ln σ(f̃) + m_{t-1}, ĩ)      i = exp(ĩ - m_t)      f = exp(ln σ(f̃) + m_{t-1} - m_t)
        C_t = f C_{t-1} + i v kᵀ      n_t = f n_{t-1} + i k      h_t = o ⊙ C_t q / max(|n_tᵀ q|, exp(-m_t))

    weight_ih, bias_ih have the blocks q, k, v, o; weight_if, bias_if (heads rows each) i, f. A head's width is d = H / heads.
    C and n are stored divided by exp(m), as in NX-AI's code: no choice of m changes h, and the max is the paper's
    max(|nᵀq|, 1). f is the sigmoid one of the paper's two. NX-AI's code adds 1e-6 to the denominator; here nothing is added.
    """

    name = "mlstm"
    equation = (
        r"m_t = \max(\ln\sigma(\tilde f) + m_{t-1}, \tilde i),\quad i = e^{\tilde i - m_t},\quad "
        r"f = e^{\ln\sigma(\tilde f) + m_{t-1} - m_t}"
        r"\\ C_t = f\, C_{t-1} + i\, v k^\top,\quad n_t = f\, n_{t-1} + i\, k,\quad "
        r"h_t = o \odot \frac{C_t q}{\max(|n_t^\top q|, e^{-m_t})}"
    )
    source = (
        "Beck et al. 2024 (xLSTM), arXiv 2405.04517, eqs. 15 to 17 and 19 to 27; NX-AI/xlstm blocks/mlstm/backends.py"
    )
    options: ClassVar[Mapping[str, Option]] = {
        "heads": Option(1, int, (1, 1024), "memories side by side, each d = H / heads wide; the paper has 4")
    }
    parts = ("C", "n", "m")
    letters: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "weight_ih": ("q", "k", "v", "o"), "bias_ih": ("q", "k", "v", "o"),
        "weight_if": ("i", "f"), "bias_if": ("i", "f"),
    }  # fmt: skip
    memory_block = "f"
    memory_biases = ("bias_if",)
    nonlinearities: ClassVar[Mapping[str, str]] = {"o": "sigmoid", "f": "sigmoid"}

    def check_shape(self, shape: Shape) -> None:
        if shape.hidden_size % self["heads"]:
            raise Unsupported(f"mlstm: hidden_size {shape.hidden_size} is no multiple of heads = {self['heads']}")

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        I, H, N = shape.input_size, shape.hidden_size, self["heads"]
        return {"weight_ih": (4 * H, I), "weight_if": (2 * N, I), "bias_ih": (4 * H,), "bias_if": (2 * N,)}

    def state(self, shape: Shape) -> dict[str, int]:
        H, N = shape.hidden_size, self["heads"]
        return {"C": H * (H // N), "n": H, "m": N}

    def split_state(self, params: Tensors, state: Tensor) -> State:
        H, N = len(params["bias_ih"]) // 4, self["heads"]
        return state.split((H * (H // N), H, N), dim=-1)

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        q, k, v, o = F.linear(x, params["weight_ih"], params["bias_ih"]).chunk(4, dim=-1)
        i, f = F.linear(x, params["weight_if"], params["bias_if"]).chunk(2, dim=-1)
        k = k * (k.shape[-1] // self["heads"]) ** -0.5
        return {"q": q, "k": k, "v": v, "o": torch.sigmoid(o), "i": i, "log_f": F.logsigmoid(f)}

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        C, n, m = state
        q, k, v, n, C = (part.unflatten(-1, (self["heads"], -1)) for part in (*_qkv(values), n, C))
        C = C.unflatten(-1, (v.shape[-1], k.shape[-1]))  # (B, head, d of v, d of k)
        log_f = values["log_f"] + m
        m = torch.maximum(log_f, values["i"])
        i, f = torch.exp(values["i"] - m)[..., None], torch.exp(log_f - m)[..., None]
        C = f[..., None] * C + (i * v)[..., None] * k[..., None, :]
        n = f * n + i * k
        # Numerator and denominator both times exp(min(m, 0)): exp(-m) alone overflows where nothing was written.
        scale, floor = torch.exp(m.clamp(max=0))[..., None], torch.exp(-m.clamp(min=0))[..., None]
        read = torch.einsum("bhvk,bhk->bhv", C, q)
        known = (n * q).sum(-1, keepdim=True).abs()
        h = values["o"] * (scale * read / torch.maximum(scale * known, floor)).flatten(-2)
        return h, (C.flatten(1), n.flatten(1), m)

    def activations(self, params: Tensors, x_t: Tensor, state: Tensor) -> dict[str, Tensor]:
        """Return o (B, H) and σ(f̃) (B, heads); the input gate exp(ĩ) has no end to saturate at."""
        values = self.project(params, x_t)
        return {"o": values["o"], "f": values["log_f"].exp()}

    def work(self, shape: Shape) -> Work:
        I, H, N = shape.input_size, shape.hidden_size, self["heads"]
        memory = H * (H // N)
        return Work(
            flops=2 * I * (4 * H + 2 * N) + 4 * memory,  # C is written by v kᵀ and read by q
            transcendental=H + 5 * N,
            kept=4 * H + 2 * N,  # q, k, v, o, ĩ, f̃: the memory is written and read again
            written=4 * H + 2 * N,
            transcendental_backward=5 * N,
            flops_again=4 * memory,
        )


def _qkv(values: Tensors) -> tuple[Tensor, Tensor, Tensor]:
    return values["q"], values["k"], values["v"]

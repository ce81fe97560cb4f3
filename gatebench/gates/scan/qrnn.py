"""Quasi-recurrent network: gates from a causal convolution over the input, and a pooling in place of a cell."""

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.gates.base import Tensors
from gatebench.gates.scan.base import Scan, State, Work
from gatebench.options import Option
from gatebench.shape import Shape

LETTERS = {"f": ("z", "f"), "fo": ("z", "f", "o"), "ifo": ("z", "f", "o", "i")}


class QRNN(Scan):
    """Quasi-recurrent network: gates from a causal convolution of the input, k inputs wide.

        z = tanh(W_z * x + b_z)      f, o, i = σ(W * x + b)
        f:    h_t = c_t,        c_t = f ⊙ c_{t-1} + (1 - f) ⊙ z
        fo:   h_t = o ⊙ c_t,    c_t = f ⊙ c_{t-1} + (1 - f) ⊙ z
        ifo:  h_t = o ⊙ c_t,    c_t = f ⊙ c_{t-1} + i ⊙ z

    weight_ih (G·H, I, k) in torch.nn.Conv1d's layout: its last column meets x_t. Blocks z, f, o, i, as far as the pooling
    has them. The k - 1 inputs before the first are an input of their own, x0 (k-1, B, I); the paper has zeros there.
    """

    name = "qrnn"
    equation = (
        r"z = \tanh(W_z * x + b_z),\quad f,o,i = \sigma(W * x + b)"
        r"\\ \mathrm{f, fo}:\ c_t = f \odot c_{t-1} + (1 - f) \odot z,\quad "
        r"\mathrm{ifo}:\ c_t = f \odot c_{t-1} + i \odot z"
        r"\\ \mathrm{f}:\ h_t = c_t,\quad \mathrm{fo, ifo}:\ h_t = o \odot c_t"
    )
    source = "Bradbury et al. 2016, arXiv 1611.01576, eqs. 1 and 3 to 5"
    options: ClassVar[Mapping[str, Option]] = {
        "pooling": Option("fo", str, ("f", "fo", "ifo"), "which gates there are beside the candidate z"),
        "kernel_size": Option(2, int, (1, 64), "k, how many inputs a gate sees, the latest included"),
    }
    parts = ("c",)
    memory_block = "f"
    nonlinearities: ClassVar[Mapping[str, str]] = {"z": "tanh", "f": "sigmoid", "o": "sigmoid", "i": "sigmoid"}

    def blocks(self, parameter: str) -> tuple[str, ...]:
        return LETTERS[self["pooling"]] if parameter in ("weight_ih", "bias_ih") else ()

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        rows = len(LETTERS[self["pooling"]]) * shape.hidden_size
        return {"weight_ih": (rows, shape.input_size, self["kernel_size"]), "bias_ih": (rows,)}

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        x, *states = super().input_shapes(shape).items()
        before = (self["kernel_size"] - 1, shape.batch, shape.input_size)
        return dict((x, *([("x0", before)] if before[0] else []), *states))

    def time_axis(self, tensor: str) -> int | None:
        return 0 if tensor == "x0" else super().time_axis(tensor)

    def series(self, shape: Shape) -> tuple[tuple[str, ...], ...]:
        return (("x0", "x") if self["kernel_size"] > 1 else ("x",),)

    def step_inputs(self, inputs: Tensors) -> Tensor:
        """Return the last k inputs of each step, oldest first: (T, B, k, I)."""
        x, T = self._with_past(inputs), len(inputs["x"])
        return torch.stack([x[before : before + T] for before in range(self["kernel_size"])], dim=2)

    def carried(self, inputs: Tensors, outputs: Tensors) -> dict[str, Tensor]:
        past = self._with_past(inputs)
        carried = super().carried(inputs, outputs)
        return carried if self["kernel_size"] == 1 else {"x0": past[1 - self["kernel_size"] :], **carried}

    def _with_past(self, inputs: Tensors) -> Tensor:
        return inputs["x"] if self["kernel_size"] == 1 else torch.cat((inputs["x0"], inputs["x"]))

    def project_all(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        x = self._with_past(inputs).permute(1, 2, 0)  # (B, I, T + k - 1)
        return self._gates(F.conv1d(x, params["weight_ih"], params["bias_ih"]).permute(2, 0, 1))

    def project(self, params: Tensors, x: Tensor) -> dict[str, Tensor]:
        weight = params["weight_ih"].transpose(1, 2).flatten(1)  # (G·H, k·I), columns as in a window (..., k, I)
        return self._gates(F.linear(x.flatten(-2), weight, params["bias_ih"]))

    def _gates(self, values: Tensor) -> dict[str, Tensor]:
        letters = LETTERS[self["pooling"]]
        z, *gates = values.chunk(len(letters), dim=-1)
        return dict(zip(letters, (torch.tanh(z), *(torch.sigmoid(gate) for gate in gates)), strict=True))

    def cell(self, params: Tensors, values: Tensors, state: State) -> tuple[Tensor, State]:
        (c,), f = state, values["f"]
        c = f * c + (values["i"] if "i" in values else 1 - f) * values["z"]
        return (values["o"] * c if "o" in values else c), (c,)

    def work(self, shape: Shape) -> Work:
        I, H, G = shape.input_size, shape.hidden_size, len(LETTERS[self["pooling"]])
        gates = G * H
        written = gates if self["pooling"] == "f" else gates + H  # c, where it is not the output
        return Work(2 * gates * self["kernel_size"] * I, transcendental=gates, kept=gates + H, written=written)

"""Gates, models and tolerances that the stability tests share."""

import json
from pathlib import Path

import torch

import gatebench
import gatebench.stability
from gatebench import Shape, gates

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "golden_recurrent.json").read_text())

# Relative to the quantity, float64. exact: products of a few hundred roundings; golden: digits of the fixture;
# singular: logs of singular values near float64's limit; determinant: sums of logs.
TOLERANCE = {"exact": 1e-12, "golden": 1e-10, "singular": 1e-6, "determinant": 1e-8}


@gatebench.gate("tests:linear_rnn", family="recurrent")
class LinearRNN(gates.Gate):
    """h_t = W x_t + U h_{t-1}."""

    def parameters(self, shape):
        return {
            "weight_ih": (shape.hidden_size, shape.input_size),
            "weight_hh": (shape.hidden_size, shape.hidden_size),
        }

    def state(self, shape):
        return {"h": shape.hidden_size}

    def step(self, params, x_t, state):
        return x_t @ params["weight_ih"].T + state @ params["weight_hh"].T


def relu_step(params, x_t, state):
    """Advance a ReLU network."""
    return torch.relu(x_t @ params["weight_ih"].T + state @ params["weight_hh"].T)


def at_rest(U, steps, batch=1):
    """Return parameters and inputs of a linear network with recurrent matrix U that stays at 0."""
    H = len(U)
    zeros = {"x": torch.zeros(steps, batch, 1), "h0": torch.zeros(batch, H)}
    return {"weight_ih": torch.zeros(H, 1), "weight_hh": U}, {name: value.double() for name, value in zeros.items()}


def linear(U, steps, batch=1, dtype=torch.float64):
    """Return the trajectory of a linear network at rest: J_t = U at every step."""
    return gatebench.stability.unroll(LinearRNN(), *at_rest(U, steps, batch), dtype=dtype)


def drawn(name, seed=0, dtype=torch.float64, **sizes):
    """Return gate, parameters and inputs of a random problem."""
    shape = Shape(**({"batch": 2, "seq_len": 8, "input_size": 3, "hidden_size": 4} | sizes))
    gate = LinearRNN() if name == "linear" else gates.get(name)
    params, inputs = gate.draw(shape, seed), gate.inputs(shape, seed)
    return gate, {k: v.to(dtype) for k, v in params.items()}, {k: v.to(dtype) for k, v in inputs.items()}


def gated_by_bias(name, steps, **biases):
    """Return a gate of width 2 with all weights 0 and the biases of some blocks given, on random inputs."""
    gate, params, inputs = drawn(name, seq_len=steps, hidden_size=2)
    params = {key: torch.zeros_like(value) for key, value in params.items()}
    for letter, bias in biases.items():
        start = 2 * gate.blocks("bias_ih").index(letter)
        params["bias_ih"][start : start + 2] = bias
    return gate, params, inputs


def golden(name):
    """Return gate, parameters, inputs and expected numbers of fixture A."""
    H, I, T = 3, 2, 5
    gate = gates.get(name)
    shape = Shape(batch=1, seq_len=T, input_size=I, hidden_size=H)
    sizes = gate.parameters(shape)
    count = sum(torch.Size(size).numel() for size in sizes.values())
    flat = 0.6 * torch.sin((torch.arange(count, dtype=torch.float64) + 1) ** 2)
    parts = flat.split([torch.Size(size).numel() for size in sizes.values()])
    params = {key: part.reshape(size) for (key, size), part in zip(sizes.items(), parts, strict=True)}
    t, j = torch.arange(T, dtype=torch.float64)[:, None], torch.arange(I, dtype=torch.float64)
    inputs = {"x": torch.cos(0.7 * t + 1.3 * j)[:, None], "h0": torch.tensor([GOLDEN["h0"]], dtype=torch.float64)}
    if "c" in gate.state(shape):
        inputs["c0"] = torch.tensor([GOLDEN["c0"]], dtype=torch.float64)
    return gate, params, inputs, GOLDEN["cells"][name]

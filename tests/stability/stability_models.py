"""Gates, models and tolerances that the stability tests share."""

import math

import mpmath
import torch

import gatebench
import gatebench.stability
from gatebench import Shape, gates
from gatebench.shape import ONES

CLOSED_FORMS = (
    "rnn_linear", "rnn_tanh", "rnn_relu", "lstm", "lstm_coupled", "lstm_peephole", "lstm_peephole_full", "gru",
    "gru_reset_before", "gru_textbook",
)  # fmt: skip

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


def drawn(gate, seed=0, dtype=torch.float64, **sizes):
    """Return gate, parameters and inputs of a random problem; the gate itself, or its name."""
    shape = Shape(**({"batch": 2, "seq_len": 8, "input_size": 3, "hidden_size": 4} | sizes))
    if isinstance(gate, str):
        gate = LinearRNN() if gate == "linear" else gates.get(gate)
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


def with_time():
    """Return the names of the catalogue's own gates that have a state."""
    return [name for name in gates.names() if ":" not in name and gates.get(name).state(ONES)]


def gaussian(*sizes, seed=0):
    """Draw standard normal numbers."""
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonal(*sizes, seed=0):
    """Draw random orthogonal matrices, (..., S, S)."""
    return torch.linalg.qr(gaussian(*sizes, seed=seed)).Q


def chain(jacobians, dtype=torch.float64):
    """Return the trajectory, at rest, of a bare step with the Jacobians (T, S, S) or (T, B, S, S)."""
    J = jacobians if jacobians.ndim == 4 else jacobians[:, None]
    S = J.shape[-1]

    def step(params, x_t, state):
        return (x_t.unflatten(-1, (S, S)) @ state[..., None])[..., 0]

    return gatebench.stability.unroll(step, {}, {"x": J.flatten(2), "state0": J.new_zeros(J.shape[1], S)}, dtype)


def end_to_end(trajectory):
    """Return P = J_T ... J_1 (B, S, S), pushed column by column: no matrix J_t is formed."""
    columns = torch.eye(trajectory.size, dtype=torch.float64)[:, None].repeat(1, trajectory.batch, 1)
    for jacobian in trajectory.linear_maps():
        columns = jacobian.push(columns)
    return columns.permute(1, 2, 0)


def exact_log_singular_values(jacobians, digits=700):
    """Compute ln σ_i of J_T ... J_1, matrices (T, S, S), with many digits; -inf for 0."""
    with mpmath.workdps(digits):
        product = mpmath.eye(jacobians.shape[-1])
        for matrix in jacobians.tolist():
            product = mpmath.matrix(matrix) * product
        if not any(product):
            return [-math.inf] * product.rows
        values = mpmath.svd_r(product, compute_uv=False)
        smallest = max(values) * mpmath.mpf(10) ** (20 - digits)  # below it only the rounding of the digits is left
        return [float(mpmath.log(value)) if value > smallest else -math.inf for value in values]

"""Converted parameters in a step of the gate against the equations that Keras and TensorFlow document."""

import numpy as np
import pytest
import torch
from convert_helpers import SHAPE, TOLERANCE, random, states

from gatebench import gates


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def keras_lstm(p, x, h, c):
    i, f, g, o = np.split(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4, axis=1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def keras_gru(p, x, h):
    x_z, x_r, x_h = np.split(x @ p["kernel"] + p["bias"][0], 3, axis=1)
    h_z, h_r, h_h = np.split(h @ p["recurrent_kernel"] + p["bias"][1], 3, axis=1)
    z = sigmoid(x_z + h_z)
    return (z * h + (1 - z) * np.tanh(x_h + sigmoid(x_r + h_r) * h_h),)


def keras_gru_reset_before(p, x, h):
    x_z, x_r, x_h = np.split(x @ p["kernel"] + p["bias"], 3, axis=1)
    u_z, u_r, u_h = np.split(p["recurrent_kernel"], 3, axis=1)
    z = sigmoid(x_z + h @ u_z)
    return (z * h + (1 - z) * np.tanh(x_h + (sigmoid(x_r + h @ u_r) * h) @ u_h),)


def tensorflow_lstm(p, x, h, c):
    i, j, f, o = np.split(np.concatenate((x, h), axis=1) @ p["kernel"] + p["bias"], 4, axis=1)
    c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(j)
    return np.tanh(c) * sigmoid(o), c


def tensorflow_gru(p, x, h):
    r, u = np.split(sigmoid(np.concatenate((x, h), axis=1) @ p["gates/kernel"] + p["gates/bias"]), 2, axis=1)
    candidate = np.tanh(np.concatenate((x, r * h), axis=1) @ p["candidate/kernel"] + p["candidate/bias"])
    return (u * h + (1 - u) * candidate,)


def tensorflow_rnn(p, x, h):
    return (np.tanh(np.concatenate((x, h), axis=1) @ p["kernel"] + p["bias"]),)


KERAS = {"kernel": (5, 12), "recurrent_kernel": (4, 12)}
CELLS = {"gates/kernel": (9, 8), "gates/bias": (8,), "candidate/kernel": (9, 4), "candidate/bias": (4,)}


@pytest.mark.parametrize(
    ("name", "source", "step", "sizes"),
    [
        ("lstm", "keras", keras_lstm, {"kernel": (5, 16), "recurrent_kernel": (4, 16), "bias": (16,)}),
        ("gru", "keras", keras_gru, {**KERAS, "bias": (2, 12)}),
        ("gru_reset_before", "keras", keras_gru_reset_before, {**KERAS, "bias": (12,)}),
        ("gru_textbook", "keras", keras_gru_reset_before, {**KERAS, "bias": (12,)}),
        ("rnn_tanh", "tensorflow1", tensorflow_rnn, {"kernel": (9, 4), "bias": (4,)}),
        ("lstm", "tensorflow1", tensorflow_lstm, {"kernel": (9, 16), "bias": (16,)}),
        ("gru_reset_before", "tensorflow1", tensorflow_gru, CELLS),
        ("gru_textbook", "tensorflow1", tensorflow_gru, CELLS),
    ],
)
def test_a_step_equals_the_equations_of_the_source(name, source, step, sizes):
    gate = gates.get(name)
    params = {key: random(*size, seed=seed) for seed, (key, size) in enumerate(sizes.items())}
    inputs, state = states(gate)
    expected = step(params, inputs["x"][0].numpy(), *(part.numpy() for part in state.chunk(len(gate.state(SHAPE)), -1)))
    found = gate.step(gates.convert(gate, params, source=source), inputs["x"][0], state)
    torch.testing.assert_close(found, torch.tensor(np.concatenate(expected, axis=1)), **TOLERANCE)

"""What the tests of scan gates share: two shapes, a drawn problem, its state, and the Jacobian of a step."""

import pytest
import torch

from gatebench import Shape, gates

SHAPE = Shape(batch=3, seq_len=7, input_size=5, hidden_size=4)
SQUARE = Shape(batch=3, seq_len=7, input_size=4, hidden_size=4)
TOLERANCE = {"rtol": 1e-12, "atol": 1e-13}

SHAPES = pytest.mark.parametrize("shape", [SHAPE, SQUARE], ids=["widths-differ", "square"])


def problem(name, options, shape=SHAPE, seed=1):
    gate = gates.get(name, **options)
    return gate, gate.draw(shape, seed), gate.inputs(shape, seed)


def state_of(gate, inputs, shape=SHAPE):
    return torch.cat([inputs[f"{part}0"] for part in gate.state(shape)], dim=-1)


def jacobian(gate, params, x_t, state):
    """Return ds'/ds of one step, (S, S), for a batch of one row."""
    return torch.autograd.functional.jacobian(lambda s: gate.step(params, x_t, s[None])[0], state[0])

"""What theory says of a problem, beside what is measured: half-life of an open gate, mean field, edge of stability."""

import math
from collections.abc import Iterator

import numpy as np

from gatebench.forms import INITS, INPUTS, Choice, choice
from gatebench.stability.problem import Problem
from gatebench.stability.rows import Row, row
from gatebench.stability.theory import mean_field

# Gates whose state 0 is a fixed point at zero input and zero biases, where half of everything is let through: the gain of
# the candidate's recurrent matrix at which its Jacobian's spectral radius is 1. GRU: J = I/2 + U_n/4, ρ = 1/2 + g/4;
# LSTM: the nonzero spectrum is that of f I + i o U_g = I/2 + U_g/4.
EDGES = {"rnn_linear": 1.0, "rnn_tanh": 1.0, "gru": 2.0, "gru_reset_before": 2.0, "gru_textbook": 2.0, "lstm": 2.0}


def prediction_rows(problem: Problem) -> Iterator[Row]:
    """Yield what is known in closed form; nothing for weights of one's own or trained ones."""
    if problem.own or problem.lesson:
        return
    init, inputs = choice("init", "init", problem.init, INITS), choice("inputs", "inputs", problem.inputs, INPUTS)
    if init.name == "forget_bias" and problem.gate.memory_shares:
        assert init.number is not None
        yield row("predicted_half_life", half_life(init.number))
    if init.name == "gaussian" and inputs.name in ("white", "normal") and _one_tanh_layer(problem):
        yield row("predicted_lyapunov", mean_field(init.number or 0.0, _variance(inputs)).lyapunov)
    if init.name in ("gaussian", "orthogonal") and inputs.name == "zero" and problem.gate.name in EDGES:
        yield row("predicted_edge", EDGES[problem.gate.name])


def half_life(bias: float) -> float:
    """Compute ln 2 / -ln σ(b), steps: how long a memory lasts whose gate has no other input than its bias b.

    inf where σ(b) is 1 in float64's exponents, too (b > 745).
    """
    decay = float(np.logaddexp(0.0, -bias))
    return math.log(2) / decay if decay else math.inf


def _one_tanh_layer(problem: Problem) -> bool:
    """Say whether the network is the one of the mean field: what a second layer sees is not white."""
    return problem.gate.name == "rnn_tanh" and problem.gate["num_layers"] == 1


def _variance(inputs: Choice) -> float:
    """Return the variance of x; gaussian's input weights, N(0, 1/I), give pre-activations the same."""
    return 1.0 if inputs.number is None else inputs.number

"""Questions that have no answer: each is one clear error that says what is accepted."""

import math
import re

import numpy as np
import pytest
import torch
from stability_models import LinearRNN, at_rest, drawn, linear

from gatebench import Unsupported, gates, stability
from gatebench.errors import UserError


def lstm():
    return stability.unroll(*drawn("lstm"))


def unrolled(dtype=torch.float64, **changes):
    """Unroll an LSTM with some inputs, or with some parameters, exchanged."""
    gate, params, inputs = drawn("lstm")
    changed = {name: value for name, value in changes.items() if name in params}
    return stability.unroll(gate, params | changed, inputs | {k: v for k, v in changes.items() if k in inputs}, dtype)


def without(key):
    gate, params, inputs = drawn("lstm")
    return stability.unroll(gate, params, {name: value for name, value in inputs.items() if name != key})


def wide():
    return linear(torch.eye(2049, dtype=torch.float64), 1)


def misfit():
    gate, params, inputs = drawn("gru")
    return stability.depth_profile(gate, [params], inputs)


def bare(step=lambda params, x, state: state, **changes):
    inputs = {"x": torch.zeros(3, 2, 1), "state0": torch.zeros(2, 4)} | changes
    return stability.unroll(step, {}, inputs)


def stacked(dtype, inputs_dtype=None):
    """Compute the depth profile of a feed-forward block in a dtype, its inputs in another."""
    gate, params, drawn_inputs = drawn("swiglu_ffn", input_size=5)
    layer = {name: value.to(dtype) for name, value in params.items()}
    given = {name: value.to(inputs_dtype or dtype) for name, value in drawn_inputs.items()}
    return stability.depth_profile(gate, [layer], given)


NAN, INF = torch.full((16,), math.nan), torch.full((16,), math.inf)

UNROLL = {
    "a gate without time": (lambda: stability.unroll(gates.get("glu"), {}, {}), "no time"),
    "T = 0": (lambda: unrolled(x=torch.zeros(0, 2, 3)), "T at least 1"),
    "x without a batch": (lambda: unrolled(x=torch.zeros(4, 3)), "accepted: (T, B, I)"),
    "B = 0": (lambda: bare(x=torch.zeros(3, 0, 1), state0=torch.zeros(0, 4)), "T at least 1, B at least 1"),
    "another batch": (lambda: unrolled(x=torch.zeros(4, 5, 3)), "equal B"),
    "another batch in one part": (
        lambda: unrolled(h0=torch.zeros(3, 4)),
        "h0 (3, 4); accepted: equal B, h0 (B, width)",
    ),
    "a part without a batch": (lambda: unrolled(c0=torch.zeros(4)), "c0 (4,); accepted: equal B"),
    "a step that narrows the state": (
        lambda: bare(step=lambda params, x, state: state[:, :1]),
        "the step makes a state (2, 1) of one (2, 4)",
    ),
    "a step that sums up the batch": (lambda: bare(step=lambda params, x, state: state.sum(0)), "a state (4,)"),
    "a state of one row": (lambda: bare(state0=torch.zeros(4)), "equal B"),
    "no c0": (lambda: without("c0"), "'c0'"),
    "no x": (lambda: without("x"), "'x'"),
    "NaN weights": (lambda: unrolled(bias_ih=NAN), "bias_ih has 16 values"),
    "infinite weights": (lambda: unrolled(bias_hh=INF), "bias_hh has 16 values"),
    "NaN inputs": (lambda: unrolled(x=torch.full((4, 2, 3), math.nan)), "x has 24 values"),
    "a NaN initial state": (lambda: unrolled(c0=torch.full((2, 4), math.nan)), "c0 has 8 values"),
    "an integer dtype": (lambda: unrolled(torch.int64), "torch.int64"),
    "a dtype by another name": (lambda: unrolled("float8"), "accepted: float64, float32, bfloat16, float16"),
    "a complex dtype": (lambda: unrolled(torch.complex128), "torch.complex128"),
}

COUNTS = {
    "k > S, exponents": (lambda: stability.lyapunov_spectrum(lstm(), k=9), "k is 9; accepted: 1 to 8"),
    "k > S, singular values": (lambda: stability.singular_values(lstm(), k=9), "k is 9; accepted: 1 to 8"),
    "k = 0": (lambda: stability.lyapunov_of_products(torch.eye(2)[None], k=0), "accepted: 1 to 2"),
    "k < 0": (lambda: stability.singular_values(lstm(), k=-1), "k is -1"),
    "k = True": (lambda: stability.singular_values(lstm(), k=True), "k is True"),
    "k = 1.5": (lambda: stability.lyapunov_spectrum(lstm(), k=1.5), "k is 1.5"),
    "all exponents of a wide state": (lambda: stability.lyapunov_spectrum(wide()), "2049"),
    "all singular values of a wide state": (lambda: stability.singular_values(wide()), "accepted: k from 1 to 2049"),
    "burn_in >= T": (lambda: stability.lyapunov_spectrum(lstm(), burn_in=8), "burn_in is 8; accepted: 0 to 7"),
    "burn_in < 0": (lambda: stability.lyapunov_spectrum(lstm(), burn_in=-1), "burn_in is -1"),
    "burn_in of all matrices": (
        lambda: stability.lyapunov_of_products(torch.eye(2).expand(3, 2, 2), burn_in=3),
        "accepted: 0 to 2",
    ),
    "matrices that are not square": (lambda: stability.lyapunov_of_products(torch.zeros(3, 2, 1)), "(N, S, S)"),
    "one matrix alone": (lambda: stability.lyapunov_of_products(torch.eye(2)), "(N, S, S)"),
    "whole numbers": (lambda: stability.lyapunov_of_products(torch.ones(3, 2, 2, dtype=torch.int64)), "floats"),
    "matrices of nothing": (lambda: stability.lyapunov_of_products(torch.zeros(3, 0, 0)), "(N, S, S)"),
    "no matrices": (lambda: stability.lyapunov_of_products(torch.zeros(0, 2, 2)), "burn_in is 0"),
}

GRADIENTS = {
    "a cotangent of another shape": (lambda: stability.gradient_norms(lstm(), torch.ones(2, 4)), "(2, 8)"),
    "a cotangent of one row": (lambda: stability.gradient_norms(lstm(), torch.ones(8)), "accepted: (2, 8)"),
    "a cotangent of zeros": (lambda: stability.gradient_profile(lstm(), torch.zeros(2, 8)), "zero everywhere"),
    "a cotangent with a row of zeros": (
        lambda: stability.gradient_profile(lstm(), torch.tensor([[1.0], [0.0]]).expand(2, 8)),
        "zero everywhere",
    ),
    "a cotangent that the dtype rounds to zeros": (
        lambda: stability.gradient_profile(unrolled(torch.float16), torch.full((2, 8), 1e-10, dtype=torch.float64)),
        "zero everywhere in float16",
    ),
    "a cotangent with NaN": (lambda: stability.gradient_norms(lstm(), torch.full((2, 8), math.nan)), "16 values"),
    "an unknown part": (lambda: stability.gradient_norms(lstm(), part="hh"), "did you mean 'h'"),
    "a part of a bare step": (lambda: stability.gradient_norms(bare(), part="h"), "'h'"),
    "step 0": (lambda: lstm().jacobian(0), "accepted: 1 to 8"),
    "a step after the last": (lambda: lstm().jacobian(9), "accepted: 1 to 8"),
    "an unknown form": (lambda: stability.norm_bound(lstm(), "norm"), "jacobian, weights"),
    "the weights form of another gate": (
        lambda: stability.norm_bound(lstm(), "weights"),
        "rnn_linear, rnn_tanh, rnn_relu",
    ),
    "the weights form of a bare step": (lambda: stability.norm_bound(bare(), "weights"), "a bare step"),
    "a class in no float": (
        lambda: stability.classify(stability.gradient_profile(lstm()), torch.int32),
        "accepted: float64",
    ),
    "precision in no float": (lambda: stability.precision(*drawn("lstm"), "int8"), "int8"),
}

STACKS = {
    "a stack of glu": (lambda: stability.depth_profile(gates.get("glu"), [{}], {}), "not stackable"),
    "a stack without layers": (lambda: stability.depth_profile(gates.get("gru"), [], {}), "no layers"),
    "layers that do not fit": (misfit, "output of x's shape"),
    "a stack without x": (lambda: stability.depth_profile(gates.get("swiglu_ffn"), [{}], {}), "inputs lack 'x'"),
    "a stack of two dtypes": (lambda: stacked(torch.float32, torch.float64), "torch.float32, torch.float64"),
    "a stack of whole numbers": (lambda: stacked(torch.int64), "dtype is torch.int64"),
    "saturation of nothing": (lambda: stability.saturation(gates.get("lstm"), {}, {}), "inputs lack 'x'; given: none"),
    "saturation without the value": (
        lambda: stability.saturation(gates.get("swiglu"), {}, {"gate": torch.ones(1, 1, 2)}),
        "inputs lack 'value'",
    ),
    "saturation of whole numbers": (
        lambda: stability.saturation(
            gates.get("swiglu"), {}, dict.fromkeys(("value", "gate"), torch.ones(1, 1, 2).int())
        ),
        "dtype is torch.int32",
    ),
}

MEAN_FIELD = {
    "a negative gain": (lambda: stability.mean_field(-1), "gain is -1; accepted: finite numbers from 0"),
    "a gain of NaN": (lambda: stability.mean_field(math.nan), "gain is nan"),
    "an infinite gain": (lambda: stability.mean_field(math.inf), "gain is inf"),
    "a negative variance": (lambda: stability.mean_field(1.0, -0.1), "input_variance is -0.1"),
    "a variance of NaN": (lambda: stability.mean_field(1.0, math.nan), "input_variance is nan"),
}

BAD = {**UNROLL, **COUNTS, **GRADIENTS, **STACKS, **MEAN_FIELD}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_one_clear_error(what):
    call, text = BAD[what]
    with pytest.raises(stability.StabilityError, match=re.escape(text)) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, UserError)
    assert "\n" not in str(caught.value)


def test_k_is_needed_only_above_2048():
    assert stability.singular_values(linear(torch.eye(2049, dtype=torch.float64), 1), k=1).values.item() == (
        pytest.approx(0.0, abs=1e-12)
    )


def test_all_of_the_limits_are_legal():
    trajectory = lstm()
    assert stability.singular_values(trajectory, k=8).values.shape == (2, 8)
    assert stability.lyapunov_spectrum(trajectory, k=8, burn_in=7).values.shape == (8,)
    assert trajectory.jacobian(8).shape == (2, 8, 8)
    assert stability.singular_values(trajectory, k=np.int64(3)).values.shape == (2, 3)
    assert stability.lyapunov_spectrum(trajectory, k=np.int64(1), burn_in=np.int64(7)).values.shape == (1,)
    params, inputs = at_rest(torch.eye(2, dtype=torch.float64), 1)
    assert stability.unroll(LinearRNN(), params, inputs).steps == 1


@pytest.mark.parametrize("option", ["bidirectional", "lengths"])
def test_a_gate_whose_step_sees_more_than_the_past_is_refused(option):
    with pytest.raises(Unsupported, match=option):
        stability.unroll(*drawn(gates.get("lstm", **{option: True})))

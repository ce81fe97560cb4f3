"""Jacobians in closed form against autograd's, and where they are used."""

import pytest
import torch
from stability_models import CLOSED_FORMS, TOLERANCE, drawn, gaussian

from gatebench import Shape, gates, stability
from gatebench.gates.recurrent.gru import GRU
from gatebench.gates.recurrent.lstm import LSTM
from gatebench.stability.closed_forms import closed_form
from gatebench.stability.derivatives import RecordedStep

# how large weights, inputs and states are; the last drives gates into saturation
SCALES = {
    "small": (0.1, 0.1, 0.1),
    "as drawn": (1.0, 1.0, 1.0),
    "large": (3.0, 1.0, 2.0),
    "saturated": (20.0, 5.0, 10.0),
}


def both(name, scale, rows=7, hidden_size=5):
    """Return the closed form of n independent rows, and the same recorded by autograd."""
    weights, inputs, states = SCALES[scale]
    gate, params, _ = drawn(name, hidden_size=hidden_size)
    params = {key: weights * value for key, value in params.items()}
    size = sum(gate.state(Shape(batch=1, seq_len=1, input_size=3, hidden_size=hidden_size)).values())
    x, state = inputs * gaussian(rows, 3, seed=1), states * gaussian(rows, size, seed=2)
    return closed_form(gate)(gate, params, x, state), RecordedStep(gate.step, params, x, state)


def assert_same(found, expected):
    """Compare to 1e-12 of the largest entry: where terms cancel, both round."""
    scale = float(expected.abs().max())
    torch.testing.assert_close(found, expected, rtol=TOLERANCE["exact"], atol=TOLERANCE["exact"] * scale)


FORMS = pytest.mark.parametrize("name", CLOSED_FORMS)
EVERY_SCALE = pytest.mark.parametrize("scale", SCALES)


@FORMS
@EVERY_SCALE
def test_a_closed_form_is_autograds_jacobian(name, scale):
    known, recorded = both(name, scale)
    assert_same(known.matrix().expand(7, -1, -1), recorded.matrix())


@FORMS
@EVERY_SCALE
def test_pushing_and_pulling_need_no_matrix(name, scale):
    known, recorded = both(name, scale)
    J = recorded.matrix()
    v, u = gaussian(7, J.shape[2], seed=3), gaussian(7, J.shape[1], seed=4)
    assert_same(known.push(v), (J @ v[..., None])[..., 0])
    assert_same(known.pull(u), (J.mT @ u[..., None])[..., 0])
    assert_same(recorded.push(v), (J @ v[..., None])[..., 0])
    assert_same(recorded.pull(u), (J.mT @ u[..., None])[..., 0])


@FORMS
def test_several_directions_at_once(name):
    known, recorded = both(name, "as drawn")
    J = recorded.matrix()
    v, M = gaussian(3, 7, J.shape[2], seed=3), gaussian(7, J.shape[2], 3, seed=4)
    for linear in (known, recorded):
        assert_same(linear.push(v), torch.einsum("noi,kni->kno", J, v))
        assert_same(linear.pull(v), torch.einsum("noi,kno->kni", J, v))
        assert_same(linear.times(M), J @ M)
        assert_same(linear.transpose.times(M), J.mT @ M)
        assert_same(linear.transpose.matrix().expand(7, -1, -1), J.mT)
        assert_same(linear.transpose.push(v), linear.pull(v))


@FORMS
def test_rows_are_cut_out_with_their_own_maps(name):
    known, recorded = both(name, "as drawn")
    J, rows = recorded.matrix(), slice(2, 5)
    for linear in (known.rows(rows), recorded.rows(rows), known.transpose.rows(rows).transpose):
        assert_same(linear.matrix().expand(3, -1, -1), J[rows])
        assert_same(linear.push(gaussian(3, J.shape[2])), (J[rows] @ gaussian(3, J.shape[2])[..., None])[..., 0])


@FORMS
@pytest.mark.parametrize("hidden_size", [1, 2])
def test_the_narrowest_states(name, hidden_size):
    known, recorded = both(name, "as drawn", rows=1, hidden_size=hidden_size)
    assert_same(known.matrix(), recorded.matrix())


# --- where they are used


def first_step(trajectory):
    return trajectory.linear_map(trajectory.x[0], trajectory.states[0])


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_trajectories_use_them_in_float64(name):
    assert not isinstance(first_step(stability.unroll(*drawn(name))), RecordedStep)


def test_these_are_all_that_there_are():
    assert {name for name in gates.names() if closed_form(gates.get(name))} == set(CLOSED_FORMS)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_below_float64_steps_are_recorded(dtype):
    trajectory = stability.unroll(*drawn("lstm"), dtype)
    assert isinstance(first_step(trajectory), RecordedStep)
    assert not isinstance(first_step(trajectory.to_float64()), RecordedStep)


@pytest.mark.parametrize("name", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_layers_are_recorded(name):
    trajectory = stability.unroll(*drawn(gates.get(name, num_layers=2)))
    assert isinstance(first_step(trajectory), RecordedStep)


def test_a_bare_step_is_recorded():
    gate, params, inputs = drawn("gru")
    trajectory = stability.unroll(gate.step, params, {"x": inputs["x"], "state0": inputs["h0"]})
    assert isinstance(first_step(trajectory), RecordedStep)


class LeakyLSTM(LSTM):
    """An LSTM whose cell loses a tenth in every step."""

    name = "tests:leaky_lstm"

    def cell(self, params, projected, state):
        (h, c), values = super().cell(params, projected, state)
        return (h, 0.9 * c), values


class DampedGRU(GRU):
    """A GRU that overrides what `step` is made of."""

    name = "tests:damped_gru"

    def step(self, params, x_t, state):
        return 0.5 * super().step(params, x_t, state)


@pytest.mark.parametrize("gate", [LeakyLSTM(), DampedGRU()])
def test_a_subclass_with_another_step_is_recorded(gate):
    _, params, inputs = drawn(gate)
    trajectory = stability.unroll(gate, params, inputs)
    assert isinstance(first_step(trajectory), RecordedStep)
    state = trajectory.states[0, :1]
    J = torch.autograd.functional.jacobian(lambda s: gate.step(params, trajectory.x[0, :1], s)[0], state)
    torch.testing.assert_close(trajectory.jacobian(1)[0], J[:, 0])

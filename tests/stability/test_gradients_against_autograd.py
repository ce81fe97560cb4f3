"""Cut gradients and Jacobians of every gate with time against plain autograd through an unrolled network."""

import pytest
import torch
from stability_models import TOLERANCE, drawn, with_time

from gatebench import Shape, gates, stability

EVERY_GATE = pytest.mark.parametrize("name", with_time())
WITH_OPTIONS = [
    ("lstm", {"num_layers": 2}), ("gru", {"num_layers": 3}), ("rnn_tanh", {"num_layers": 2}),
    ("lstm_projected", {"proj_size": 3}), ("lstm_layernorm", {"cell_norm": False}), ("slstm", {"forget": "exp"}),
    ("qrnn", {"pooling": "ifo", "kernel_size": 3}), ("mlstm", {"heads": 2}), ("rg_lru", {"num_blocks": 2}),
    ("selective_scan", {"d_state": 2, "discretization": "zoh"}), ("minimal_rnn", {"embedding": "tanh"}),
]  # fmt: skip

SHAPE = Shape(batch=2, seq_len=5, input_size=3, hidden_size=4)


def problem(name, options=None):
    """Return gate, parameters, inputs and trajectory of a random problem, with weights larger than torch's."""
    gate, params, inputs = drawn(gates.get(name, **(options or {})), 1, seq_len=5)
    params = {key: 1.5 * value for key, value in params.items()}
    return gate, params, inputs, stability.unroll(gate, params, inputs)


def cut_gradients(gate, params, inputs, trajectory):
    """Return dL/ds_t (T+1, B, S) of L = Σ h_T (or Σ s_T): one leaf per t, and all steps after it unrolled again."""
    found = []
    for t in range(trajectory.steps + 1):
        leaf = state = trajectory.states[t].clone().requires_grad_()
        for x_t in gate.step_inputs(inputs)[t:]:
            state = gate.step(params, x_t, state)
        loss = state[:, trajectory.parts.get("h", slice(None))].sum()
        found.append(torch.autograd.grad(loss, leaf)[0])
    return torch.stack(found)


def check_gradients(gate, params, inputs, trajectory):
    expected = cut_gradients(gate, params, inputs, trajectory)
    close = {"rtol": TOLERANCE["exact"], "atol": 1e-15}
    torch.testing.assert_close(stability.gradient_norms(trajectory), expected.norm(dim=-1), **close)
    for part, where in trajectory.parts.items():
        norms = stability.gradient_norms(trajectory, part=part)
        torch.testing.assert_close(norms, expected[..., where].norm(dim=-1), **close)


def check_jacobians(gate, params, trajectory):
    pairs = list(zip(trajectory.x, trajectory.states[:-1], strict=True))
    together = torch.cat(list(trajectory.jacobians()))
    for t, (x_t, state) in enumerate(pairs, start=1):
        found = trajectory.jacobian(t)
        for row in range(trajectory.batch):
            one = slice(row, row + 1)
            expected = torch.autograd.functional.jacobian(
                lambda s, x=x_t[one]: gate.step(params, x, s[None])[0], state[row]
            )
            torch.testing.assert_close(found[row], expected, rtol=TOLERANCE["exact"], atol=1e-14)
        torch.testing.assert_close(together[t - 1], found, rtol=TOLERANCE["exact"], atol=1e-14)


@EVERY_GATE
def test_cut_gradients_of_the_whole_state_and_of_its_parts(name):
    check_gradients(*problem(name))


@EVERY_GATE
def test_jacobians_of_every_step(name):
    gate, params, _, trajectory = problem(name)
    check_jacobians(gate, params, trajectory)


@pytest.mark.parametrize(("name", "options"), WITH_OPTIONS)
def test_gates_with_options(name, options):
    gate, params, inputs, trajectory = problem(name, options)
    check_gradients(gate, params, inputs, trajectory)
    check_jacobians(gate, params, trajectory)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru", "qrnn"])
def test_low_precision_chains_are_autograds_to_the_bit(name, dtype):
    gate, params, inputs, _ = problem(name)
    low_params, low_inputs = ({key: value.to(dtype) for key, value in t.items()} for t in (params, inputs))
    trajectory = stability.unroll(gate, low_params, low_inputs, dtype)
    delta = torch.zeros_like(trajectory.states[-1])
    delta[:, trajectory.parts.get("h", slice(None))] = 1
    norms = stability.gradient_norms(trajectory)
    steps = list(zip(gate.step_inputs(low_inputs), trajectory.states[:-1], strict=True))
    for t in range(len(steps), 0, -1):
        x_t, state = steps[t - 1]
        leaf = state.clone().requires_grad_()
        delta = torch.autograd.grad(gate.step(low_params, x_t, leaf), leaf, delta)[0]
        torch.testing.assert_close(norms[t - 1], delta.double().norm(dim=-1), rtol=1e-14, atol=0)


@EVERY_GATE
def test_an_unrolled_trajectory_ends_where_forward_does(name):
    gate, params, inputs, trajectory = problem(name)
    final = gate.forward(params, inputs)
    assert trajectory.states.shape == (6, 2, sum(gate.state(SHAPE).values()))
    for part, where in trajectory.parts.items():
        torch.testing.assert_close(trajectory.states[-1][:, where], final[part], rtol=TOLERANCE["exact"], atol=1e-14)
        assert torch.equal(trajectory.states[0][:, where], inputs[f"{part}0"])

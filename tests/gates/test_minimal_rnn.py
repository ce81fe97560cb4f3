"""The minimal RNN: a step by hand, its Jacobian, and the mean square of that Jacobian at large width."""

import pytest
import torch

from gatebench import Shape, Unsupported, gates

SHAPE = Shape(batch=3, seq_len=7, input_size=4, hidden_size=4)
EMBEDDINGS = ["tanh", "none"]


def test_one_step_of_one_unit_equals_the_numbers_worked_out_by_hand():
    values = {"weight_ih": 0.8, "bias_ih": -0.1, "weight_hh": 0.4, "weight_zh": -0.7, "bias_hh": 0.2}
    sizes = gates.get("minimal_rnn").parameters(Shape(batch=1, seq_len=1, input_size=1, hidden_size=1))
    params = {name: torch.full(size, values[name], dtype=torch.float64) for name, size in sizes.items()}
    x, h = torch.ones(1, 1, dtype=torch.float64), torch.full((1, 1), 0.5, dtype=torch.float64)
    assert gates.get("minimal_rnn").step(params, x, h).item() == pytest.approx(0.5527854754498, abs=1e-12)
    plain = gates.get("minimal_rnn", embedding="none")
    assert plain.parameters(SHAPE).keys() == {"weight_hh", "weight_zh", "bias_hh"}
    assert plain.step(params, x, h).item() == pytest.approx(0.7872212584058, abs=1e-12)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_the_jacobian_of_a_step_is_the_one_in_closed_form(embedding):
    """J = diag(u) + diag((h' - z) u (1 - u)) W."""
    gate = gates.get("minimal_rnn", embedding=embedding)
    params, inputs = gate.draw(SHAPE, 1), gate.inputs(SHAPE, 1)
    x, h = inputs["x"][0, :1], inputs["h0"][0]
    J = torch.autograd.functional.jacobian(lambda s: gate.step(params, x, s[None])[0], h)
    u = gate.activations(params, x, h[None])["u"][0]
    z = torch.tanh(x @ params["weight_ih"].T + params["bias_ih"])[0] if embedding == "tanh" else x[0]
    expected = torch.diag(u) + torch.diag((h - z) * u * (1 - u)) @ params["weight_hh"]
    torch.testing.assert_close(J, expected, rtol=1e-12, atol=1e-14)


def test_the_mean_square_of_the_jacobian_follows_mean_field_theory():
    """(1/H) E tr J Jᵀ = E u² + σ_w² E[(h - x)² u² (1 - u)²] for W ~ N(0, σ_w²/H). Chen et al. 2018, arXiv 1806.05394."""
    H, sigma = 2000, 2.0
    gate = gates.get("minimal_rnn", embedding="none")
    noise = torch.Generator().manual_seed(0)
    W, V = torch.randn(2, H, H, generator=noise, dtype=torch.float64) * sigma / H**0.5
    h, x = torch.randn(2, H, generator=noise, dtype=torch.float64)
    params = {"weight_hh": W, "weight_zh": V, "bias_hh": torch.zeros(H, dtype=torch.float64)}
    u = torch.sigmoid(W @ h + V @ x)
    J = torch.diag(u) + torch.diag((h - x) * u * (1 - u)) @ W
    probe = torch.randn(H, generator=noise, dtype=torch.float64)
    _, pulled = torch.autograd.functional.vjp(lambda s: gate.step(params, x[None], s[None])[0], h, probe)
    torch.testing.assert_close(pulled, J.T @ probe, rtol=1e-10, atol=1e-10)
    theory = u.square().mean() + sigma**2 * ((h - x) * u * (1 - u)).square().mean()
    assert float(J.square().sum() / H) == pytest.approx(float(theory), rel=0.02)


def test_widths_that_differ_are_refused_without_an_embedding_only():
    odd = Shape(batch=1, seq_len=2, input_size=3, hidden_size=4)
    gates.get("minimal_rnn").draw(odd, 0)
    plain = gates.get("minimal_rnn", embedding="none")
    for ask in (plain.draw, plain.inputs):
        with pytest.raises(
            Unsupported, match="input_size = 3, hidden_size = 4; accepted with embedding 'none': equal sizes"
        ):
            ask(odd, 0)

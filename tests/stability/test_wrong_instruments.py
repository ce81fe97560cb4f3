"""Known ways to measure something else, written out: each gives another number than the library."""

import math

import pytest
import torch
from stability_models import chain, drawn, gaussian, linear, orthogonal

from gatebench import stability
from gatebench.stability.gradients import gradients

STEPS = 30


@pytest.fixture
def lstm():
    """Return gate, parameters, inputs and trajectory of an LSTM."""
    gate, params, inputs = drawn("lstm", seq_len=STEPS, batch=1)
    return gate, params, inputs, stability.unroll(gate, params, inputs)


def jacobians(trajectory):
    return torch.cat([trajectory.jacobian(t) for t in range(1, trajectory.steps + 1)])


def test_an_lstm_without_its_cell_path_forgets_faster(lstm):
    """dh_t/dh_{t-1} at a fixed c drops what goes from cell to cell."""
    *_, trajectory = lstm
    H = trajectory.size // 2
    h_only = jacobians(trajectory)[:, :H, :H]
    wrong = stability.lyapunov_of_products(h_only, k=1).values.item()
    right = stability.lyapunov_spectrum(trajectory, k=1).values.item()
    assert wrong < right - 0.5
    delta = torch.ones(H, dtype=torch.float64)
    for J in h_only.flip(0):
        delta = J.T @ delta
    assert float(delta.norm()) < 1e-3 * stability.gradient_norms(trajectory)[0].item()


def test_transposes_in_forward_order_belong_to_another_product():
    A, B, C = (
        torch.tensor(m, dtype=torch.float64) for m in ([[2.0, 1], [0, 0.5]], [[1.0, 0], [3, 1]], [[0.0, 1], [-1, 0.2]])
    )
    J = torch.stack([A, B, C] * 200)
    expected = math.log(float(torch.linalg.eigvals(C @ B @ A).abs().max())) / 3
    assert float(stability.lyapunov_of_products(J, k=1, burn_in=300).values[0]) == pytest.approx(expected, abs=1e-6)
    transposed = stability.lyapunov_of_products(J.mT.contiguous(), k=1, burn_in=300).values.item()
    assert abs(transposed - expected) > 0.05
    backward = stability.lyapunov_of_products(J.mT.flip(0).contiguous(), k=1, burn_in=300).values.item()
    assert backward == pytest.approx(expected, abs=1e-6)  # in backward order they are the same product's


def test_gradients_pulled_in_forward_order_are_another_vector(lstm):
    *_, trajectory = lstm
    delta = gradients(trajectory).values[-1]
    for J in jacobians(trajectory):  # J_1ᵀ first, where J_Tᵀ is due
        delta = delta @ J
    assert float(delta.norm()) != pytest.approx(stability.gradient_norms(trajectory)[0].item(), rel=0.02)


def test_singular_values_do_not_depend_on_the_order_where_the_order_does_not_matter():
    """And do where it does: J_1 ... J_T, the product in reading order, is another matrix."""
    J = gaussian(12, 4, 4)
    right, wrong = (stability.singular_values(chain(each)).values[0] for each in (J, J.flip(0)))
    assert float((right - wrong).abs().max()) > 0.1
    product = torch.linalg.multi_dot(list(J.flip(0)))
    assert float(right[0]) == pytest.approx(float(torch.linalg.matrix_norm(product, ord=2).log()), abs=1e-9)


def test_retain_grad_on_c_also_sees_the_same_steps_output(lstm):
    gate, params, inputs, trajectory = lstm
    cells, (h, c) = [], (inputs["h0"], inputs["c0"].clone().requires_grad_())
    for projected in gate.project(params, inputs["x"]):
        (h, c), _ = gate.cell(params, projected, (h, c))
        c.retain_grad()
        cells.append(c)
    h.sum().backward()
    cut = stability.gradient_norms(trajectory, part="c")[1:]
    wrong = torch.stack([value.grad.norm(dim=-1) for value in cells])
    assert bool((cut[-1] == 0).all())  # L depends on h_T alone, and c_T is another input of steps that do not exist
    assert bool((wrong[-1] > 0.1).all())
    assert float(((cut - wrong).abs() > 1e-2 * wrong).double().mean()) > 0.9  # two norms may meet by chance


def test_exponents_are_in_nats_not_in_bits():
    """The doubling map grows by 1 bit a step."""
    J = torch.full((50, 1, 1), 2.0, dtype=torch.float64)
    bits = J.abs().log2().mean().item()
    assert stability.lyapunov_of_products(J).values.item() == pytest.approx(math.log(2), rel=1e-14)
    assert bits == 1.0
    trajectory = linear(2 * torch.eye(1, dtype=torch.float64), 50)
    for found in (
        stability.gradient_profile(trajectory).slope,
        stability.singular_values(trajectory).values / 50,
        stability.log_abs_det(trajectory) / 50,
        stability.norm_bound(trajectory)[-1] / 50,
    ):
        assert found.item() == pytest.approx(math.log(2), rel=1e-12)


def test_an_svd_of_the_formed_product_stops_at_the_round_off_of_the_largest():
    rates = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    Q = orthogonal(61, 3, 3)
    J = Q[1:] @ torch.diag(rates) @ Q[:-1].mT
    naive = torch.linalg.svdvals(torch.linalg.multi_dot(list(J.flip(0)))).log()
    found = stability.singular_values(chain(J))
    assert found.values[0].tolist() == pytest.approx((60 * rates.log()).tolist(), rel=1e-6)
    assert bool(found.resolved.all())
    assert abs(float(naive[2] - found.values[0, 2])) > 50


def test_finite_time_exponents_are_not_singular_values_over_time():
    """They agree only as T grows: of a Jordan block the first singular value is far above both exponents."""
    U = torch.tensor([[0.9, 5.0], [0.0, 0.9]], dtype=torch.float64)
    trajectory = linear(U, 10)
    largest = float(stability.singular_values(trajectory).values[0, 0]) / 10
    settled = stability.lyapunov_of_products(U.expand(2_000, 2, 2), k=1, burn_in=1_990).values.item()
    assert largest > 0 > settled


def test_a_mean_of_norms_is_not_the_mean_of_logs():
    """A batch with one live row: the log of the mean hides that the others have vanished."""
    J = torch.stack([torch.full((1, 1), a, dtype=torch.float64) for a in (1.0, 0.1, 0.1)]).expand(20, 3, 1, 1)
    logs = stability.gradient_profile(chain(J)).log_norm[-1]
    assert logs.tolist() == pytest.approx([0.0, 20 * math.log(0.1), 20 * math.log(0.1)], abs=1e-12)
    spectrum = stability.lyapunov_spectrum(chain(J))
    assert spectrum.values.item() == pytest.approx(2 / 3 * math.log(0.1), rel=1e-12)
    assert float(logs.exp().mean().log()) / 20 > -0.06


def test_the_bound_is_not_the_gradient():
    """||U|| above 1 says nothing: at gain 0.9, ||U|| is near 1.8, and gradients vanish."""
    U = gaussian(60, 60) * 0.9 * 60**-0.5
    gate, params, inputs = drawn("rnn_tanh", hidden_size=60, seq_len=50, batch=1)
    params = {key: torch.zeros_like(value) for key, value in params.items()} | {"weight_hh": U}
    trajectory = stability.unroll(gate, params, inputs)
    assert stability.norm_bound(trajectory, "weights")[-1].item() > 50 * math.log(1.5)
    assert stability.gradient_profile(trajectory).log_norm[-1].item() < 0

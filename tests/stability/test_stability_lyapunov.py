"""Lyapunov exponents against theory, and the classic ways to get them wrong."""

import math

import pytest
import torch
from scipy.special import digamma, polygamma
from stability_models import TOLERANCE, drawn, gated_by_bias, linear

from gatebench import stability
from gatebench.stability import lyapunov


def test_p6_lstm_spectrum_has_the_cell_path():
    trajectory = stability.unroll(*gated_by_bias("lstm", 250, f=math.log(9)))  # σ(ln 9) = 0.9
    values = stability.lyapunov_spectrum(trajectory, burn_in=200).values  # c, and with it h, is at rest by then
    assert values[:2].tolist() == pytest.approx([math.log(0.9)] * 2, abs=1e-8)
    assert values[2:].tolist() == [-math.inf] * 2
    h_only = torch.stack([trajectory.jacobian(t)[0, :2, :2] for t in range(1, 251)])
    assert stability.lyapunov_of_products(h_only).values.tolist() == [-math.inf] * 2  # the wrong instrument


def test_p7_constant_symmetric_recurrence():
    d = torch.tensor([0.9, -0.7, 0.3, 1.2], dtype=torch.float64)
    spectrum = stability.lyapunov_spectrum(linear(torch.diag(d), 400), burn_in=100)
    expected = d.abs().log().sort(descending=True).values
    torch.testing.assert_close(spectrum.values, expected, rtol=0, atol=TOLERANCE["determinant"])


def test_p8_nonnormal_growth_with_negative_exponents():
    U = torch.tensor([[0.9, 5.0], [0.0, 0.9]], dtype=torch.float64)
    trajectory = linear(U, 20)
    product = torch.eye(2, dtype=torch.float64)
    largest = []
    for t in range(1, 21):
        product = trajectory.jacobian(t)[0] @ product
        largest.append(float(torch.linalg.matrix_norm(product, ord=2)))
    expected = {1: 5.157066051117, 5: 16.423730161277, 10: 19.37729862975, 20: 13.50961127801}
    assert {n: largest[n - 1] for n in expected} == pytest.approx(expected, rel=1e-10)
    long = stability.lyapunov_of_products(U.expand(20_000, 2, 2), burn_in=10_000)
    assert long.values.tolist() == pytest.approx([math.log(0.9)] * 2, abs=2e-4)
    assert float(long.values.sum()) == pytest.approx(2 * math.log(0.9), abs=1e-10)


@pytest.mark.parametrize("N", [2, 4])
def test_p11_products_of_gaussian_matrices(N):
    n = 8_000
    generator = torch.Generator().manual_seed(N)
    J = torch.randn(n, N, N, generator=generator, dtype=torch.float64) * N**-0.5
    spectrum = stability.lyapunov_of_products(J)
    theory = [0.5 * (math.log(2 / N) + digamma((N - i + 1) / 2)) for i in range(1, N + 1)]
    error = math.sqrt(polygamma(1, N / 2) / (4 * n))
    assert abs(float(spectrum.values[0]) - theory[0]) < 4 * error
    assert float(spectrum.standard_error[0]) == pytest.approx(error, rel=0.8)
    assert spectrum.values.tolist() == pytest.approx(theory, abs=0.06)


def test_p12_henon_map():
    x, y, matrices = 0.1, 0.1, []
    for _ in range(21_000):
        matrices.append([[-2.8 * x, 1.0], [0.3, 0.0]])
        x, y = 1 - 1.4 * x * x + y, 0.3 * x
    spectrum = stability.lyapunov_of_products(torch.tensor(matrices, dtype=torch.float64), burn_in=1_000)
    assert spectrum.values.tolist() == pytest.approx([0.4192, -1.6232], abs=4e-3)  # 20,000 steps; 4 standard errors
    assert float(spectrum.values.sum()) == pytest.approx(math.log(0.3), abs=1e-10)


def test_p12_cat_map():
    J = torch.tensor([[2.0, 1.0], [1.0, 1.0]], dtype=torch.float64).expand(200, 2, 2)
    values = stability.lyapunov_of_products(J, burn_in=100).values
    assert values.tolist() == pytest.approx([0.9624236501, -0.9624236501], abs=1e-10)


def test_p15_rates_far_below_the_resolution_of_the_product():
    generator = torch.Generator().manual_seed(0)
    Q = torch.linalg.qr(torch.randn(41, 3, 3, generator=generator, dtype=torch.float64)).Q
    d = torch.tensor([0.9, 0.5, 0.1], dtype=torch.float64)
    J = Q[1:] @ torch.diag(d) @ Q[:-1].mT
    values = stability.lyapunov_of_products(J).values
    assert float(values.sum()) == pytest.approx(math.log(0.045), abs=1e-12)
    naive = torch.linalg.svdvals(torch.linalg.multi_dot(list(J.flip(0)))).log() / 40
    assert abs(float(naive[2]) - math.log(0.1)) > 0.5  # the SVD of the formed product is wrong here
    assert float(stability.lyapunov_of_products(J, burn_in=20).values[2]) == pytest.approx(math.log(0.1), abs=0.05)


def test_forward_order_of_transposes_is_another_product():
    A, B, C = (
        torch.tensor(m, dtype=torch.float64) for m in ([[2.0, 1], [0, 0.5]], [[1.0, 0], [3, 1]], [[0.0, 1], [-1, 0.2]])
    )
    J = torch.stack([A, B, C] * 200)
    expected = math.log(float(torch.linalg.eigvals(C @ B @ A).abs().max())) / 3
    assert float(stability.lyapunov_of_products(J, k=1, burn_in=300).values[0]) == pytest.approx(expected, abs=1e-6)
    wrong = float(stability.lyapunov_of_products(J.mT.contiguous(), k=1, burn_in=300).values[0])
    assert abs(wrong - expected) > 0.05


@pytest.mark.parametrize("name", ["rnn_tanh", "lstm", "gru"])
def test_one_direction_pushed_forward_equals_explicit_jacobians(name, monkeypatch):
    trajectory = stability.unroll(*drawn(name, hidden_size=6, seq_len=40))
    explicit = stability.lyapunov_spectrum(trajectory, k=2, burn_in=5)
    monkeypatch.setattr(lyapunov, "_explicit", lambda size, k: False)
    pushed = stability.lyapunov_spectrum(trajectory, k=2, burn_in=5)
    torch.testing.assert_close(pushed.values, explicit.values, rtol=1e-10, atol=0)
    alone = stability.lyapunov_spectrum(trajectory, k=1, burn_in=5)
    torch.testing.assert_close(alone.values, explicit.values[:1], rtol=1e-10, atol=0)


def test_the_largest_exponent_is_the_gradients_slope():
    trajectory = stability.unroll(*drawn("gru", hidden_size=16, batch=4, seq_len=300))
    slope = stability.gradient_profile(trajectory).slope.mean()
    exponent = stability.lyapunov_spectrum(trajectory, k=1, burn_in=75)
    assert float(exponent.values[0]) == pytest.approx(float(slope), abs=0.03)
    assert 0 < float(exponent.standard_error[0]) < 0.02


def test_one_sample_has_no_standard_error_and_no_nan():
    spectrum = stability.lyapunov_of_products(torch.eye(2, dtype=torch.float64)[None])
    assert spectrum.values.tolist() == pytest.approx([0.0, 0.0], abs=1e-15)
    assert spectrum.standard_error.tolist() == [math.inf] * 2

"""The SIMD activations against float64, and the cache's rule."""

import math

import mpmath
import numpy as np
import pytest
import torch
from numba import njit

from gatebench.implementations.numba import kernels
from gatebench.implementations.numba.activations import exp, gaussian, sigmoid, tanh
from gatebench.implementations.numba.panels import pack, project
from gatebench.implementations.numba.simd import VECTOR_BYTES, load, store, where_positive

# Largest error in units in the last place. Two roundings of a quotient and of its divisor make about 2.
ULP_LIMIT = {"exp": 2.0, "sigmoid": 3.0, "tanh": 3.0}


@njit(error_model="numpy")
def apply_exp(x, y, lanes):
    for j in range(0, x.size, lanes):
        store(exp(load(x, j, x.size - j)), y, j, x.size - j)


@njit(error_model="numpy")
def apply_sigmoid(x, y, lanes):
    for j in range(0, x.size, lanes):
        store(sigmoid(load(x, j, x.size - j)), y, j, x.size - j)


@njit(error_model="numpy")
def apply_tanh(x, y, lanes):
    for j in range(0, x.size, lanes):
        store(tanh(load(x, j, x.size - j)), y, j, x.size - j)


@njit(error_model="numpy")
def apply_gaussian(x, y, lanes):
    for j in range(0, x.size, lanes):
        below, density = gaussian(load(x, j, x.size - j))
        store(below, y, j, x.size - j)
        store(density, y, x.size + j, x.size - j)


@njit(error_model="numpy")
def apply_where_positive(x, y, z, lanes):
    for j in range(0, x.size, lanes):
        store(where_positive(load(x, j, x.size - j), load(y, j, x.size - j), 7.0), z, j, x.size - j)


APPLY = {"exp": apply_exp, "sigmoid": apply_sigmoid, "tanh": apply_tanh}
EXACT = {"exp": np.exp, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "tanh": np.tanh}


def run(name: str, x: np.ndarray) -> np.ndarray:
    y = np.full_like(x, 7.0)
    APPLY[name](x, y, VECTOR_BYTES // x.itemsize)
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", APPLY)
def test_activations_are_exact_to_a_few_ulp(name, dtype) -> None:
    generator = np.random.default_rng(5)
    limit = 80.0 if dtype == np.float32 else 600.0
    spread = [generator.uniform(-limit, limit, 100_003), generator.normal(0, 2, 100_003)]
    tiny = 10.0 ** generator.uniform(-30, 0, 100_003) * generator.choice([-1, 1], 100_003)
    x = np.concatenate([*spread, tiny]).astype(dtype)
    exact = EXACT[name](x.astype(np.longdouble))
    error = np.abs(run(name, x).astype(np.longdouble) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= ULP_LIMIT[name], (error.max(), x[error.argmax()])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_saturate_and_keep_nan(dtype) -> None:
    x = np.array([-math.inf, -1e4, 0.0, -0.0, 1e4, math.inf, math.nan], dtype=dtype)
    np.testing.assert_array_equal(run("sigmoid", x), np.array([0, 0, 0.5, 0.5, 1, 1, math.nan], dtype=dtype))
    squashed = run("tanh", x)
    np.testing.assert_array_equal(squashed, np.array([-1, -1, 0, 0, 1, 1, math.nan], dtype=dtype))
    assert list(np.signbit(squashed[2:4])) == [False, True]
    grown = run("exp", x)
    np.testing.assert_array_equal(grown[2:], np.array([1, 1, math.inf, math.inf, math.nan], dtype=dtype))
    assert (grown[:2] < 1e-37).all()


def normal(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (Φ(x), φ(x)) of an array."""
    y = np.full(2 * x.size, 7.0, dtype=x.dtype)
    apply_gaussian(x, y, VECTOR_BYTES // x.itemsize)
    return y[: x.size], y[x.size :]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_normal_distribution_is_exact_to_a_few_ulp(dtype) -> None:
    generator = np.random.default_rng(5)
    tiny = 10.0 ** generator.uniform(-30, 0, 1001) * generator.choice([-1, 1], 1001)
    x = np.concatenate([generator.uniform(-12, 12, 3001), generator.normal(0, 1, 2001), tiny]).astype(dtype)
    with mpmath.workdps(40):
        exact = np.array([[mpmath.ncdf(value), mpmath.npdf(value)] for value in x.astype(float)])
    for got, wanted in zip(normal(x), exact.T, strict=True):
        ulp = np.spacing(wanted.astype(dtype)).astype(float)
        # Rounding x² shifts e^(-x²/2) by as many ulp as x²/2 has units. Near 0 all 12 or 25 terms count: 5 ulp.
        error = np.abs((got.astype(float) - wanted).astype(float)) / ulp / (1 + np.square(x.astype(float)) / 2)
        assert error.max() <= 6.0, (error.max(), x[error.argmax()])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_normal_distribution_saturates_and_keeps_nan(dtype) -> None:
    x = np.array([-math.inf, -1e30, -1e4, 0.0, 1e4, 1e30, math.inf, math.nan], dtype=dtype)
    below, density = normal(x)
    np.testing.assert_array_equal(below[3:], np.array([0.5, 1, 1, 1, math.nan], dtype=dtype))
    assert below[0] == 0
    assert (below[1:3] < 1e-39).all()
    np.testing.assert_allclose(density[3], 1 / math.sqrt(2 * math.pi), rtol=1e-6)
    assert (density[[0, 1, 2, 4, 5, 6]] < 1e-37).all()
    assert np.isnan(density[7])


def test_where_positive_chooses_whatever_is_left_out_and_keeps_nan() -> None:
    sign = np.array([1, 0, -0.0, -1, math.nan, 1e-45, math.inf, -math.inf], dtype=np.float32)
    value = np.array([2, math.inf, math.nan, math.inf, 3, 4, 5, 6], dtype=np.float32)
    chosen = np.zeros(8, dtype=np.float32)
    apply_where_positive(sign, value, chosen, VECTOR_BYTES // 4)
    np.testing.assert_array_equal(chosen, np.array([2, 7, 7, 7, 3, 4, 5, 7], dtype=np.float32))


@pytest.mark.parametrize("size", [1, 3, 4, 7, 8, 15, 16, 17, 31, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tail_is_computed_and_nothing_behind_it_is_written(size, dtype) -> None:
    x = np.linspace(-2, 2, size).astype(dtype)
    y = np.full(size + 40, 7.0, dtype=dtype)
    apply_tanh(x, y[:size], VECTOR_BYTES // x.itemsize)
    np.testing.assert_allclose(y[:size], np.tanh(x), rtol=1e-6)
    assert (y[size:] == 7.0).all()


def test_a_strided_array_is_refused() -> None:
    x = np.zeros(64, dtype=np.float32)
    with pytest.raises(Exception, match="C-contiguous"):
        apply_tanh(x[::2], x, VECTOR_BYTES // x.itemsize)


def test_a_long_sum_rounds_no_worse_than_a_blas() -> None:
    generator = torch.Generator().manual_seed(0)
    W, x = torch.rand(64, 8192, generator=generator), torch.rand(8, 1, 8192, generator=generator)
    exact = x[:, 0].double() @ W.double().t()
    got = project(x, pack(W.t(), 1), 1, 1)[:, 0, 0, :64].double()
    rounding = ((got / exact - 1).square().mean().sqrt() * 2**24).item()
    assert rounding < 4.0  # unit round-offs; 1.5 for torch's own product, 21 where 8192 terms are added in a row


def test_an_edit_anywhere_in_the_package_makes_the_cache_stale(monkeypatch, tmp_path) -> None:
    (tmp_path / "kernels.py").write_text("")
    (tmp_path / "activations.py").write_text("a = 1")
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "kernels.py"))
    before = kernels.package_digest()
    assert kernels.package_digest() == before
    (tmp_path / "activations.py").write_text("a = 2")
    assert kernels.package_digest() != before

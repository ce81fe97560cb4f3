"""Singular values of products against hundreds of digits: what is flagged resolved is right, and what is not is flagged."""

import math

import mpmath
import pytest
import torch
from stability_models import TOLERANCE, chain, drawn, exact_log_singular_values, gaussian, orthogonal

from gatebench import stability
from gatebench.stability.graded import Graded

SEEDS = pytest.mark.parametrize("seed", range(4))


def between(low, high, seed):
    """Draw a whole number."""
    return int(torch.randint(low, high + 1, (), generator=torch.Generator().manual_seed(seed)))


def turned(logs, seed):
    """Return J_t = Q_t diag(e^logs_t) Q_{t-1}ᵀ, logs (T, S)."""
    Q = orthogonal(len(logs) + 1, logs.shape[1], logs.shape[1], seed=seed)
    return Q[1:] @ torch.diag_embed(logs.exp()) @ Q[:-1].mT


def steady(T, S, seed):
    """Return the logs of rates that stay the same, from e² down to e⁻⁴ a step."""
    return torch.linspace(2, -4, S, dtype=torch.float64).expand(T, S)


def there_and_back(T, S, seed):
    """Return the logs of rates that turn round half way: what grew by e^30 shrinks by as much again."""
    half = gaussian(S, seed=seed).mul(60 / T).expand(max(1, T // 2), S)
    return torch.cat([half, -half])


def jordan(T, S):
    return (0.9 * torch.eye(S) + 5 * torch.diag(torch.ones(S - 1), 1)).double().expand(T, S, S)


CHAINS = {
    "gaussian": lambda T, S, seed: gaussian(T, S, S, seed=seed),
    "steady rates": lambda T, S, seed: turned(steady(T, S, seed), seed),
    "one matrix": lambda T, S, seed: gaussian(S, S, seed=seed).expand(T, S, S),
    "upper triangles": lambda T, S, seed: gaussian(T, S, S, seed=seed).triu(),
    "lower triangles": lambda T, S, seed: gaussian(T, S, S, seed=seed).tril(),
    "a jordan block": lambda T, S, seed: jordan(T, S),
    "its transpose": lambda T, S, seed: jordan(T, S).mT,
}
TROUBLED = {
    "rates that wander": lambda T, S, seed: turned(4 * gaussian(T, S, seed=seed), seed),
    "there and back": lambda T, S, seed: turned(there_and_back(T, S, seed), seed),
    "diagonals there and back": lambda T, S, seed: there_and_back(T, S, seed).exp().diag_embed(),
    "diagonals that wander": lambda T, S, seed: (4 * gaussian(T, S, seed=seed)).exp().diag_embed(),
    "entries of all sizes": lambda T, S, seed: gaussian(T, S, S, seed=seed) * (6 * gaussian(T, S, S, seed=99)).exp(),
    "columns of all sizes": lambda T, S, seed: gaussian(T, S, S, seed=seed) * (8 * gaussian(S, seed=99)).exp(),
    "nearly of rank 1": lambda T, S, seed: (
        gaussian(T, S, 1, seed=seed) * gaussian(T, 1, S, seed=99) + 1e-9 * gaussian(T, S, S, seed=98)
    ),
    "many zeros": lambda T, S, seed: gaussian(T, S, S, seed=seed) * (gaussian(T, S, S, seed=99) > -0.3),
}


def errors(found, exact):
    """Return how far each value is from the truth: absolute up to 1 nat, relative beyond; of equal values, -inf too, 0."""
    exact = torch.tensor(exact, dtype=torch.float64)
    return torch.where(found == exact, 0.0, (found - exact).abs() / exact.abs().clamp(min=1.0))


@SEEDS
@pytest.mark.parametrize("kind", CHAINS)
def test_every_singular_value_of_a_chain_is_resolved_and_right(kind, seed):
    S, T = between(2, 5, seed), between(20, 60, seed + 50)
    J = CHAINS[kind](T, S, seed)
    found = stability.singular_values(chain(J))
    assert bool(found.resolved.all())
    assert float(errors(found.values[0], exact_log_singular_values(J)).max()) < TOLERANCE["singular"]


def test_condition_numbers_beyond_1e30_are_among_them():
    for S in (2, 3, 5):
        J = turned(steady(60, S, 0), S)
        found = stability.singular_values(chain(J)).values[0]
        assert float(found[0] - found[-1]) > 5 * math.log(1e30)
        assert float(errors(found, exact_log_singular_values(J)).max()) < 1e-9


@SEEDS
@pytest.mark.parametrize("kind", TROUBLED)
def test_what_is_flagged_resolved_is_right_where_rounding_is_at_its_worst(kind, seed):
    for draw in range(4):
        S, T = between(2, 5, seed + 10 * draw), between(2, 60, seed + 10 * draw + 50)
        J = TROUBLED[kind](T, S, seed + 100 * draw)
        found = stability.singular_values(chain(J))
        off = errors(found.values[0], exact_log_singular_values(J))
        assert float(off.masked_fill(~found.resolved[0], 0).max()) < TOLERANCE["singular"]


def test_a_chain_that_turns_round_has_lost_its_digits_and_says_so():
    """σ_1 of P = D⁻ⁿ R Dⁿ is far below what Dⁿ grew to: float64 has nothing left of it."""
    J = turned(torch.tensor([[1.5, -1.5]] * 20 + [[-1.5, 1.5]] * 20, dtype=torch.float64), 0)
    found = stability.singular_values(chain(J))
    assert float(errors(found.values[0], exact_log_singular_values(J)).max()) > 0.01
    assert not bool(found.resolved.any())


def test_below_a_value_that_is_not_resolved_none_is():
    for seed in range(15):
        J = (4 * gaussian(59, 4, seed=seed)).exp().diag_embed()
        resolved = stability.singular_values(chain(J)).resolved[0].long()
        assert bool((resolved.diff() <= 0).all())


# --- matrices whose rows differ in size


@SEEDS
@pytest.mark.parametrize("spread", [1.0, 100.0, 1000.0])
def test_rows_of_any_size_have_exact_singular_values(spread, seed):
    rows = gaussian(4, 4, seed=seed)
    logs = spread * gaussian(4, seed=seed + 50)
    found = Graded(logs[None], rows[None]).log_singular_values()[0]
    with mpmath.workdps(4000):
        matrix = mpmath.matrix(
            [[mpmath.exp(log) * entry for entry in row] for log, row in zip(logs.tolist(), rows.tolist(), strict=True)]
        )
        exact = [float(mpmath.log(value)) for value in mpmath.svd_r(matrix, compute_uv=False)]
    assert float(errors(found, exact).max()) < 1e-12


@SEEDS
def test_of_two_parallel_rows_one_value_is_zero(seed):
    row = gaussian(2, seed=seed)
    rows = torch.stack([row, -0.7 * row])  # but for rounding
    for logs in ([0.0, 0.0], [0.0, -3.0], [-900.0, 900.0]):
        found = Graded(torch.tensor([logs], dtype=torch.float64), rows[None]).log_singular_values()[0].tolist()
        assert math.isfinite(found[0])
        assert found[1] == -math.inf


# --- the k largest of a wider state


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("T", [1, 5, 30])
def test_the_k_largest_of_a_wider_state(k, T):
    J = gaussian(T, 14, 14, seed=T) * 14**-0.5
    found = stability.singular_values(chain(J), k)
    assert found.values.shape == found.resolved.shape == (1, k)
    assert bool(found.resolved.all())
    exact = exact_log_singular_values(J, digits=80)[:k]
    assert float(errors(found.values[0], exact).max()) < TOLERANCE["singular"]


@pytest.mark.slow
def test_leading_values_that_lie_too_close_to_be_told_apart_in_time_are_not_resolved():
    """One singular value a little above 99 equal ones: the directions creep towards it."""
    for excess in (1e-3, 1.5e-4, 1e-5):
        stretched = torch.ones(100, dtype=torch.float64)
        stretched[0] += excess
        J = (orthogonal(100, 100, seed=1) * stretched @ orthogonal(100, 100, seed=2))[None]
        found = stability.singular_values(chain(J), k=1)
        right = abs(found.values.item() - math.log1p(excess)) < TOLERANCE["singular"]
        assert right or not found.resolved.item()


def test_equal_leading_values_need_no_telling_apart():
    found = stability.singular_values(chain((0.9 * orthogonal(60, 60)).expand(7, 60, 60)), k=2)
    assert found.values[0].tolist() == pytest.approx([7 * math.log(0.9)] * 2, abs=1e-12)
    assert found.resolved[0].tolist() == [True, True]


# --- zeros, and numbers far from 1


def test_a_product_of_lower_rank_has_infinitely_negative_values():
    J = gaussian(6, 4, 4)
    J[3, :, 1] = 0
    found = stability.singular_values(chain(J))
    assert found.resolved[0].tolist() == [True, True, True, False]
    assert found.values[0, :3].tolist() == pytest.approx(exact_log_singular_values(J)[:3], abs=1e-9)
    assert stability.singular_values(chain(0 * J)).values[0].tolist() == [-math.inf] * 4
    assert not bool(stability.singular_values(chain(0 * J)).resolved.any())


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e160, 1e300])
def test_numbers_whose_squares_overflow_or_underflow(size):
    """Of sizes that weights never have; a norm must not square them all the same."""
    log, J = math.log(size), size * orthogonal(5, 3, 3)
    trajectory = chain(J)
    found = stability.singular_values(trajectory)
    assert found.values[0].tolist() == pytest.approx([5 * log] * 3, rel=1e-13)
    assert bool(found.resolved.all())
    assert stability.log_abs_det(trajectory).item() == pytest.approx(15 * log, rel=1e-13)
    for k in (1, 3):
        assert stability.lyapunov_of_products(J, k).values.tolist() == pytest.approx([log] * k, rel=1e-13)
    assert stability.gradient_profile(trajectory).log_norm[-1].item() == pytest.approx(5 * log, rel=1e-13)
    assert stability.norm_bound(trajectory)[-1].item() == pytest.approx(5 * log, rel=1e-13)


def test_a_matrix_at_the_end_of_float64_has_no_nan():
    """Its entries are finite, their norm is not."""
    trajectory = chain(torch.full((2, 2, 2), 1.7e308, dtype=torch.float64))
    assert stability.log_abs_det(trajectory).tolist() == [math.inf]
    found = stability.singular_values(trajectory)
    assert found.values[0].tolist() == [math.inf] * 2
    assert not bool(found.resolved.any())


def test_singular_values_of_a_gate_agree_with_many_digits():
    for name in ("lstm", "gru", "lstm_peephole_full"):
        trajectory = stability.unroll(*drawn(name, batch=2, seq_len=60, hidden_size=2))
        found = stability.singular_values(trajectory)
        for row in range(2):
            J = torch.stack([trajectory.jacobian(t)[row] for t in range(1, 61)])
            off = errors(found.values[row], exact_log_singular_values(J))
            assert bool(found.resolved[row].all())
            assert float(off.max()) < TOLERANCE["singular"]

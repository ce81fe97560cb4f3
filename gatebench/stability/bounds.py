"""Upper bounds of a gradient's growth: products of norms, in log space."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.stability.bases import lengths
from gatebench.stability.checks import StabilityError
from gatebench.stability.closed_forms import is_stack
from gatebench.stability.trajectory import Trajectory

FORMS = ("jacobian", "weights")
STEEPEST = {"rnn_linear": 1.0, "rnn_tanh": 1.0, "rnn_relu": 1.0}  # gate -> max φ' over all arguments
SVD_SIZE = 32  # state width up to which ||J_t|| comes from singular values; wider states use Lanczos
TOLERANCE = 1e-4  # relative width of the interval in which Lanczos has ||J_t||; its upper end is returned
CHECKS = (32, 40, 48, 64)  # Lanczos steps after which convergence is tested (most states need 32 to 40); what is left
#                            after the last gets singular values. Tested earlier, it may stop at the second largest.
CHUNK_ROWS = 512  # rows of one Lanczos call: the working set stays near the cache
START_SEED = 0


def norm_bound(trajectory: Trajectory, form: str = "jacobian") -> Tensor:
    """Bound ln||δ_{T-k}|| - ln||δ_T|| from above by lag k -> (T+1, B), nats; 0 at lag 0.

    By lag, as gradient_profile: entry k is k steps before the last (gradient_norms is by time t, the other way round).
    form "jacobian":  Σ_{t=T-k+1..T} ln||J_t||_2 (Pascanu et al. 2013, tight form), any gate with time
    form "weights":   k · ln(||U||_2 max φ'), for rnn_linear, rnn_tanh, rnn_relu of one layer, whose max φ' is 1: from
                      the weights alone; below 0 it proves vanishing, above 0 it proves nothing

    Norms are in float64 at the trajectory's states: up to S = 32 from singular values, above from Lanczos
    (Golub-Kahan, random start) to a relative 1e-4, of which the upper end is taken: too large by at most 1e-4 nats a
    step, and too small only where the random start is all but orthogonal to the leading direction. +inf where a
    Jacobian is not finite. Raises StabilityError for another form, and for the weights form of another gate or a stack.
    """
    if form not in FORMS:
        raise StabilityError("norm_bound", f"form is {form!r}", f"accepted: {', '.join(FORMS)}")
    if form == "weights":
        return _weight_bound(trajectory)
    trajectory = trajectory.to_float64()
    logs = log_jacobian_norms(trajectory).flip(0).cumsum(0).nan_to_num(nan=math.inf, posinf=math.inf, neginf=-math.inf)
    return torch.cat([logs.new_zeros(1, trajectory.batch), logs])


def log_jacobian_norms(trajectory: Trajectory) -> Tensor:
    """Compute ln||J_t||_2 for t = 1..T -> (T, B), nats, not below the truth; +inf where J_t is not finite."""
    if trajectory.size <= SVD_SIZE:
        return torch.cat([_largest_singular_values(chunk) for chunk in trajectory.jacobians()]).log()
    states = trajectory.states[:-1].flatten(0, 1)
    x = trajectory.x.flatten(0, 1)
    norms = [_lanczos_norms(trajectory, x[rows], states[rows]) for rows in _chunks(len(x))]
    return torch.cat(norms).reshape(trajectory.steps, trajectory.batch).log()


def has_weight_bound(gate: Gate | None) -> bool:
    """Say whether one matrix U bounds the gradient: not that of a stack, whose layers have one each and hear each other."""
    return gate is not None and gate.name in STEEPEST and not is_stack(gate)


def _weight_bound(trajectory: Trajectory) -> Tensor:
    gate = trajectory.gate
    if gate is None or not has_weight_bound(gate):
        raise StabilityError(
            "norm_bound",
            f"form 'weights' does not hold for {gate.name if gate else 'a bare step'}",
            f"accepted: {', '.join(STEEPEST)}, of one layer",
            "use 'jacobian'",
        )
    norm = torch.linalg.matrix_norm(trajectory.params["weight_hh"].double(), ord=2)
    lags = torch.arange(trajectory.steps + 1, dtype=torch.float64)
    per_step = (norm * STEEPEST[gate.name]).log()
    bound = torch.where(lags > 0, lags * per_step, 0.0)  # 0 · -inf at lag 0
    return bound[:, None].repeat(1, trajectory.batch)


def _chunks(rows: int) -> Iterator[slice]:
    return (slice(start, start + CHUNK_ROWS) for start in range(0, rows, CHUNK_ROWS))


def _largest_singular_values(matrices: Tensor) -> Tensor:
    """Compute ||J||_2 (..., S, S) -> (...); +inf where J is not finite."""
    finite = torch.isfinite(matrices).flatten(-2).all(-1)
    safe = torch.where(finite[..., None, None], matrices, 0.0)
    return torch.linalg.svdvals(safe)[..., 0].masked_fill(~finite, math.inf)


def _lanczos_norms(trajectory: Trajectory, x: Tensor, states: Tensor) -> Tensor:
    """Compute ||J||_2 of each row by Golub-Kahan bidiagonalisation, upper end of its interval -> (n,).

    J V = U B, Jᵀ U = V Bᵀ + β v eᵀ with B upper bidiagonal: B's largest singular value σ comes close from below, and a
    singular value of J lies within β |last entry of σ's left vector| of it. Without reorthogonalisation: copies of
    converged values appear, the largest stays right (Golub & Van Loan 2013, 10.4).
    """
    linear = trajectory.linear_map(x, states)
    start = torch.randn(states.shape[1], generator=torch.Generator().manual_seed(START_SEED), dtype=torch.float64)
    v = (start / start.norm()).expand_as(states)  # one for all rows: no norm depends on a row's place
    u, diagonal = _normalised(linear.push(v))
    diagonals, above = [diagonal], []
    low = high = diagonal
    for step in range(1, CHECKS[-1] + 1):
        v, beta = _normalised(linear.pull(u) - diagonal[:, None] * v)
        if step in CHECKS:
            low, high = _interval(diagonals, above, beta)
            if not bool(_open(low, high).any()):
                return high
        u, diagonal = _normalised(linear.push(v) - beta[:, None] * u)
        diagonals.append(diagonal)
        above.append(beta)
    return _finish(trajectory, x, states, low, high)


def _open(low: Tensor, high: Tensor) -> Tensor:
    return torch.isfinite(high) & (high - low > TOLERANCE * low)


def _normalised(vectors: Tensor) -> tuple[Tensor, Tensor]:
    length = lengths(vectors, 1)
    return torch.where(length[:, None] > 0, vectors / length[:, None], 0.0), length


def _interval(diagonals: list[Tensor], above: list[Tensor], beta: Tensor) -> tuple[Tensor, Tensor]:
    """Return (σ, σ + residual) of the largest singular value of the bidiagonal matrices, (n,) each."""
    B = torch.diag_embed(torch.stack(diagonals, 1))
    if above:
        B = B + torch.diag_embed(torch.stack(above, 1), offset=1)
    finite = torch.isfinite(B).flatten(1).all(1) & torch.isfinite(beta)
    left, values, _ = torch.linalg.svd(torch.where(finite[:, None, None], B, 0.0))
    low = values[:, 0].masked_fill(~finite, math.inf)
    return low, low + (beta * left[:, -1, 0].abs()).masked_fill(~finite, 0.0)


def _finish(trajectory: Trajectory, x: Tensor, states: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Replace what has not converged by singular values."""
    open_rows = _open(low, high).nonzero()[:, 0]
    norms = high.clone()
    for row in open_rows.tolist():
        one = slice(row, row + 1)
        norms[one] = _largest_singular_values(trajectory.linear_map(x[one], states[one]).matrix())
    return norms

"""What theory says of wide random networks: the mean field of the tanh network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np
from scipy.optimize import root_scalar

from gatebench.stability.checks import StabilityError

REACH = 12.0  # standard deviations: what lies beyond is below 1e-31
POINTS = 4001  # of the trapezoidal rule, which converges exponentially for functions analytic near the real axis
LARGEST = 1e100  # gain and variance, so that their squares are finite
TAIL = 40.0  # |a| beyond which sech(a) is below 1e-17


@dataclass(frozen=True)
class MeanField:
    """The stationary state of a wide random tanh network, a_t = U tanh(a_{t-1}) + ξ_t, H -> ∞.

    q          variance of a pre-activation
    chi        χ: mean square growth of a small perturbation in one step
    lyapunov   largest Lyapunov exponent, ½ ln χ, nats/step; -inf for gain 0
    timescale  ξ = -1 / ln χ, steps, over which squared perturbations shrink by e; negative where they grow, inf at χ = 1
    """

    q: float
    chi: float
    lyapunov: float
    timescale: float


def mean_field(gain: float, input_variance: float = 0.0) -> MeanField:
    """Solve the mean field of a_t = U tanh(a_{t-1}) + ξ_t with U_ij ~ N(0, g²/H), ξ ~ N(0, s²), H -> ∞.

        q = g² E tanh²(√q z) + s²        χ = g² E sech⁴(√q z)        z ~ N(0, 1)

    gain g >= 0; input_variance s² >= 0 is that of the input's share of a pre-activation. Without input the solution that
    a random state goes to: q = 0 up to g = 1, where χ = g², and the positive one above: chaos.
    Raises StabilityError for what is no number, and for numbers that are negative or above 1e100. Sompolinsky, Crisanti & Sommers 1988; Poole et al.
    2016, arXiv 1606.05340; discrete time as in Molgedey, Schuchhardt & Schuster 1992.
    """
    for name, value in (("gain", gain), ("input_variance", input_variance)):
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value <= LARGEST:
            raise StabilityError(
                "mean_field", f"{name} is {value!r}", f"accepted: finite numbers from 0 to {LARGEST:g}"
            )
    q = _stationary_variance(gain, input_variance)
    slope = _expectation(lambda a: np.cosh(np.clip(a, -TAIL, TAIL)) ** -4.0, q)  # E (tanh')²
    growth = 2 * math.log(gain) + math.log(slope) if gain > 0 else -math.inf  # of a χ that may underflow
    return MeanField(q, gain**2 * slope, growth / 2, -1 / growth if growth else math.inf)


def _stationary_variance(gain: float, input_variance: float) -> float:
    def excess(q: float) -> float:
        return gain**2 * _mean_squared_tanh(q) + input_variance - q

    if input_variance == 0 and gain <= 1:
        return 0.0
    high = gain**2 + input_variance
    # E tanh² is concave in q and 0 at 0, so the positive root is one; below it the excess is positive.
    low = input_variance if input_variance > 0 else min(1e-3 * (gain - 1), 1e-3)
    if excess(low) <= 0:
        return low
    return root_scalar(excess, bracket=(low, high), xtol=1e-30, rtol=1e-15).root


def _mean_squared_tanh(q: float) -> float:
    """Compute E tanh²(√q z): from sech² where tanh² reaches further than the rule, else itself, without cancellation."""
    if REACH * math.sqrt(q) > TAIL:
        return 1 - _expectation(lambda a: np.cosh(np.clip(a, -TAIL, TAIL)) ** -2.0, q)
    return _expectation(lambda a: np.tanh(a) ** 2, q)


def _expectation(function: Callable[[np.ndarray], np.ndarray], q: float) -> float:
    """Compute E f(√q z), z ~ N(0, 1), by the trapezoidal rule: over a = √q z, as far as either factor reaches."""
    if q == 0:
        return float(function(np.zeros(1))[0])
    scale = math.sqrt(q)
    reach = min(REACH * scale, TAIL)
    a, step = np.linspace(-reach, reach, POINTS, retstep=True)
    density = np.exp(-0.5 * (a / scale) ** 2) / (scale * math.sqrt(2 * math.pi))
    return float((function(a) * density).sum() * step)

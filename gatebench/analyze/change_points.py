"""Steps in a series of log times: found only where two methods agree within one point.

One is PELT (Killick, Fearnhead and Eckley 2012, by ruptures) on the plain values, with a penalty from their noise. The other
is a two-level least squares fit, weighted by the points' intervals, with an F-test against no step. PELT places several
steps at once but trusts every point alike; the fit knows which points are worth less, and tests.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.special import fdtrc, stdtrit

from gatebench.analyze.statistics import CONFIDENCE

LEAST_POINTS = 5  # with fewer the noise cannot be told from a step
LEAST_SIDE = 2  # points on each side of a step: one odd job is no change
LEVEL = 0.001  # of the F-test: how often a series of noise may show a step, by this method alone
_PENALTY = (
    3.0  # x variance x log n per step: 1 for its level, 2 for its place (Zhang and Siegmund 2007 come to the like)
)
_AGREE = 1  # points by which the methods may differ
_PRIOR_BLOCKS = 4  # a standard error of few blocks is itself uncertain: the series' own stands in with this weight
_MOST_CORRELATION = 0.8  # more cannot be estimated from so few points
_LEAST_NOISE = 1e-6  # in log time; values that repeat exactly have none


@dataclass(frozen=True)
class Step:
    """One change of level: the first point after it, its size in log time with a 95 % interval, and the F-test's p."""

    place: int
    size: float
    low: float
    high: float
    p_value: float


def find_steps(values: np.ndarray, errors: np.ndarray) -> list[Step]:
    """Return the steps of a series in their order; values in log time, errors their standard errors, NaN where unknown.

    Where one of PELT's steps is not confirmed, the least certain is taken back and its neighbours are fitted again over
    what it had cut. The interval is that of the fit, given the place of the step.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < LEAST_POINTS:
        return []
    noise = _noise(values)
    weights, own = _weights(np.asarray(errors, dtype=float), noise)
    places = _pelt(values, noise)
    while places:
        edges = [0, *places, len(values)]
        spread = max(_residual_variance(values, weights, edges), own)  # points never agree better than their errors
        found = [_fit_step(values, weights, first, last, spread) for first, last in zip(edges, edges[2:], strict=False)]
        agreed = [
            step.p_value < LEVEL and abs(step.place - place) <= _AGREE
            for step, place in zip(found, places, strict=True)
        ]
        if all(agreed):
            return found
        worst = max(
            (number for number, good in enumerate(agreed) if not good), key=lambda number: found[number].p_value
        )
        del places[worst]
    return []


def _noise(values: np.ndarray) -> float:
    """Return the standard deviation of a series around its levels, from successive differences: steps hardly touch it.

    1.4826 · median |y_{i+1} - y_i| / √2
    """
    return max(float(1.4826 * np.median(np.abs(np.diff(values))) / np.sqrt(2)), _LEAST_NOISE)


def _weights(errors: np.ndarray, noise: float) -> tuple[np.ndarray, float]:
    """Return the points' weights 1 / (e_i² + τ²), and which part of e_i² + τ² is e_i², on the average.

    e_i are the points' own errors, τ what they vary beyond them from job to job. e_i² is drawn towards the median of the
    series, for a standard error of three blocks is uncertain by half of itself.
    """
    squares = errors**2
    known = squares[np.isfinite(squares)]
    usual = float(np.median(known)) if len(known) else 0.0
    squares = np.where(np.isfinite(squares), (squares + _PRIOR_BLOCKS * usual) / (1 + _PRIOR_BLOCKS), usual)
    weights = 1 / (squares + max(noise**2 - usual, _LEAST_NOISE**2))
    return weights, float(np.mean(squares * weights))


def _pelt(values: np.ndarray, noise: float) -> list[int]:
    """Return the first point of each level after the first, by PELT with squared error."""
    from ruptures import KernelCPD  # takes a second to import; its linear kernel is the squared error, in C

    signal = ((values - values.mean()) / noise).reshape(-1, 1)
    search = KernelCPD(kernel="linear", min_size=LEAST_SIDE).fit(signal)
    ends = np.array(search.predict(pen=_PENALTY * np.log(len(values))))  # the last one is the end of the series
    return [int(end) for end in ends[:-1]]


def _residual_variance(values: np.ndarray, weights: np.ndarray, edges: list[int]) -> float:
    """Return the weighted variance of a series around its levels, one between each two edges, as independent points have it.

    v · (1 + ρ) / (1 - ρ),  ρ the correlation of neighbours, where it is positive: a slow drift is no step
    """
    residuals = np.concatenate([
        (values[first:last] - np.average(values[first:last], weights=weights[first:last])) * np.sqrt(weights[first:last])
        for first, last in itertools.pairwise(edges)
    ])  # fmt: skip
    total = float(residuals @ residuals)
    variance = total / max(len(values) - len(edges) + 1, 1)
    # Residuals around fitted levels are correlated by about -1 / points of a level, which is given back.
    together = (float(residuals[1:] @ residuals[:-1]) / total if total else 0.0) + (len(edges) - 1) / len(values)
    together = min(max(together, 0.0), _MOST_CORRELATION)
    return variance * (1 + together) / (1 - together)


def _fit_step(values: np.ndarray, weights: np.ndarray, first: int, last: int, spread: float) -> Step:
    """Return the best two-level fit from `first` to before `last` by weighted least squares, and its F-test.

        F = (S_0 - S_1) / v,  v = max(S_1 / (n - 2), spread);   p = N · P(F_{1, n-2} > F)  (Bonferroni over all places)
        size ± t_{n-2, 0.975} · √(v · (1 / W_left + 1 / W_right))

    S_0, S_1 are the weighted sums of squares around one and two levels, n the points fitted, N those of the series.
    spread: the variance of the whole series around its levels, for a few points may happen to lie close together.
    """
    n, part = last - first, slice(first, last)
    weight, value = weights[part], values[part] - np.average(values[part], weights=weights[part])
    places = np.arange(LEAST_SIDE, n - LEAST_SIDE + 1)
    left_weight, left_sum = np.cumsum(weight)[places - 1], np.cumsum(weight * value)[places - 1]
    right_weight = weight.sum() - left_weight  # the weighted sum of all values is 0: the right sum is minus the left
    explained = left_sum**2 * (1 / left_weight + 1 / right_weight)
    best = int(np.argmax(explained))
    one_level = float(np.sum(weight * value**2))
    variance = max((one_level - float(explained[best])) / (n - 2), spread, np.finfo(float).tiny)
    p_value = min(1.0, len(values) * float(fdtrc(1, n - 2, explained[best] / variance)))
    both = 1 / left_weight[best] + 1 / right_weight[best]
    size, half = -left_sum[best] * both, stdtrit(n - 2, 0.5 + CONFIDENCE / 2) * np.sqrt(variance * both)
    return Step(first + int(places[best]), float(size), float(size - half), float(size + half), p_value)

"""How time grows with a size: the exponent of a power law with its interval, and where two competitors cross over."""

from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd

from gatebench.analyze.blocks import INCONCLUSIVE_ABOVE, block_logs, disturbed_shares
from gatebench.analyze.compare import ratio
from gatebench.analyze.statistics import mean_interval

LEAST_SIZES = 3  # two sizes always lie on a line
COMPETITOR = ["implementation", "implementation_options"]
CASE = ["run_id", "case_id", "side"]
FIT_COLUMNS = (*COMPETITOR, "sizes", "smallest", "largest", "blocks", "exponent", "low", "high", "worst")
CROSSOVER_COLUMNS = (
    "implementation", "implementation_options", "other", "other_options", "below", "above", "size", "advantage_below",
    "advantage_above",
)  # fmt: skip
Timed = tuple[dict[int, float], bool]  # of a case: block -> median log time of one call in ns; inconclusive


def fitted_exponents(measurements: pd.DataFrame, samples: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Fit time ∝ size^p for each competitor: p is the slope of log time over log size, by least squares.

    measurements: rows of one slice, where only `axis` (seq_len, hidden_size or batch) and the competitor vary; columns CASE,
    COMPETITOR, axis, time_ns. samples: theirs, or their blocks. A slope is fitted in every block that holds all sizes of the
    competitor that have a time; the exponent is the mean over blocks, its interval Student's t over them. It says how sure the
    slope is, not that a power law holds: for that there is `worst`.
    Columns: COMPETITOR, sizes (how many), smallest, largest, blocks, exponent with low and high (NaN with fewer than two
    blocks), worst: the largest factor, 1 or above, by which a size's time lies off the fitted line. With fewer than three sizes
    exponent and worst are NaN.
    """
    logs, rows = block_logs(samples), []
    for names, cases in _timed(measurements).groupby(COMPETITOR, sort=False):
        sizes = cases[axis].to_numpy(dtype=float)
        fit = _fit(sizes, cases, logs) if len(sizes) >= LEAST_SIZES else (0, *[np.nan] * 4)
        rows.append((*names, len(sizes), int(sizes.min()), int(sizes.max()), *fit))
    return pd.DataFrame(rows, columns=pd.Index(FIT_COLUMNS))


def _timed(measurements: pd.DataFrame) -> pd.DataFrame:
    return measurements[measurements["time_ns"].notna()]


def _fit(sizes: np.ndarray, cases: pd.DataFrame, logs: dict) -> tuple[int, float, float, float, float]:
    """Return (blocks, exponent, low, high, worst) of one competitor's cases, one per size."""
    of_cases = [logs.get(key, {}) for key in cases[CASE].itertuples(index=False, name=None)]
    complete = sorted(set.intersection(*map(set, of_cases)))
    # No block holds every size: the estimates do, and give a slope without an interval.
    times = [[blocks[block] for blocks in of_cases] for block in complete] or [
        list(np.log(cases["time_ns"].astype(float)))
    ]
    slopes = np.polynomial.polynomial.polyfit(np.log(sizes), np.array(times).T, 1)
    exponent, low, high = mean_interval(slopes[1])
    residuals = np.mean(times, axis=0) - (slopes[0].mean() + exponent * np.log(sizes))
    return len(complete), exponent, low, high, float(np.exp(np.abs(residuals).max()))


class _Order(NamedTuple):
    """Two competitors at one size: log(time of the second / time of the first), and whether its interval excludes 0."""

    size: int
    log: float
    told: bool


def crossovers(measurements: pd.DataFrame, samples: pd.DataFrame, axis: str) -> pd.DataFrame:
    """Find where the lines of two competitors cross between two measured sizes, told on both sides.

    The arguments are those of `fitted_exponents`. A crossover lies between two sizes at which the paired blocks tell the order
    (the 95 % interval of the ratio excludes 1, and neither case was disturbed too much) and the order differs, with none
    between them at which it is told. `size` is where the lines drawn through the measured sizes cross first: linear in log
    time over log size.
    Columns: COMPETITOR (the faster one below), other, other_options (the faster one above), below, above (the two sizes),
    size, advantage_below (other's time / implementation's at `below`), advantage_above (implementation's / other's at
    `above`). Sorted by size.
    """
    logs, disturbed = block_logs(samples), disturbed_shares(samples)
    lines = {
        names: {
            int(size): (logs.get(key, {}), disturbed.get(key, 0.0) > INCONCLUSIVE_ABOVE)
            for size, key in zip(cases[axis], cases[CASE].itertuples(index=False, name=None), strict=True)
        }
        for names, cases in _timed(measurements).groupby(COMPETITOR, sort=False)
    }
    rows = [row for one, other in combinations(lines, 2) for row in _crossings(one, other, lines)]
    found = pd.DataFrame(rows, columns=pd.Index(CROSSOVER_COLUMNS))
    return found.sort_values(["size", "implementation", "other"], ignore_index=True)


def _crossings(one: tuple, other: tuple, lines: dict[tuple, dict[int, Timed]]) -> list[tuple]:
    orders = [
        _order(size, lines[one][size], lines[other][size]) for size in sorted(set(lines[one]) & set(lines[other]))
    ]
    told = [place for place, order in enumerate(orders) if order.told]
    rows = []
    for first, last in pairwise(told):
        below, above = orders[first], orders[last]
        if below.log * above.log < 0:
            faster, slower = (one, other) if below.log > 0 else (other, one)
            ends = (below.size, above.size, _where(orders[first : last + 1]))
            rows.append((*faster, *slower, *ends, float(np.exp(abs(below.log))), float(np.exp(abs(above.log)))))
    return rows


def _order(size: int, one: Timed, other: Timed) -> _Order:
    times, low, high = ratio(other[0], one[0])
    return _Order(size, float(np.log(times)), (low > 1 or high < 1) and not (one[1] or other[1]))


def _where(orders: list[_Order]) -> float:
    """Return the first size at which the difference of the logs is zero, linear in log size between measured ones."""
    known = [order for order in orders if np.isfinite(order.log)]
    left, right = next(pair for pair in pairwise(known) if pair[0].log * pair[1].log <= 0)
    part = left.log / (left.log - right.log) if left.log != right.log else 0.0
    return float(left.size * (right.size / left.size) ** part)

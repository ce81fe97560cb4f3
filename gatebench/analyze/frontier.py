"""Which of several choices no other one beats in both of two quantities."""

import numpy as np
import pandas as pd


def on_frontier(x: pd.Series, y: pd.Series, more_x: bool = False, more_y: bool = False) -> np.ndarray:
    """Return which points are on the frontier: no other is as good in both quantities and better in one.

    more_x, more_y: more is better there; else less is. Estimates count, not their intervals. A point that lacks either
    number is not on it.
    """
    # As costs: less is better in both.
    costs = [-values.to_numpy(float) if more else values.to_numpy(float) for values, more in ((x, more_x), (y, more_y))]
    known = ~(np.isnan(costs[0]) | np.isnan(costs[1]))
    found = known.copy()
    for place in np.flatnonzero(known):
        as_good = known & (costs[0] <= costs[0][place]) & (costs[1] <= costs[1][place])
        better = (costs[0] < costs[0][place]) | (costs[1] < costs[1][place])
        found[place] = not (as_good & better).any()
    return found

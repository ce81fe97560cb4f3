"""The frontier of two quantities, against points placed by hand."""

import math

import pandas as pd
import pytest

from gatebench.analyze.frontier import on_frontier


@pytest.mark.parametrize(
    ("points", "more", "expected"),
    [
        ([(1, 3), (2, 2), (3, 1), (3, 3)], (False, False), [True, True, True, False]),
        ([(1, 3), (2, 2), (3, 1), (3, 3)], (False, True), [True, False, False, False]),
        ([(1, 3), (2, 2), (3, 1), (3, 3)], (True, False), [False, False, True, False]),
        ([(1, 1), (2, 2)], (True, True), [False, True]),
        ([(1, 1), (1, 1), (1, 2)], (False, False), [True, True, False]),
        ([(1, 1), (1, 2)], (False, False), [True, False]),
        ([(1, 1), (math.nan, 0), (0, math.nan)], (False, False), [True, False, False]),
        ([(1, math.inf), (2, 5)], (False, True), [True, False]),
        ([], (False, False), []),
    ],
)
def test_a_point_is_on_it_unless_another_is_as_good_in_both_and_better_in_one(points, more, expected):
    frame = pd.DataFrame(points, columns=["x", "y"], dtype=float)
    assert on_frontier(frame["x"], frame["y"], *more).tolist() == expected

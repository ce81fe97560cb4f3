"""Logarithmic axes: few whole ticks, within what float64 holds."""

import math

import numpy as np
import pytest

from gatebench.report.figures.axes import NEVER, logarithmic


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.3, 12.0], ["0.5", "1", "2", "5", "10"]),
        ([1.2, 1.9], ["1.2", "1.4", "1.6", "1.8", "2"]),
        ([2.0, 4.5], ["2", "3", "4", "5"]),
        ([90.0, 150.0], ["80", "100", "120", "140", "160"]),
        ([2.0, 300.0], ["2", "5", "10", "20", "50", "100", "200"]),
        ([5.0], ["4.5", "5", "5.5"]),
        ([1.0, 1e12], ["1", "100", "10000", "10⁶", "10⁸", "10¹⁰", "10¹²"]),
        ([99999.0, 2e5], ["10⁵", "1.5·10⁵", "2·10⁵"]),
        ([0.0, math.nan, math.inf, -1.0], ["1", "2", "5", "10"]),
    ],
)
def test_a_logarithmic_axis_has_few_whole_ticks_within_its_range(values, labels):
    axis = logarithmic(values)
    assert axis["ticktext"] == labels
    low, high = axis["range"]
    assert all(low - 1e-9 <= math.log10(tick) <= high + 1e-9 for tick in axis["tickvals"])
    assert all(low <= math.log10(value) <= high for value in values if 0 < value < math.inf)


@pytest.mark.parametrize("values", [[5e-324, 1.7e308], [1.7e308], [5e-324]])
def test_a_logarithmic_axis_of_numbers_at_the_ends_of_float64_is_finite(values):
    axis = logarithmic(values)
    assert np.isfinite(axis["range"]).all()
    assert 2 <= len(axis["ticktext"]) <= 9


def test_the_line_of_what_never_ends_has_a_label_of_its_own():
    axis = logarithmic([1.0, 100.0], never=300.0)
    assert (axis["tickvals"][-1], axis["ticktext"][-1]) == (300.0, NEVER)
    assert max(axis["tickvals"][:-1]) == 100.0
    assert axis["range"][1] > math.log10(300.0)
    near = logarithmic([1.0, 100.0], never=110.0)
    assert near["tickvals"][-2:] == [10.0, 110.0]  # the label of 100 would lie on it

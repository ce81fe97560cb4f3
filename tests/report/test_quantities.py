"""Numbers as text."""

import pytest

from gatebench.report.quantities import significant


@pytest.mark.parametrize("value", [1.2e-17, -3.4e-30, 1.5e300, 6.5e6])
def test_numbers_that_would_fill_a_line_have_an_exponent(value):
    text = significant(value)
    assert len(text) <= len("-3.40e-30")
    assert float(text) == pytest.approx(value, rel=5e-3)


@pytest.mark.parametrize(("value", "text"), [(0.0012, "0.00120"), (456.4, "456"), (36841.2, "36841"), (-0.5, "-0.500")])
def test_all_others_have_none(value, text):
    assert significant(value) == text

"""When a result is wrong: the formula, its limits, and the values that fool a careless comparison."""

import math

import pytest
import torch

from gatebench.measure.tolerance import judge, largest_error

REFERENCE = torch.tensor([1.0, -4.0], dtype=torch.float64)


def test_error_ratio_divides_by_eager_error_or_unit_roundoff():
    value = torch.tensor([1.0, -4.0 + 1e-5], dtype=torch.float32)
    error = abs(float(value[1].double()) + 4.0)
    by_eager = judge("output", value, REFERENCE, eager_error=2e-5, dtype="float32")
    assert by_eager.error_ratio == pytest.approx(error / 2e-5)
    by_roundoff = judge("output", value, REFERENCE, eager_error=0.0, dtype="float32")
    assert by_roundoff.error_ratio == pytest.approx(error / (2**-24 * 4))
    assert by_roundoff.relative_error == pytest.approx(error / 4)
    assert by_eager.passed
    assert not by_roundoff.passed


def test_relative_error_is_limited_even_where_eager_is_as_bad():
    value = torch.tensor([1.0, -4.1], dtype=torch.float32)
    assert not judge("output", value, REFERENCE, eager_error=1.0, dtype="float32").passed
    assert judge("output", value.bfloat16(), REFERENCE, eager_error=1.0, dtype="bfloat16").passed


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_not_finite_is_infinitely_wrong(bad):
    assert largest_error(torch.tensor([bad, -4.0]), REFERENCE) == math.inf
    assert not judge("output", torch.tensor([bad, -4.0]), REFERENCE, eager_error=1.0, dtype="float32").passed


def test_a_reference_of_zeros_accepts_exact_zeros_only():
    zeros = torch.zeros(2, dtype=torch.float64)
    assert judge("output", torch.zeros(2), zeros, eager_error=0.0, dtype="float32").passed
    tiny = judge("output", torch.tensor([0.0, 1e-30]), zeros, eager_error=1.0, dtype="float32")
    assert tiny.error_ratio == math.inf
    assert not tiny.passed


def test_another_shape_or_dtype_is_wrong_whatever_the_values():
    assert not judge("output", REFERENCE.float()[:1], REFERENCE, eager_error=1.0, dtype="float32").passed
    assert not judge("output", REFERENCE, REFERENCE, eager_error=1.0, dtype="float32").passed


def test_a_suite_may_lower_the_limit():
    value = torch.tensor([1.0, -4.0 + 2e-6], dtype=torch.float32)
    assert judge("output", value, REFERENCE, eager_error=0.0, dtype="float32").passed
    assert not judge("output", value, REFERENCE, eager_error=0.0, dtype="float32", limit=1.0).passed

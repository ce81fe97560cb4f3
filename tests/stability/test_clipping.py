"""Clipping by norm, against torch and against numbers worked out by hand. P14 names the oracle."""

import math
import re

import pytest
import torch

from gatebench import stability
from gatebench.errors import UserError
from gatebench.stability.clip import clip_by_norm


def torch_clips(gradients, threshold):
    """Return torch's clipped gradients and norm."""
    leaves = [torch.zeros_like(gradient).requires_grad_() for gradient in gradients]
    for leaf, gradient in zip(leaves, gradients, strict=True):
        leaf.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(leaves, threshold)
    return [leaf.grad for leaf in leaves], norm


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("threshold", [0.01, 1.0, 7.5, 1e4])
def test_clipped_gradients_are_torchs_bit_for_bit(dtype, threshold):
    source = torch.Generator().manual_seed(3)
    gradients = [torch.randn(size, generator=source).to(dtype) for size in ((4, 3), (7,), (2, 2, 2), (1,))]
    expected, norm = torch_clips(gradients, threshold)
    found, found_norm = clip_by_norm(gradients, threshold)
    assert torch.equal(found_norm, norm)
    assert all(map(torch.equal, found, expected))


def test_p14_three_four_is_clipped_to_one():
    gradient = torch.tensor([3.0, 4.0], dtype=torch.float64)
    (found,), norm = clip_by_norm([gradient], 1.0)
    assert float(norm) == 5.0
    torch.testing.assert_close(found, torch.tensor([0.59999988, 0.79999984], dtype=torch.float64), rtol=0, atol=5e-9)
    formula = gradient * min(1, 1.0 / float(norm))  # Pascanu et al.; torch's 1e-6 is all that lies between
    assert formula.tolist() == pytest.approx([0.6, 0.8], rel=1e-15)
    assert (found / formula).tolist() == pytest.approx([5 / (5 + 1e-6)] * 2, rel=1e-14)


def test_p14_a_short_gradient_and_no_threshold_change_no_bit():
    short = torch.tensor([0.3, 0.4], dtype=torch.float64)
    assert torch.equal(clip_by_norm([short], 1.0)[0][0], short)
    assert torch.equal(clip_by_norm([100 * short], None)[0][0], 100 * short)


def test_p14_rate_counts_what_is_strictly_above():
    found = stability.clipping([0.5, 1.0, 2.0, 4.0], 1.0)
    assert found.rate == 0.5
    expected = (1 + 1 / (1 + 1e-6) + 1 / (2 + 1e-6) + 1 / (4 + 1e-6)) / 4
    assert found.mean_coefficient == pytest.approx(expected, rel=1e-12)
    assert (found.p50, found.nonfinite) == (1.5, 0)
    assert (found.p95, found.p99) == pytest.approx((2 + 2 * 0.85, 2 + 2 * 0.97))  # 3 steps between 4: 2.85 and 2.97


def test_percentiles_have_the_digits_of_float64():
    found = stability.clipping([0.5, 2.0, 4.0], 1.0)
    assert (found.p50, found.p95, found.p99) == pytest.approx((2, 3.8, 3.96), rel=1e-15)


def test_norms_may_be_a_tensor_of_any_shape_and_dtype():
    norms = [0.5, 1.0, 2.0, 4.0]
    assert stability.clipping(torch.tensor(norms).reshape(2, 2), 1) == stability.clipping(norms, 1.0)


def test_nonfinite_norms_are_counted_and_left_out_of_the_rest():
    found = stability.clipping([0.5, math.nan, 1.0, math.inf, 2.0, 4.0], 1.0)
    clean = stability.clipping([0.5, 1.0, 2.0, 4.0], 1.0)
    assert found.nonfinite == 2
    assert [getattr(found, name) for name in ("rate", "mean_coefficient", "p50", "p95", "p99")] == [
        getattr(clean, name) for name in ("rate", "mean_coefficient", "p50", "p95", "p99")
    ]


def test_without_a_finite_norm_nothing_but_their_number_is_known():
    found = stability.clipping([math.nan, math.inf], 1.0)
    assert found.nonfinite == 2
    assert all(math.isnan(value) for value in (found.rate, found.mean_coefficient, found.p50, found.p95, found.p99))


BAD = {
    "zero": (([1.0], 0.0), "clipping: threshold is 0.0; accepted: a finite number above 0"),
    "negative": (([1.0], -1), "clipping: threshold is -1; accepted: a finite number above 0"),
    "nan": (([1.0], math.nan), "clipping: threshold is nan; accepted: a finite number above 0"),
    "infinite": (([1.0], math.inf), "clipping: threshold is inf; accepted: a finite number above 0"),
    "text": (([1.0], "1"), "clipping: threshold is '1'; accepted: a finite number above 0"),
    "no norms": (([], 1.0), "clipping: no norms are given; accepted: one norm per step, at least one"),
    "negative norm": (([1.0, -2.0], 1.0), "clipping: a norm is -2.0; accepted: norms from 0, NaN and inf"),
    "minus infinity": (([-math.inf], 1.0), "clipping: a norm is -inf; accepted: norms from 0, NaN and inf"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    arguments, message = BAD[case]
    with pytest.raises(stability.StabilityError, match=f"^{re.escape(message)}$") as raised:
        stability.clipping(*arguments)
    assert isinstance(raised.value, UserError)


def test_a_bad_threshold_is_refused_where_gradients_are_clipped_too():
    with pytest.raises(stability.StabilityError, match="clip_by_norm: threshold is -1"):
        clip_by_norm([torch.ones(2)], -1)

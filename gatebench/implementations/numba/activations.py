"""exp, sigmoid, tanh and the normal distribution of SIMD packs, to a few units in the last place.

exp(x) = 2^n e^r with n = round(x / ln 2) and r = x - n ln 2, |r| <= ln(2)/2; ln 2 is taken off in two parts
(Cody & Waite 1980), e^r - 1 is a Taylor polynomial whose rest is below 0.1 ulp. NaN and Inf go where IEEE sends them.

The normal distribution comes from erfc(z) e^z² for z >= 0, one polynomial over the whole half-line in
t = (z - 3) / (z + 3) (Shepherd & Laframboise 1981), so that no lane has to choose its interval.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy.polynomial.chebyshev import cheb2poly

from gatebench.implementations.numba.simd import (
    INLINE,
    Pack,
    absolute,
    bits_constant,
    bits_type,
    clamp,
    constant,
    copy_sign,
    intrinsic,
    vector_type,
    where_positive,
)


@dataclass(frozen=True)
class Format:
    """Constants of a float format; all numbers are exact in it.

    mantissa   stored bits of the mantissa
    ln2_high   ln 2 with so few bits that n * ln2_high is exact
    degree     of the polynomial for e^r - 1
    tail       degree of the polynomial for erfc(z) e^z²
    low, high  exp is not told apart from e^low below low, and is Inf above high
    """

    dtype: type
    mantissa: int
    exponent_bias: int
    ln2_high: float
    degree: int
    tail: int
    low: float
    high: float

    @property
    def ln2_low(self) -> float:
        """Return ln 2 - ln2_high; the double's ln 2 lacks 2.3e-17, which float64 needs."""
        return (math.log(2.0) - self.ln2_high) + 2.3190468138462996e-17

    @property
    def magic(self) -> float:
        """Return 1.5 * 2^mantissa: adding it rounds to an integer, which then stands in the low bits."""
        return 1.5 * 2.0**self.mantissa


# ln 2 = 0x1.62e42fefa39ef...: 15 leading bits for float32, 32 for float64.
FORMATS = {
    types.float32: Format(np.float32, 23, 127, float.fromhex("0x1.62E4p-1"), 7, 11, -87.0, 89.0),
    types.float64: Format(np.float64, 52, 1023, float.fromhex("0x1.62E42FEEp-1"), 13, 24, -708.0, 710.0),
}

# Chebyshev coefficients of (1 + 2z) erfc(z) e^z² in t = (z - 3) / (z + 3), from 60-digit arithmetic. Those behind
# `tail` add up to less than 2^-27 (float32) and 2^-56 (float64).
TAIL = (
    1.17756257419656, 0.005353904539615676, -0.09377550342284209, 0.05436652555744322, -0.018976596707845208,
    0.004453426061462712, -0.0006335531710553147, 1.7661719523171593e-05, 1.2841532864056671e-05,
    -2.0072285659059913e-06, -1.807522790414837e-07, 7.549828343825093e-08, 1.885668523838603e-09,
    -2.699519049798364e-09, -1.460079119939105e-11, 1.0361607445969489e-10, 1.475715976623473e-12,
    -4.277340064396911e-12, -2.07922492859799e-13, 1.8134502003176963e-13, 1.973425574544739e-14,
    -7.287943737592673e-15, -1.5169878690228116e-15, 2.3514112258781403e-16, 1.0006111691821667e-16,
)  # fmt: skip


@intrinsic
def _power_of_two(typingctx: Any, shifted: Any) -> Any:
    """Return 2^n for n + magic, as the sum stands in a pack; Inf for n one above the largest exponent."""
    form = FORMATS[shifted.dtype]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        # The integer n is in the low bits of the mantissa, so a shift moves it to the exponent.
        bits = builder.shl(builder.bitcast(args[0], bits_type(shifted)), bits_constant(shifted, form.mantissa))
        bits = builder.add(bits, bits_constant(shifted, form.exponent_bias << form.mantissa))
        return builder.bitcast(bits, vector_type(shifted))

    return shifted(shifted), codegen


def _polynomial(coefficients: Callable[[Format], Sequence[float]]) -> Any:
    """Return the polynomial of a pack whose coefficients, lowest first, follow from the format."""

    @intrinsic
    def evaluate(typingctx: Any, x: Any) -> Any:
        *lower, highest = coefficients(FORMATS[x.dtype])

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            total = constant(x, highest)
            for coefficient in reversed(lower):
                product = builder.fmul(total, args[0], flags=("contract",))
                total = builder.fadd(product, constant(x, coefficient), flags=("contract",))
            return total

        return x(x), codegen

    return evaluate


# (e^r - 1 - r) / r² by its Taylor series, and (1 + 2z) erfc(z) e^z² of t.
_taylor = _polynomial(lambda form: [1 / math.factorial(order) for order in range(2, form.degree + 1)])
_tail = _polynomial(lambda form: cheb2poly(TAIL[: form.tail + 1]).tolist())


def _reduce(x: Any) -> Any:
    """Return (2^n, e^r - 1) of a pack that is already clamped."""


@overload(_reduce, jit_options=INLINE)
def _reduce_pack(x: Any) -> Any:
    if not isinstance(x, Pack):
        return None
    form = FORMATS[x.dtype]
    magic, per_ln2, ln2_high, ln2_low = form.magic, 1 / math.log(2.0), form.ln2_high, form.ln2_low

    def reduce(x: Any) -> Any:
        shifted = x * per_ln2 + magic
        n = shifted - magic
        r = (x - n * ln2_high) - n * ln2_low
        return _power_of_two(shifted), r + (r * r) * _taylor(r)

    return reduce


def exp(x: Any) -> Any:
    """Return e^x of a pack; e^low below low (1e-38 or 1e-308), so never 0."""


@overload(exp, jit_options=INLINE)
def _exp_pack(x: Any) -> Any:
    if not isinstance(x, Pack):
        return None
    low, high = FORMATS[x.dtype].low, FORMATS[x.dtype].high

    def compute(x: Any) -> Any:
        power, rest = _reduce(clamp(x, low, high))
        return power + power * rest

    return compute


def sigmoid(x: Any) -> Any:
    """Return σ(x) = 1 / (1 + e^-x) of a pack."""


@overload(sigmoid, jit_options=INLINE)
def _sigmoid_pack(x: Any) -> Any:
    if not isinstance(x, Pack):
        return None

    def compute(x: Any) -> Any:
        return 1.0 / (1.0 + exp(0.0 - x))

    return compute


def tanh(x: Any) -> Any:
    """Return tanh(x) = (e^2|x| - 1) / (e^2|x| + 1) with the sign of x, exact to a few ulp near 0 too."""


@overload(tanh, jit_options=INLINE)
def _tanh_pack(x: Any) -> Any:
    if not isinstance(x, Pack):
        return None

    def compute(x: Any) -> Any:
        # tanh is 1 to the last bit of a double from 19.1 on.
        power, rest = _reduce(2.0 * clamp(absolute(x), 0.0, 20.0))
        grown = power * rest + (power - 1.0)
        return copy_sign(grown / (grown + 2.0), x)

    return compute


def gaussian(x: Any) -> Any:
    """Return (Φ(x), φ(x)) of a pack: cumulative distribution and density of the standard normal.

    Φ(x) is exact to a few ulp times 1 + x²/2, as e^(-x²/2) is; φ is not told apart from e^low / √(2π) below it.
    """


@overload(gaussian, jit_options=INLINE)
def _gaussian_pack(x: Any) -> Any:
    if not isinstance(x, Pack):
        return None
    per_root2, per_root2pi = math.sqrt(0.5), 1 / math.sqrt(2 * math.pi)

    def compute(x: Any) -> Any:
        z, falling = per_root2 * absolute(x), exp(0.0 - 0.5 * x * x)
        near = clamp(z, 0.0, 100.0)  # t at infinity would be Inf / Inf; the quotient by 1 + 2z goes to 0 all the same
        rest = 0.5 * falling * _tail((near - 3.0) / (near + 3.0)) / (1.0 + 2.0 * z)  # Φ(-|x|)
        return where_positive(x, 1.0 - rest, rest), per_root2pi * falling

    return compute

"""exp, sigmoid, tanh and expm1 of SIMD packs, to a few units in the last place.

exp(x) = 2^n e^r with n = round(x / ln 2) and r = x - n ln 2, |r| <= ln(2)/2; ln 2 is taken off in two parts
(Cody & Waite 1980), e^r - 1 is a Taylor polynomial whose rest is below 0.1 ulp. NaN and Inf go where IEEE sends them.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

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
)


@dataclass(frozen=True)
class Format:
    """Constants of a float format; all numbers are exact in it.

    mantissa   stored bits of the mantissa
    ln2_high   ln 2 with so few bits that n * ln2_high is exact
    degree     of the polynomial for e^r - 1
    low, high  exp is not told apart from e^low below low, and is Inf above high
    """

    dtype: type
    mantissa: int
    exponent_bias: int
    ln2_high: float
    degree: int
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
    types.float32: Format(np.float32, 23, 127, float.fromhex("0x1.62E4p-1"), 7, -87.0, 89.0),
    types.float64: Format(np.float64, 52, 1023, float.fromhex("0x1.62E42FEEp-1"), 13, -708.0, 710.0),
}


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


@intrinsic
def _taylor(typingctx: Any, r: Any) -> Any:
    """Return (e^r - 1 - r) / r^2 by its Taylor polynomial."""
    degree = FORMATS[r.dtype].degree

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total = constant(r, 1 / math.factorial(degree))
        for order in range(degree - 1, 1, -1):
            product = builder.fmul(total, args[0], flags=("contract",))
            total = builder.fadd(product, constant(r, 1 / math.factorial(order)), flags=("contract",))
        return total

    return r(r), codegen


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

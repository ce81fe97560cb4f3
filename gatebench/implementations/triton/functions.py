# pyright: reportMissingImports=false, reportAttributeAccessIssue=false
"""Functions of Triton kernels: tiles, loads, activations with their slopes.

A matrix (rows, width) is cut into tiles of at most BLOCK elements of one row, one program each. Arithmetic is in float32
for bfloat16 tensors, else in their own dtype; Python numbers take the dtype of the tensor that they meet.

They are written with the language's built-ins alone, so that Triton's interpreter can run them on CPU tensors: libdevice's
tanh it cannot call. Parameters have no annotations: Triton would look for the names in the kernel's code.
"""

import triton
import triton.language as tl


@triton.jit
def tile(width, BLOCK: tl.constexpr):
    """Return this program's row, its columns, and which of them exist."""
    tiles = (width + BLOCK - 1) // BLOCK
    program = tl.program_id(0).to(tl.int64)
    columns = program % tiles * BLOCK + tl.arange(0, BLOCK)
    return program // tiles, columns, columns < width


@triton.jit
def load(pointers, mask):
    """Load a tile, bfloat16 as float32."""
    values = tl.load(pointers, mask=mask, other=0.0)
    if values.dtype == tl.bfloat16:
        values = values.to(tl.float32)
    return values


@triton.jit
def sigmoid(u):
    """Compute σ(u) without overflow: e = exp(-|u|) is at most 1."""
    e = tl.exp(-tl.abs(u))
    return tl.where(u < 0, e, 1.0) / (1.0 + e)


@triton.jit
def tanh(u):
    """Compute tanh(u); near 0, where 1 - exp(-2|u|) would cancel, by the Padé approximant [7/6].

    The approximant is Lambert's continued fraction u/(1 + u²/(3 + u²/(5 + ...))) cut after 13, here as u less a small
    part of it; at |u| = 1/2 its relative error is 2e-16.
    """
    z = tl.minimum(u * u, 0.25)
    near = u - u * z * (45045.0 + z * (2772.0 + z * 27.0)) / (135135.0 + z * (62370.0 + z * (3150.0 + z * 28.0)))
    e = tl.exp(-2.0 * tl.abs(u))
    far = (1.0 - e) / (1.0 + e)
    return tl.where(tl.abs(u) < 0.5, near, tl.where(u < 0, -far, far))


@triton.jit
def activate(u, KIND: tl.constexpr, BETA: tl.constexpr):
    """Return φ(u) and φ'(u); the compiler drops the one that is not used. BETA is Swish's alone."""
    if KIND == "identity":
        value, slope = u, 1.0
    elif KIND == "relu":  # written so that NaN stays NaN
        value, slope = tl.where(u <= 0, 0.0, u), tl.where(u <= 0, 0.0, 1.0)
    elif KIND == "sigmoid":
        value = sigmoid(u)
        slope = value * (1.0 - value)
    elif KIND == "tanh":
        value = tanh(u)
        slope = 1.0 - value * value
    elif KIND == "swish":
        s = sigmoid(u * BETA)
        value, slope = u * s, s * (1.0 + u * BETA * (1.0 - s))
    elif KIND == "gelu":
        cdf = 0.5 * (1.0 + tl.erf(u * 0.7071067811865476))  # Φ(u); 1/√2
        density = 0.3989422804014327 * tl.exp(-0.5 * u * u)  # 1/√(2π)
        value, slope = u * cdf, cdf + u * density
    else:
        tl.static_assert(KIND == "gelu_tanh")
        t = tanh(0.7978845608028654 * (u + 0.044715 * u * u * u))  # √(2/π)
        cdf = 0.5 * (1.0 + t)
        inner_slope = 0.7978845608028654 * (1.0 + 0.134145 * u * u)
        value, slope = u * cdf, cdf + 0.5 * u * (1.0 - t * t) * inner_slope
    return value, slope

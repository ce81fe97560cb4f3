# pyright: reportMissingImports=false, reportAttributeAccessIssue=false, reportGeneralTypeIssues=false
"""One step of LSTM and GRU, forward and backward: all that is not a matrix product, in one kernel each.

`gates` of a step are (B, G·H): W x_t + b before the forward, the gates' values after it where KEEP says so. Carried sums,
an LSTM's c and the gradients of the states, are float32 for bfloat16 tensors; h goes into the next product, in the
tensors' own dtype.
"""

import triton
import triton.language as tl

from gatebench.implementations.triton.functions import load, sigmoid, tanh, tile


@triton.jit
def triton_lstm_forward(gates, product, c_before, c_after, h_after, width, KEEP: tl.constexpr, BLOCK: tl.constexpr):
    """Advance c and h by one step; product is U h_{t-1}, in blocks i, f, g, o."""
    row, columns, mask = tile(width, BLOCK)
    at, blocks = row * width + columns, 4 * row * width + columns
    i = sigmoid(load(gates + blocks, mask) + load(product + blocks, mask))
    f = sigmoid(load(gates + blocks + width, mask) + load(product + blocks + width, mask))
    g = tanh(load(gates + blocks + 2 * width, mask) + load(product + blocks + 2 * width, mask))
    o = sigmoid(load(gates + blocks + 3 * width, mask) + load(product + blocks + 3 * width, mask))
    c = f * load(c_before + at, mask) + i * g
    tl.store(c_after + at, c, mask=mask)
    tl.store(h_after + at, o * tanh(c), mask=mask)
    if KEEP:
        tl.store(gates + blocks, i, mask=mask)
        tl.store(gates + blocks + width, f, mask=mask)
        tl.store(gates + blocks + 2 * width, g, mask=mask)
        tl.store(gates + blocks + 3 * width, o, mask=mask)


@triton.jit
def triton_lstm_backward(gates, c_before, c_after, d_output, d_product, d_c, d_gates, width, BLOCK: tl.constexpr):
    """Write the gradients of the four sums, and take d_c from c_t back to c_{t-1}; d_product is dL/dh_t by way of U."""
    row, columns, mask = tile(width, BLOCK)
    at, blocks = row * width + columns, 4 * row * width + columns
    i, f = load(gates + blocks, mask), load(gates + blocks + width, mask)
    g, o = load(gates + blocks + 2 * width, mask), load(gates + blocks + 3 * width, mask)
    d_h = load(d_output + at, mask) + load(d_product + at, mask)
    m = tanh(load(c_after + at, mask))
    d_memory = load(d_c + at, mask) + d_h * o * (1.0 - m * m)
    tl.store(d_c + at, d_memory * f, mask=mask)
    tl.store(d_gates + blocks, d_memory * g * i * (1.0 - i), mask=mask)
    tl.store(d_gates + blocks + width, d_memory * load(c_before + at, mask) * f * (1.0 - f), mask=mask)
    tl.store(d_gates + blocks + 2 * width, d_memory * i * (1.0 - g * g), mask=mask)
    tl.store(d_gates + blocks + 3 * width, d_h * m * o * (1.0 - o), mask=mask)


@triton.jit
def triton_gru_forward(
    gates, product, bias_n, candidate, h_before, h_after, width, KEEP: tl.constexpr, BLOCK: tl.constexpr
):
    """Advance h by one step; product is U h_{t-1}, in blocks r, z, n; candidate keeps v = U_n h_{t-1} + c_n."""
    row, columns, mask = tile(width, BLOCK)
    at, blocks = row * width + columns, 3 * row * width + columns
    r = sigmoid(load(gates + blocks, mask) + load(product + blocks, mask))
    z = sigmoid(load(gates + blocks + width, mask) + load(product + blocks + width, mask))
    v = load(product + blocks + 2 * width, mask) + load(bias_n + columns, mask)
    n = tanh(load(gates + blocks + 2 * width, mask) + r * v)
    tl.store(h_after + at, (1.0 - z) * n + z * load(h_before + at, mask), mask=mask)
    if KEEP:
        tl.store(gates + blocks, r, mask=mask)
        tl.store(gates + blocks + width, z, mask=mask)
        tl.store(gates + blocks + 2 * width, n, mask=mask)
        tl.store(candidate + at, v, mask=mask)


@triton.jit
def triton_gru_backward(
    gates, candidate, h_before, d_output, d_product, d_h, d_input, d_gates, width, BLOCK: tl.constexpr
):
    """Write the gradients of the sums W x + b (d_input) and of U h + c (d_gates); d_h goes back past the product."""
    row, columns, mask = tile(width, BLOCK)
    at, blocks = row * width + columns, 3 * row * width + columns
    r, z = load(gates + blocks, mask), load(gates + blocks + width, mask)
    n = load(gates + blocks + 2 * width, mask)
    d = load(d_output + at, mask) + load(d_product + at, mask) + load(d_h + at, mask)
    tl.store(d_h + at, d * z, mask=mask)
    d_n = d * (1.0 - z) * (1.0 - n * n)
    d_r = d_n * load(candidate + at, mask) * r * (1.0 - r)
    d_z = d * (load(h_before + at, mask) - n) * z * (1.0 - z)
    tl.store(d_input + blocks, d_r, mask=mask)
    tl.store(d_input + blocks + width, d_z, mask=mask)
    tl.store(d_input + blocks + 2 * width, d_n, mask=mask)
    tl.store(d_gates + blocks, d_r, mask=mask)
    tl.store(d_gates + blocks + width, d_z, mask=mask)
    tl.store(d_gates + blocks + 2 * width, d_n * r, mask=mask)

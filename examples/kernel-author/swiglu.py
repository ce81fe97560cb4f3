"""SwiGLU on one thread, forward and backward, as Numba kernels: y = value · gate · σ(gate)."""

import numba
import numpy as np
import torch

import gatebench


@numba.njit(fastmath=True)
def kernel(value, gate, output):
    for i in range(value.size):
        output[i] = value[i] * gate[i] / (1.0 + np.exp(-gate[i]))


@numba.njit(fastmath=True)
def backward_kernel(upstream, value, gate, d_value, d_gate):
    for i in range(value.size):
        s = 1.0 / (1.0 + np.exp(-gate[i]))
        d_value[i] = upstream[i] * gate[i] * s
        d_gate[i] = upstream[i] * value[i] * s * (1.0 + gate[i] * (1.0 - s))


def flat(tensor):
    return tensor.detach().contiguous().view(-1).numpy()


class SwiGLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, value, gate):
        ctx.save_for_backward(value, gate)
        output = torch.empty(value.shape, dtype=value.dtype)
        kernel(flat(value), flat(gate), output.view(-1).numpy())
        return output

    @staticmethod
    def backward(ctx, upstream):
        value, gate = ctx.saved_tensors
        found = torch.empty(value.shape, dtype=value.dtype), torch.empty(value.shape, dtype=value.dtype)
        backward_kernel(flat(upstream), flat(value), flat(gate), *(tensor.view(-1).numpy() for tensor in found))
        return found


@gatebench.implementation("mylab:swiglu", gates=["swiglu"], devices=["cpu"], dtypes=["float32"])
def swiglu(params, inputs):
    return {"output": SwiGLU.apply(inputs["value"], inputs["gate"])}

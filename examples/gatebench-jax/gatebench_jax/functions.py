"""The gates in JAX, with the signature of their references: (params, inputs) -> {"output": ..., final states}."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import Array

Arrays = Mapping[str, Array]
Function = Callable[[Arrays, Arrays], dict[str, Array]]


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Compute x Wᵀ + b: x (..., I), W (H, I), b (H,) -> (..., H).

    The product names W's axes in place of transposing it: vjp then keeps W itself and no transposed copy. bfloat16 is
    rounded after the bias is added: b's gradient, a sum over all rows, is then taken in float32.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    product = jnp.einsum("...i,hi->...h", x, weight, preferred_element_type=wide)
    return (product if bias is None else product + bias.astype(wide)).astype(x.dtype)


def lstm(params: Arrays, inputs: Arrays) -> dict[str, Array]:
    """Run an LSTM over x (T, B, I): W x for all steps in one product, then one scan. Blocks i, f, g, o."""
    projected = linear(inputs["x"], params["weight_ih"], params["bias_ih"])

    def step(state: tuple[Array, Array], projected_t: Array) -> tuple[tuple[Array, Array], Array]:
        h, c = state
        i, f, g, o = jnp.split(projected_t + linear(h, params["weight_hh"], params["bias_hh"]), 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    (h, c), output = jax.lax.scan(step, (inputs["h0"], inputs["c0"]), projected)
    return {"output": output, "h": h, "c": c}


def gru(params: Arrays, inputs: Arrays) -> dict[str, Array]:
    """Run a GRU over x (T, B, I), reset after the product, z keeps the old state. Blocks r, z, n."""
    projected = linear(inputs["x"], params["weight_ih"], params["bias_ih"])

    def step(h: Array, projected_t: Array) -> tuple[Array, Array]:
        u_r, u_z, u_n = jnp.split(projected_t, 3, axis=-1)
        v_r, v_z, v_n = jnp.split(linear(h, params["weight_hh"], params["bias_hh"]), 3, axis=-1)
        r, z = jax.nn.sigmoid(u_r + v_r), jax.nn.sigmoid(u_z + v_z)
        n = jnp.tanh(u_n + r * v_n)
        h = (1 - z) * n + z * h
        return h, h

    h, output = jax.lax.scan(step, inputs["h0"], projected)
    return {"output": output, "h": h}


def swiglu_ffn(params: Arrays, inputs: Arrays, beta: float) -> dict[str, Array]:
    """Compute (Swish_β(x Wᵀ + b) ⊙ (x Vᵀ + c)) W2ᵀ: x (B, T, I) -> (B, T, I); b and c where they are given."""
    gate = linear(inputs["x"], params["W"], params.get("b"))
    value = linear(inputs["x"], params["V"], params.get("c"))
    return {"output": linear(gate * jax.nn.sigmoid(beta * gate) * value, params["W2"])}

"""Gradients through a stack of layers: depth takes the place of time."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from gatebench.gates.base import Gate
from gatebench.shape import ONES
from gatebench.stability.checks import StabilityError, check_dtype, check_given, check_numbers
from gatebench.stability.given import check_gate, check_shapes, check_tensors
from gatebench.stability.gradients import Gradients, rescaled

Layer = Mapping[str, Tensor]


def depth_profile(gate: Gate, layers: Sequence[Layer], inputs: Mapping[str, Tensor]) -> Tensor:
    """Compute ||dL/d(input of layer l)||, l = 0..L -> (L+1, B) float64; row L is the output's, L = Σ output.

    The stack is plain: x_{l+1} = gate(layers[l], x_l), without residual paths or normalisation; other inputs (initial
    states) are the same in every layer. The norm runs over all axes but the batch. dtype: that of x and all
    weights, alike; in float64 powers of two keep products from over- and underflowing, below it the chain is plain.
    Raises StabilityError for a gate that is not stackable, no layers, names that are missing, shapes that the gate does not
    declare, NaN in weights or inputs, dtypes that differ or are no floats, and where the output's shape is not x's.
    """
    return depth_gradients(gate, layers, inputs).norms(slice(None))


def depth_gradients(gate: Gate, layers: Sequence[Layer], inputs: Mapping[str, Tensor]) -> Gradients:
    """Compute dL/d(input of layer l) as Gradients with values (L+1, B, ·); see depth_profile."""
    _check(gate, layers, inputs)
    axis = 1 if gate.time_axis("x") == 0 else 0
    xs = _layer_inputs(gate, layers, inputs)
    delta = torch.ones_like(xs[-1])
    exponent = torch.zeros(delta.shape[axis], dtype=torch.int64)
    values, exponents = [_rows(delta, axis)], [exponent]
    for layer, x in zip(reversed(layers), reversed(xs[:-1]), strict=True):
        delta = _pull_back(gate, layer, inputs, x, delta)
        if delta.dtype == torch.float64:
            scaled, exponent = rescaled(delta.movedim(axis, 0), exponent)
            delta = scaled.movedim(0, axis)
        values.append(_rows(delta, axis))
        exponents.append(exponent)
    return Gradients(torch.stack(values[::-1]), torch.stack(exponents[::-1]))


def _rows(delta: Tensor, axis: int) -> Tensor:
    return delta.movedim(axis, 0).flatten(1)


def _layer_inputs(gate: Gate, layers: Sequence[Layer], inputs: Mapping[str, Tensor]) -> list[Tensor]:
    xs = [inputs["x"].detach()]
    with torch.no_grad():
        for layer in layers:
            xs.append(gate.forward(layer, {**inputs, "x": xs[-1]})["output"])
            if xs[-1].shape != xs[0].shape:
                raise StabilityError(
                    "depth_profile",
                    f"gate {gate.name} turns x {tuple(xs[0].shape)} into {tuple(xs[-1].shape)}",
                    "accepted: an output of x's shape",
                    "choose input_size so that layers fit each other",
                )
    return xs


def _pull_back(gate: Gate, layer: Layer, inputs: Mapping[str, Tensor], x: Tensor, delta: Tensor) -> Tensor:
    leaf = x.detach().requires_grad_()
    with torch.enable_grad():
        output = gate.forward(layer, {**inputs, "x": leaf})["output"]
    return torch.autograd.grad(output, leaf, delta)[0]


def _check(gate: Gate, layers: Sequence[Layer], inputs: Mapping[str, Tensor]) -> None:
    check_gate("depth_profile", gate)
    if not gate.stackable:
        raise StabilityError(
            "depth_profile",
            f"gate {gate.name} is not stackable",
            "accepted: gates with one main input and an output of its shape",
        )
    if not layers:
        raise StabilityError("depth_profile", "no layers are given", "accepted: one set of parameters per layer")
    check_tensors("depth_profile", "inputs", inputs)
    check_given("depth_profile", inputs, gate.input_shapes(ONES))
    check_numbers("depth_profile", inputs)
    for number, layer in enumerate(layers):
        where = f"depth_profile: layer {number}"
        check_tensors(where, "params", layer)
        check_shapes(where, gate, layer, inputs)
        check_numbers(where, layer)
    _check_dtypes([inputs["x"], *(value for layer in layers for value in layer.values())])


def _check_dtypes(tensors: Sequence[Tensor]) -> None:
    dtypes = sorted({str(value.dtype) for value in tensors})
    if len(dtypes) > 1:
        raise StabilityError("depth_profile", f"dtypes are {', '.join(dtypes)}", "accepted: one of x and all weights")
    check_dtype("depth_profile", tensors[0].dtype)


def relative_log_norms(found: Gradients) -> Tensor:
    """Compute ln||dL/dx_l|| - ln||dL/dx_L||, l = 0..L -> (L+1, B), nats."""
    logs = found.log_norms(slice(None))
    return torch.where(logs == math.inf, math.inf, logs - logs[-1])

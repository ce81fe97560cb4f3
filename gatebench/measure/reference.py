"""The float64 reference of a problem, and eager's error in the case's dtype: what "correct" is measured against."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gatebench.contract import Failure
from gatebench.gates import Gate
from gatebench.measure.tolerance import FLOAT64_EAGER_SCALE, largest_error

_CACHED = 8  # forward and training references of the four buffers of one problem

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Reference:
    """Named tensors in float64, and eager's largest absolute error for each."""

    tensors: dict[str, Tensor]
    eager_errors: dict[str, float]


def worst_eager(references: Iterable[Reference]) -> dict[str, float]:
    """Return eager's largest absolute error per tensor over several draws of one problem."""
    errors: dict[str, float] = {}
    for reference in references:
        for name, error in reference.eager_errors.items():
            errors[name] = max(errors.get(name, 0.0), error)
    return errors


class ReferenceCache:
    """Keeps the latest references: the modes of one problem follow each other and share theirs."""

    def __init__(self) -> None:
        self._entries: OrderedDict[object, Reference] = OrderedDict()

    def get(self, key: object, make: Callable[[], Reference]) -> Reference:
        """Return the reference for `key`, made where it is not known."""
        if key not in self._entries:
            self._entries[key] = make()
            while len(self._entries) > _CACHED:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return self._entries[key]


def compute(gate: Gate, params: Tensors, inputs: Tensors, cotangents: Tensors) -> Reference:
    """Evaluate gate.forward in float64 and in the inputs' own dtype; gradients too where cotangents are given.

    cotangents {}: outputs only.
    """
    dtype = next(iter(inputs.values())).dtype
    reference = evaluate(gate, params, inputs, cotangents, torch.float64)
    if dtype != torch.float64:
        eager = evaluate(gate, params, inputs, cotangents, dtype)
        return Reference(reference, {name: largest_error(eager[name], value) for name, value in reference.items()})
    params, inputs, cotangents = (
        {name: _cast(value, torch.float32) for name, value in part.items()} for part in (params, inputs, cotangents)
    )
    exact = evaluate(gate, params, inputs, cotangents, torch.float64)
    eager = evaluate(gate, params, inputs, cotangents, torch.float32)
    errors = {name: FLOAT64_EAGER_SCALE * largest_error(eager[name], value) for name, value in exact.items()}
    return Reference(reference, errors)


def evaluate(
    gate: Gate, params: Tensors, inputs: Tensors, cotangents: Tensors, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Return outputs, gradients and their parts by name, from gate.forward in `dtype`."""
    params, inputs = ({name: _cast(value, dtype) for name, value in part.items()} for part in (params, inputs))
    leaves = {name: value for name, value in {**inputs, **params}.items() if value.is_floating_point()}
    for leaf in leaves.values():
        leaf.requires_grad_(bool(cotangents))
    with torch.set_grad_enabled(bool(cotangents)):
        outputs = gate.forward(params, inputs)
    gradients: dict[str, Tensor] = {}
    for name, cotangent in cotangents.items():  # they have the shapes that the implementation returned
        if cotangent.shape != outputs[name].shape:
            expected = tuple(outputs[name].shape)
            raise Failure("wrong", f"{name} has shape {tuple(cotangent.shape)}, expected {expected}")
    if cotangents:
        upstream = [cotangents[name].to(dtype) for name in outputs]
        found = torch.autograd.grad(
            list(outputs.values()), list(leaves.values()), upstream, allow_unused=True, materialize_grads=True
        )
        gradients = dict(zip(leaves, found, strict=True))
    return named_tensors(gate, {name: value.detach() for name, value in outputs.items()}, gradients)


def _cast(value: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a copy in `dtype`; integers are no values to round."""
    return value.detach().to(dtype if value.is_floating_point() else value.dtype, copy=True)


def named_tensors(gate: Gate, outputs: Tensors, gradients: Tensors) -> dict[str, Tensor]:
    """Name what is compared: output, output@first, output@last, h, grad:x, grad:x@first, grad:weight_hh/f, ...

    Tensors with a time axis also have their first and last step; parameters have one entry per gate block.
    """
    named: dict[str, Tensor] = {}
    for name, value in outputs.items():
        named |= _with_ends(gate, name, name, value)
    for name, value in gradients.items():
        letters = gate.blocks(name) if name not in gate_inputs(gate, gradients) else ()
        if letters and value.shape[0] % len(letters) == 0:
            named |= {
                f"grad:{name}/{letter}": block
                for letter, block in zip(letters, value.chunk(len(letters), dim=0), strict=True)
            }
        else:
            named |= _with_ends(gate, name, f"grad:{name}", value)
    return named


def gate_inputs(gate: Gate, gradients: Tensors) -> set[str]:
    """Return the names among `gradients` that are inputs: those with a time axis and the initial states."""
    return {name for name in gradients if gate.time_axis(name) is not None or name.endswith("0")}


def _with_ends(gate: Gate, name: str, label: str, value: Tensor) -> dict[str, Tensor]:
    axis = gate.time_axis(name)
    if axis is None or value.dim() <= axis:
        return {label: value}
    return {label: value, f"{label}@first": value.select(axis, 0), f"{label}@last": value.select(axis, -1)}

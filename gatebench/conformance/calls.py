"""What several checks do with a bound implementation: everything it can be asked, and timing a call."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from gatebench.conformance.trial import Bound, Trial
from gatebench.measure.subject import Tensors
from gatebench.shape import Shape

_perf_counter = time.perf_counter  # as it was when the kit was imported: a plugin may patch it


def everything(trial: Trial, bound: Bound, inputs: Tensors) -> dict[str, torch.Tensor]:
    """Call and differentiate; returns outputs and gradients by name."""
    outputs = bound(inputs)
    found = {name: outputs[name].detach().clone() for name in trial.output_names(bound.case)}
    if trial.differentiates:
        gradients = bound.gradients(outputs, inputs, trial.cotangents(bound.case, outputs))
        found |= {f"gradient of {name}": value for name, value in gradients.items()}
    return found


def timed_shape(trial: Trial) -> Shape:
    """Return a shape at which a call takes long enough to be told from a look-up."""
    width = max(64, trial.shape.hidden_size if trial.shape.input_size == trial.shape.hidden_size else 64)
    return as_a_sequence(trial, replace(trial.shape, batch=8, seq_len=64, input_size=width, hidden_size=width))


def as_a_sequence(trial: Trial, shape: Shape) -> Shape:
    """Return the shape with seq_len such that an image has no more positions than a sequence of seq_len steps."""
    sizes = trial.gate.input_shapes(shape).values()
    values = max((math.prod(size[1:]) for size in sizes if len(size) > 3), default=0)
    positions = values // max(shape.input_size, shape.hidden_size)
    return shape if positions <= 2 * shape.seq_len else replace(shape, seq_len=math.isqrt(shape.seq_len))


def seconds(call: Callable[[], Any]) -> float:
    """Return how long a call takes, by the true clock."""
    started = _perf_counter()
    call()
    return _perf_counter() - started

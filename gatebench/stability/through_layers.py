"""Rows of a gate that is stacked in layers: gradients by depth, low precision against float64, saturation, class."""

from collections.abc import Iterator

import torch

from gatebench.stability.activations import saturation
from gatebench.stability.classification import classify
from gatebench.stability.depth import depth_gradients, relative_log_norms
from gatebench.stability.gradients import Gradients
from gatebench.stability.low_precision import difference
from gatebench.stability.problem import Problem, Tensors
from gatebench.stability.profile import profile_of
from gatebench.stability.rows import Row, class_rows, count_nonfinite, deciles, mean, row, saturation_rows


def layer_rows(problem: Problem) -> Iterator[Row]:
    """Yield the rows of a stack of layers, each with weights of its own."""
    layers, inputs = [problem.draw_layer(layer) for layer in range(problem.layers)], problem.draw_inputs()
    rounded, rounded_inputs = [problem.rounded(layer) for layer in layers], problem.rounded(inputs)
    found = depth_gradients(problem.gate, rounded, rounded_inputs)
    logs = relative_log_norms(found)
    reference = None
    if "depth" in problem.metrics:
        yield from _norm_rows(logs)
    if problem.dtype != torch.float64:
        exact = depth_gradients(problem.gate, [_double(layer) for layer in rounded], _double(rounded_inputs))
        reference = profile_of(relative_log_norms(exact).flip(0))
        if "precision" in problem.metrics:
            yield from _error_rows(found, exact)
    if "saturation" in problem.metrics:
        yield from saturation_rows(saturation(problem.gate, rounded[0], rounded_inputs))
    yield row("nonfinite_count", count_nonfinite(found.values))
    yield from class_rows(classify(profile_of(logs.flip(0)), problem.dtype, reference=reference))


def _norm_rows(logs: torch.Tensor) -> Iterator[Row]:
    for layer, log_norm in enumerate(logs):
        yield row("log_depth_gradient_norm", mean(log_norm), index=layer)
        for metric, quantile in deciles("log_depth_gradient_norm", log_norm):
            yield row(metric, quantile, index=layer)


def _error_rows(found: Gradients, exact: Gradients) -> Iterator[Row]:
    errors = difference(found, exact).relative_error.median(1).values
    lost = ((found.values == 0) & (exact.values != 0)).double().mean((1, 2))
    for layer in range(len(errors)):
        yield row("depth_relative_error", float(errors[layer]), index=layer)
        yield row("depth_underflow_share", float(lost[layer]), index=layer)


def _double(tensors: Tensors) -> Tensors:
    return {name: value.double() for name, value in tensors.items()}

"""What the worker calls: a request of plain data in, rows of `stability.parquet` out."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from gatebench.contract import Unsupported
from gatebench.forms import METRICS
from gatebench.shape import ONES
from gatebench.stability.activations import saturation
from gatebench.stability.checks import StabilityError
from gatebench.stability.problem import Problem
from gatebench.stability.rows import Row, saturation_rows, unsupported
from gatebench.stability.through_layers import layer_rows
from gatebench.stability.through_time import ThroughTime
from gatebench.stability.through_training import training_rows

# Hidden size up to which one thread is as fast as two; two that wait for each other on shared cores took 10 times longer.
ONE_THREAD_SIZE = 256
# Groups of metrics that a gate without time can have; one with time has all but depth.
OF_STACKS = ("depth", "precision", "saturation")
OF_OTHERS = ("saturation",)


def measure(request: Mapping[str, Any]) -> list[Row]:
    """Measure one gate's gradient stability -> rows of stability.parquet (without run_id), long form.

    request: gate, gate_options, init, inputs, dtype, seq_len, input_size, hidden_size, batch, seed; metrics (groups of
    gatebench.forms.METRICS), probes (how many Gaussian cotangents beside the ones); for gates without time layers (default
    8); to train first, task, after_steps, clip, learning_rate; for weights and inputs of one's own weights, inputs_file
    (gatebench.stability.own_network).
    Gates with time: profile by lag, bounds, exponents, spectra, saturation, class; below float64 also the errors against
    float64; with a task all of them before, during and after training. Stackable gates without time: gradients through a
    stack of layers, each with its own seed. Other gates: saturation. What does not apply is a row with status
    "unsupported" and a reason: a gate of which nothing can be measured that is asked for, too. Small problems are computed on one thread. Names and units: gatebench.stability.metrics.
    Raises UserError for unknown names, ValueError for bad sizes.
    """
    problem = Problem.of(request)
    threads = torch.get_num_threads()
    try:
        if problem.shape.hidden_size <= ONE_THREAD_SIZE:
            torch.set_num_threads(1)
        rows = list(_rows(problem))
    except Unsupported as error:
        rows = [unsupported(str(error))]
    finally:
        torch.set_num_threads(threads)
    return [row | _common(request) for row in rows]


def _rows(problem: Problem) -> Iterator[Row]:
    _check_metrics(problem)
    if problem.lesson:
        yield from _or_unsupported(training_rows(problem, problem.draw_layer()))
    elif problem.gate.state(ONES):
        yield from ThroughTime(problem, problem.draw_layer(), problem.draw_inputs()).rows()
    elif problem.gate.stackable:
        yield from _or_unsupported(layer_rows(problem))
    else:
        params, inputs = problem.rounded(problem.draw_layer()), problem.rounded(problem.draw_inputs())
        yield from saturation_rows(saturation(problem.gate, params, inputs))
        if set(problem.metrics) - set(OF_OTHERS):
            yield unsupported(
                f"{problem.gate.name} has no time and is not stackable, so it has no gradient profile, only saturation"
            )


def _check_metrics(problem: Problem) -> None:
    """Raise Unsupported where the gate has none of the metrics that are asked for; with some of them, those are measured."""
    gate = problem.gate
    if gate.state(ONES):
        kind, known = "has time", tuple(name for name in METRICS if name != "depth")
    else:
        kind, known = "has no time", OF_STACKS if gate.stackable else OF_OTHERS
    if problem.metrics and not set(problem.metrics) & set(known):
        raise Unsupported(f"{gate.name} {kind}, so it has no {' and no '.join(problem.metrics)}; accepted: {', '.join(known)}")  # fmt: skip


def _or_unsupported(rows: Iterator[Row]) -> Iterator[Row]:
    """Let a combination that makes no sense (layers that do not fit, too few steps for a task) be a row, not a failure."""
    try:
        yield from rows
    except StabilityError as error:
        raise Unsupported(str(error)) from error


def _common(request: Mapping[str, Any]) -> Row:
    same = ("gate", "init", "inputs", "dtype", "seq_len", "input_size", "hidden_size", "batch", "seed")
    options = json.dumps(dict(request.get("gate_options", {})), sort_keys=True)
    return {name: request[name] for name in same} | {"options": options, "task": request.get("task")}

"""What the worker calls: a request of plain data in, rows of `stability.parquet` out."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gatebench import gates
from gatebench.contract import Unsupported
from gatebench.shape import ONES, Shape
from gatebench.stability.activations import LetterSaturation, saturation, saturation_of
from gatebench.stability.bounds import STEEPEST, norm_bound
from gatebench.stability.checks import check_dtype
from gatebench.stability.classification import classify, most_severe
from gatebench.stability.depth import depth_gradients, relative_log_norms
from gatebench.stability.gradients import Gradients, gradients, profile_of_gradients
from gatebench.stability.low_precision import compare_gradients, difference
from gatebench.stability.lyapunov import lyapunov_spectrum
from gatebench.stability.metrics import METRICS
from gatebench.stability.own_network import inputs_of, own_parameters
from gatebench.stability.profile import Profile, profile_of
from gatebench.stability.trajectory import Trajectory, unroll

DEFAULT_LAYERS = 8
LAYER_SEED_STRIDE = 1_000_003  # a layer's seed is seed + stride · layer: no layer repeats another seed's
DENSE_LAGS = 33  # lags 0..32 are all stored; figures show the first steps
SPREAD_LAGS = 64  # stored lags beyond them, evenly spaced in the logarithm, T among them
# Hidden size up to which one thread is as fast as two; two that wait for each other on shared cores took 10 times longer.
ONE_THREAD_SIZE = 256

Row = dict[str, Any]
Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Problem:
    """One request, with its names looked up."""

    gate: gates.Gate
    shape: Shape
    dtype: torch.dtype
    seed: int
    init: str
    inputs: str
    layers: int
    own: Mapping[str, Any]  # files of one's own in place of init and inputs: weights, inputs_file

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "Problem":
        """Look up a request's names; raises UserError for what does not exist."""
        sizes = {name: request[name] for name in ("batch", "seq_len", "input_size", "hidden_size")}
        gate = gates.get(request["gate"], **request.get("gate_options", {}))
        dtype = check_dtype("stability", request["dtype"])
        layers = request.get("layers", DEFAULT_LAYERS)
        own = {name: request[name] for name in ("weights", "inputs_file") if name in request}
        return cls(gate, Shape(**sizes), dtype, request["seed"], request["init"], request["inputs"], layers, own)

    def draw_layer(self, layer: int = 0) -> Tensors:
        """Draw one layer's parameters, or read one's own; float64."""
        if "weights" in self.own:
            return own_parameters(self.gate, self.own["weights"], self.shape)
        return self.gate.draw(self.shape, self.seed + LAYER_SEED_STRIDE * layer, init=self.init)

    def draw_inputs(self) -> Tensors:
        """Draw the inputs, or read one's own; float64."""
        return inputs_of(self.gate, self.shape, self.seed, self.inputs, self.own)

    def rounded(self, tensors: Tensors) -> Tensors:
        """Round to the problem's dtype."""
        return {name: value.to(self.dtype) for name, value in tensors.items()}


def measure(request: Mapping[str, Any]) -> list[Row]:
    """Measure one gate's gradient stability -> rows of stability.parquet (without run_id), long form.

    request: gate, gate_options, init, inputs, dtype, seq_len, input_size, hidden_size, batch, seed; for gates without time
    layers (default 8); for weights and inputs of one's own weights, inputs_file (gatebench.stability.own_network).
    Gates with time: profile by lag, bounds, largest exponent, saturation, class; below float64 also the errors against
    float64. Stackable gates without time: gradients through a stack of layers, each with its own seed. Other gates:
    saturation. What does not apply is a row with status "unsupported" and a reason. Small problems are computed on one
    thread. Names and units: gatebench.stability.metrics. Raises UserError for unknown names, ValueError for bad sizes.
    """
    problem = Problem.of(request)
    threads = torch.get_num_threads()
    try:
        if problem.shape.hidden_size <= ONE_THREAD_SIZE:
            torch.set_num_threads(1)
        rows = list(_rows(problem))
    except Unsupported as error:
        rows = [_unsupported(str(error))]
    finally:
        torch.set_num_threads(threads)
    return [_common(request) | row for row in rows]


def _rows(problem: Problem) -> Iterator[Row]:
    if problem.gate.state(ONES):
        yield from _through_time(problem)
    elif problem.gate.stackable:
        yield from _through_layers(problem)
    else:
        params, inputs = problem.rounded(problem.draw_layer()), problem.rounded(problem.draw_inputs())
        yield from _saturation_rows(saturation(problem.gate, params, inputs))
        yield _unsupported(f"{problem.gate.name} has no time and is not stackable, so it has no gradient profile")


def _common(request: Mapping[str, Any]) -> Row:
    same = ("gate", "init", "inputs", "dtype", "seq_len", "input_size", "hidden_size", "batch", "seed")
    options = json.dumps(dict(request.get("gate_options", {})), sort_keys=True)
    values = {name: request[name] for name in same} | {"options": options}
    return values | {"probe": "ones", "task": None, "train_step": None}


def _row(metric: str, value: float | None = None, **columns: Any) -> Row:
    known = value is not None and not math.isnan(value)
    row: Row = dict.fromkeys(("lag", "index", "standard_error", "label", "reason"))
    row |= {"part": "", "metric": metric, "value": value if known else None}
    return row | {"unit": METRICS[metric].unit, "status": "ok"} | columns


def _unsupported(reason: str) -> Row:
    return _row("class", status="unsupported", reason=reason)  # without a class there is nothing to say of gradients


# --- through time


def _through_time(problem: Problem) -> Iterator[Row]:
    params, inputs = problem.draw_layer(), problem.draw_inputs()
    rounded, rounded_inputs = problem.rounded(params), problem.rounded(inputs)
    trajectory = unroll(problem.gate, rounded, rounded_inputs, problem.dtype)
    found = gradients(trajectory)
    profile = profile_of_gradients(found, trajectory)
    yield from _profile_rows(profile)
    yield from _part_rows(found, trajectory)
    exact, exact_found, exact_profile = trajectory, found, None
    if problem.dtype != torch.float64:
        exact = unroll(problem.gate, rounded, rounded_inputs)
        exact_found = gradients(exact)
        exact_profile = profile_of_gradients(exact_found, exact)
        yield from _reference_rows(exact_profile)
        original = gradients(unroll(problem.gate, params, inputs))
        yield from _precision_rows(found, exact_found, original, problem.dtype)
    yield from _bound_rows(exact, exact_profile or profile)
    lyapunov = lyapunov_spectrum(exact, k=1, burn_in=exact.steps // 4)
    yield _row("largest_lyapunov", float(lyapunov.values[0]), standard_error=_finite(lyapunov.standard_error[0]))
    yield from _saturation_rows(saturation_of(trajectory))
    yield _row("nonfinite_count", _count_nonfinite(trajectory.states, found.values))
    yield from _class_rows(classify(profile, problem.dtype, reference=exact_profile, lyapunov=lyapunov))


def _profile_rows(profile: Profile) -> Iterator[Row]:
    for lag in stored_lags(len(profile.log_norm) - 1):
        logs = profile.log_norm[lag]
        yield _row("log_gradient_norm", _mean(logs), lag=lag)
        for metric, quantile in _deciles("log_gradient_norm", logs):
            yield _row(metric, quantile, lag=lag)
    for metric in ("slope", "r_squared", "half_life", "horizon", "reach"):
        yield from _per_row(metric, getattr(profile, metric))


def _reference_rows(profile: Profile) -> Iterator[Row]:
    """Yield the profile in float64 at the dtype's rounded weights: what the low precision should have found."""
    for lag in stored_lags(len(profile.log_norm) - 1):
        yield _row("reference_log_gradient_norm", _mean(profile.log_norm[lag]), lag=lag)
    for metric in ("slope", "half_life", "reach"):
        yield from _per_row(f"reference_{metric}", getattr(profile, metric))


def _part_rows(found: Gradients, trajectory: Trajectory) -> Iterator[Row]:
    """Yield log_gradient_norm for each part of the state; one part alone is the whole state already."""
    for part in trajectory.parts if len(trajectory.parts) > 1 else ():
        log_norm = profile_of_gradients(found, trajectory, part).log_norm
        for lag in stored_lags(trajectory.steps):
            yield _row("log_gradient_norm", _mean(log_norm[lag]), lag=lag, part=part)


def _bound_rows(exact: Trajectory, profile: Profile) -> Iterator[Row]:
    forms = [("log_norm_bound", "bound_gap", "jacobian")]
    if exact.gate is not None and exact.gate.name in STEEPEST:
        forms.append(("log_weight_bound", "weight_bound_gap", "weights"))
    for metric, gap, form in forms:
        bound = norm_bound(exact, form)
        for lag in stored_lags(exact.steps):
            yield _row(metric, _mean(bound[lag]), lag=lag)
        yield _row(gap, _mean(bound[-1] - profile.log_norm[-1]), lag=exact.steps)


def _precision_rows(low: Gradients, exact: Gradients, original: Gradients, dtype: torch.dtype) -> Iterator[Row]:
    error = compare_gradients(low, exact, original, dtype)
    by_lag = {
        "relative_error": error.arithmetic.relative_error.median(1).values,
        "cosine": error.arithmetic.cosine.median(1).values,
        "quantisation_error": error.quantisation.relative_error.median(1).values,
        "underflow_share": error.underflow_share.mean(1),
        "nonfinite_share": error.nonfinite_share.mean(1),
    }
    for metric, values in by_lag.items():
        for lag in stored_lags(len(values) - 1):
            yield _row(metric, float(values[lag]), lag=lag)
    for index, lag in enumerate(error.first_bad_lag.tolist()):
        yield _row("first_bad_lag", None if lag < 0 else float(lag), index=index)


# --- through layers


def _through_layers(problem: Problem) -> Iterator[Row]:
    layers, inputs = [problem.draw_layer(layer) for layer in range(problem.layers)], problem.draw_inputs()
    rounded, rounded_inputs = [problem.rounded(layer) for layer in layers], problem.rounded(inputs)
    found = depth_gradients(problem.gate, rounded, rounded_inputs)
    logs = relative_log_norms(found)
    for layer, log_norm in enumerate(logs):
        yield _row("log_depth_gradient_norm", _mean(log_norm), index=layer)
        for metric, quantile in _deciles("log_depth_gradient_norm", log_norm):
            yield _row(metric, quantile, index=layer)
    reference = None
    if problem.dtype != torch.float64:
        exact = depth_gradients(problem.gate, [_double(layer) for layer in rounded], _double(rounded_inputs))
        reference = profile_of(relative_log_norms(exact).flip(0))
        yield from _depth_error_rows(found, exact)
    yield from _saturation_rows(saturation(problem.gate, rounded[0], rounded_inputs))
    yield _row("nonfinite_count", _count_nonfinite(found.values))
    yield from _class_rows(classify(profile_of(logs.flip(0)), problem.dtype, reference=reference))


def _depth_error_rows(found: Gradients, exact: Gradients) -> Iterator[Row]:
    errors = difference(found, exact).relative_error.median(1).values
    lost = ((found.values == 0) & (exact.values != 0)).double().mean((1, 2))
    for layer in range(len(errors)):
        yield _row("depth_relative_error", float(errors[layer]), index=layer)
        yield _row("depth_underflow_share", float(lost[layer]), index=layer)


def _double(tensors: Tensors) -> Tensors:
    return {name: value.double() for name, value in tensors.items()}


# --- rows that both share


def _saturation_rows(letters: Mapping[str, LetterSaturation]) -> Iterator[Row]:
    columns = {
        "saturation_low": "low",
        "saturation_high": "high",
        "saturation_mean": "mean",
        "saturation_tanh": "tanh",
        "negative_lobe": "negative_lobe",
    }
    for letter, found in letters.items():
        for metric, attribute in columns.items():
            value = getattr(found, attribute)
            if value is not None:
                yield _row(metric, value, part=letter)


def _class_rows(classes: list[str]) -> Iterator[Row]:
    for index, label in enumerate(classes):
        yield _row("class", index=index, label=label)
    yield _row("class", label=most_severe(classes))


def _per_row(metric: str, values: Tensor) -> Iterator[Row]:
    """Yield one row per batch row, and their median (of the rows that have a value; the lower one of two) without index."""
    for index, value in enumerate(values.tolist()):
        yield _row(metric, value, index=index)
    yield _row(metric, float(values.nanmedian()))


def stored_lags(steps: int) -> list[int]:
    """Return the lags that are stored, of 0..steps: all up to 32, then 64 evenly spaced in the logarithm, and the last."""
    dense = range(min(DENSE_LAGS, steps + 1))
    if steps < DENSE_LAGS:
        return list(dense)
    ratio = steps / DENSE_LAGS
    spread = {round(DENSE_LAGS * ratio ** (i / (SPREAD_LAGS - 1))) for i in range(SPREAD_LAGS)}
    return sorted({*dense, *spread})


def _mean(logs: Tensor) -> float:
    """Average logs over the batch: inf where a row is not finite, else -inf where a row is exactly 0."""
    return math.inf if bool((logs == math.inf).any()) else float(logs.mean())


def _deciles(metric: str, logs: Tensor) -> Iterator[tuple[str, float]]:
    """Yield the outer deciles, as observed values: nothing is interpolated between -inf and a number."""
    yield f"{metric}_p10", float(logs.quantile(0.1, interpolation="lower"))
    yield f"{metric}_p90", float(logs.quantile(0.9, interpolation="higher"))


def _count_nonfinite(*tensors: Tensor) -> float:
    return float(sum(int((~torch.isfinite(tensor)).sum()) for tensor in tensors))


def _finite(value: Tensor) -> float | None:
    return float(value) if math.isfinite(value) else None

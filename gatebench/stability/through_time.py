"""Rows of a gate with time: gradients by lag, their bounds, exponents, spectra, saturation, low precision, class."""

import functools
from collections.abc import Callable, Iterator

import torch

from gatebench.stability.activations import saturation_of
from gatebench.stability.bounds import has_weight_bound, norm_bound
from gatebench.stability.checks import ALL_EXPONENTS_LIMIT, StabilityError
from gatebench.stability.classification import classify
from gatebench.stability.gradients import Gradients, gradients, profile_of_gradients
from gatebench.stability.low_precision import compare_gradients
from gatebench.stability.lyapunov import LyapunovSpectrum, lyapunov_spectrum
from gatebench.stability.metrics import METRICS
from gatebench.stability.predictions import prediction_rows
from gatebench.stability.problem import Problem, Tensors
from gatebench.stability.profile import Profile
from gatebench.stability.rows import (
    Row,
    class_rows,
    count_nonfinite,
    deciles,
    finite,
    mean,
    per_row,
    row,
    saturation_rows,
    stored_lags,
)
from gatebench.stability.singular import log_abs_det, singular_values
from gatebench.stability.trajectory import Trajectory, unroll


class ThroughTime:
    """What is measured of one trajectory; what several metrics need is computed once, and only if one asks for it."""

    def __init__(self, problem: Problem, params: Tensors, inputs: Tensors) -> None:
        self.problem = problem
        self.params = params
        self.inputs = inputs

    def rows(self) -> Iterator[Row]:
        """Yield the rows of each group of metrics that the problem asks for."""
        groups: dict[str, Callable[[], Iterator[Row]]] = {
            "profile": self._profile_rows,
            "precision": self._precision_rows,
            "bounds": self._bound_rows,
            "lyapunov": self._lyapunov_rows,
            "spectrum": self._spectrum_rows,
            "singular_values": self._singular_value_rows,
            "determinant": self._determinant_rows,
            "theory": lambda: prediction_rows(self.problem),
            "saturation": lambda: saturation_rows(saturation_of(self.trajectory)),
        }
        for group, rows in groups.items():
            if group in self.problem.metrics:
                yield from self._or_refused(group, rows)
        yield from self._always()

    def _or_refused(self, group: str, rows: Callable[[], Iterator[Row]]) -> list[Row]:
        """Return a group's rows, or, where it is refused, one row that says why: the others are measured all the same."""
        try:
            return list(rows())
        except StabilityError as error:
            first = next(metric.name for metric in METRICS.values() if metric.group == group)
            return [row(first, status="unsupported", reason=str(error))]

    # --- what they are taken from

    @functools.cached_property
    def trajectory(self) -> Trajectory:
        """The states in the problem's dtype."""
        return unroll(self.problem.gate, self.params, self.inputs, self.problem.dtype)

    @functools.cached_property
    def found(self) -> Gradients:
        """The gradients of the default probe, ones on h."""
        return gradients(self.trajectory)

    @functools.cached_property
    def profile(self) -> Profile:
        """Their profile."""
        return profile_of_gradients(self.found, self.trajectory)

    @functools.cached_property
    def exact(self) -> Trajectory:
        """The states in float64 at the dtype's rounded weights and inputs."""
        return self.trajectory.again_in_float64() if self.low else self.trajectory

    @functools.cached_property
    def exact_found(self) -> Gradients:
        """The gradients along them."""
        return gradients(self.exact) if self.low else self.found

    @functools.cached_property
    def exact_profile(self) -> Profile:
        """Their profile."""
        return profile_of_gradients(self.exact_found, self.exact)

    @functools.cached_property
    def lyapunov(self) -> LyapunovSpectrum:
        """The largest exponent."""
        return lyapunov_spectrum(self.exact, k=1, burn_in=self.exact.steps // 4)

    @property
    def low(self) -> bool:
        """Whether the dtype is below float64."""
        return self.problem.dtype != torch.float64

    # --- rows

    def _profile_rows(self) -> Iterator[Row]:
        yield from _curve_rows(self.profile)
        for part in self.trajectory.parts if len(self.trajectory.parts) > 1 else ():  # one alone is the whole state
            log_norm = profile_of_gradients(self.found, self.trajectory, part).log_norm
            for lag in stored_lags(self.trajectory.steps):
                yield row("log_gradient_norm", mean(log_norm[lag]), lag=lag, part=part)
        for number in range(self.problem.probes):
            probe = f"gaussian:{number}"
            found = gradients(self.trajectory, self.problem.draw_probe(self.trajectory, number))
            for curve in _curve_rows(profile_of_gradients(found, self.trajectory)):
                yield {**curve, "probe": probe}

    def _precision_rows(self) -> Iterator[Row]:
        if not self.low:
            return
        for lag in stored_lags(self.exact.steps):
            yield row("reference_log_gradient_norm", mean(self.exact_profile.log_norm[lag]), lag=lag)
        for metric in ("slope", "half_life", "reach"):
            yield from per_row(f"reference_{metric}", getattr(self.exact_profile, metric))
        original = gradients(unroll(self.problem.gate, self.params, self.inputs))
        error = compare_gradients(self.found, self.exact_found, original, self.problem.dtype)
        by_lag = {
            "relative_error": error.arithmetic.relative_error.median(1).values,
            "cosine": error.arithmetic.cosine.median(1).values,
            "quantisation_error": error.quantisation.relative_error.median(1).values,
            "underflow_share": error.underflow_share.mean(1),
            "nonfinite_share": error.nonfinite_share.mean(1),
        }
        for metric, values in by_lag.items():
            for lag in stored_lags(len(values) - 1):
                yield row(metric, float(values[lag]), lag=lag)
        for index, lag in enumerate(error.first_bad_lag.tolist()):
            yield row("first_bad_lag", None if lag < 0 else float(lag), index=index)
        yield from per_row("false_plateau", error.false_plateau.double())
        yield from per_row("usable_loss_scale", error.usable_loss_scale)

    def _bound_rows(self) -> Iterator[Row]:
        forms = [("log_norm_bound", "bound_gap", "jacobian")]
        if has_weight_bound(self.exact.gate):
            forms.append(("log_weight_bound", "weight_bound_gap", "weights"))
        for metric, gap, form in forms:
            bound = norm_bound(self.exact, form)
            for lag in stored_lags(self.exact.steps):
                yield row(metric, mean(bound[lag]), lag=lag)
            yield row(gap, mean(bound[-1] - self.exact_profile.log_norm[-1]), lag=self.exact.steps)

    def _lyapunov_rows(self) -> Iterator[Row]:
        value, error = self.lyapunov.values[0], self.lyapunov.standard_error[0]
        yield row("largest_lyapunov", float(value), standard_error=finite(error))

    def _spectrum_rows(self) -> Iterator[Row]:
        self._check_width("spectrum")
        spectrum = lyapunov_spectrum(self.exact, burn_in=self.exact.steps // 4)
        for index, (value, error) in enumerate(zip(spectrum.values, spectrum.standard_error, strict=True)):
            yield row("lyapunov_exponent", float(value), index=index, standard_error=finite(error))
        yield row("kaplan_yorke_dimension", spectrum.kaplan_yorke_dimension)

    def _singular_value_rows(self) -> Iterator[Row]:
        self._check_width("singular_values")
        found = singular_values(self.exact)
        for index, (logs, resolved) in enumerate(zip(found.values.T, found.resolved.T, strict=True)):
            error = finite(logs.std() / len(logs) ** 0.5) if len(logs) > 1 else None
            label = "resolved" if bool(resolved.all()) else "unresolved"
            yield row("log_singular_value", mean(logs), index=index, standard_error=error, label=label)

    def _check_width(self, group: str) -> None:
        """Refuse all of a wide spectrum in words of who asked for the metric, and not for a number of exponents."""
        if self.exact.size > ALL_EXPONENTS_LIMIT:
            what, accepted = f"the state has {self.exact.size} values", f"accepted: up to {ALL_EXPONENTS_LIMIT}"
            raise StabilityError(group, what, accepted, "choose a smaller hidden_size")

    def _determinant_rows(self) -> Iterator[Row]:
        yield from per_row("log_abs_det", log_abs_det(self.exact))

    def _always(self) -> Iterator[Row]:
        """Yield what every case says of itself: what was not finite, and the class."""
        yield row("nonfinite_count", count_nonfinite(self.trajectory.states, self.found.values))
        for index, step in enumerate(self.trajectory.first_bad_step.tolist()):
            yield row("first_bad_step", None if step < 0 else float(step), index=index)
        reference = self.exact_profile if self.low else None
        lyapunov = self.lyapunov if "lyapunov" in self.problem.metrics else None
        yield from class_rows(classify(self.profile, self.problem.dtype, reference=reference, lyapunov=lyapunov))


def _curve_rows(profile: Profile) -> Iterator[Row]:
    for lag in stored_lags(len(profile.log_norm) - 1):
        logs = profile.log_norm[lag]
        yield row("log_gradient_norm", mean(logs), lag=lag)
        for metric, quantile in deciles("log_gradient_norm", logs):
            yield row(metric, quantile, lag=lag)
    for metric in ("slope", "r_squared", "half_life", "horizon", "reach"):
        yield from per_row(metric, getattr(profile, metric))

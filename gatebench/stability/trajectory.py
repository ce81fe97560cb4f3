"""A trajectory: the states that a gate passes through, and the derivative of each step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gatebench.errors import unknown
from gatebench.gates.base import Gate
from gatebench.shape import ONES
from gatebench.stability.checks import StabilityError, check_dtype, check_given, check_numbers
from gatebench.stability.closed_forms import closed_form
from gatebench.stability.derivatives import RecordedStep, Step
from gatebench.stability.given import check_gate, check_shapes, check_tensor, check_tensors
from gatebench.stability.linear_maps import LinearMap, Matrices

CHUNK_VALUES = 2_000_000  # numbers of Jacobians held at once (16 MB in float64), whatever T is
VALUES_A_ROW = 8  # widths of the state that a closed form keeps per row: its diagonals


@dataclass(frozen=True, eq=False)
class Trajectory:
    """States s_0 .. s_T of one sequence of steps s_t = step(params, x_t, s_{t-1}), for a batch of B rows.

    states (T+1, B, S)   parts: name -> slice of the S values, {} for a bare step
    x (T, B, ·), x[t-1] is what step t sees; params, x and states share one dtype
    """

    states: Tensor
    parts: Mapping[str, slice]
    step: Step
    params: Mapping[str, Tensor]
    x: Tensor
    gate: Gate | None = None

    @property
    def steps(self) -> int:
        """T, the number of steps."""
        return self.states.shape[0] - 1

    @property
    def batch(self) -> int:
        """B, the number of rows."""
        return self.states.shape[1]

    @property
    def size(self) -> int:
        """S, the width of the state."""
        return self.states.shape[2]

    @property
    def first_bad_step(self) -> Tensor:
        """The first step whose state is not finite (B,), -1: none."""
        bad = ~torch.isfinite(self.states).all(-1)
        return torch.where(bad.any(0), bad.double().argmax(0), -1)

    def jacobian(self, t: int) -> Tensor:
        """Compute J_t = ds_t/ds_{t-1}, t = 1..T -> (B, S, S), [row, out, in], in the trajectory's dtype."""
        if not 1 <= t <= self.steps:
            raise StabilityError("jacobian", f"t is {t}", f"accepted: 1 to {self.steps}")
        return self.linear_map(self.x[t - 1], self.states[t - 1]).matrix()

    def jacobians(self) -> Iterator[Tensor]:
        """Yield J_1 .. J_T in chunks (n, B, S, S), so that memory does not grow with T."""
        for start, stop in self._chunks(self.size):
            x, states = self.x[start:stop].flatten(0, 1), self.states[start:stop].flatten(0, 1)
            yield self.linear_map(x, states).matrix().reshape(stop - start, self.batch, self.size, self.size)

    def linear_maps(self, reverse: bool = False, matrices: bool = False) -> Iterator[LinearMap]:
        """Yield J_1 .. J_T, each a linear map of B rows; reverse: J_T .. J_1; matrices: each formed, many steps at once."""
        chunks = self._chunks(self.size if matrices else VALUES_A_ROW)
        for start, stop in reversed(chunks) if reverse else chunks:
            x, states = self.x[start:stop].flatten(0, 1), self.states[start:stop].flatten(0, 1)
            together = self.linear_map(x, states)
            together = Matrices(together.matrix()) if matrices else together
            steps = range(stop - start)
            for step in reversed(steps) if reverse else steps:
                yield together.rows(slice(step * self.batch, (step + 1) * self.batch))

    def linear_map(self, x: Tensor, states: Tensor) -> LinearMap:
        """Return the Jacobians at rows x (n, ·), states (n, S): in closed form where one is known, else recorded.

        Below float64 always recorded: what rounding does to a gradient is then what it does to autograd's.
        """
        known = closed_form(self.gate) if self.states.dtype == torch.float64 else None
        if self.gate is None or known is None:
            return RecordedStep(self.step, self.params, x, states)
        return known(self.gate, self.params, x, states)

    def _chunks(self, widths: int) -> list[tuple[int, int]]:
        """Cut the steps so that `widths` times the state's values of each piece fit CHUNK_VALUES."""
        length = max(1, CHUNK_VALUES // max(1, self.batch * self.size * widths))
        return [(start, min(start + length, self.steps)) for start in range(0, self.steps, length)]

    def part(self, name: str | None) -> slice:
        """Return the slice of a part of the state; None is the whole state. Raises StabilityError for other names."""
        if name is None:
            return slice(0, self.size)
        if name not in self.parts:
            raise unknown("trajectory", "part of the state", name, self.parts, StabilityError)
        return self.parts[name]

    def to_float64(self) -> "Trajectory":
        """Return the same states with everything in float64: derivatives are then exact at these states."""
        params = {name: value.double() for name, value in self.params.items()}
        return replace(self, states=self.states.double(), params=params, x=self.x.double())

    def again_in_float64(self) -> "Trajectory":
        """Compute the states anew in float64, from the same rounded parameters, inputs and s_0."""
        exact = self.to_float64()
        return replace(exact, states=_states(self.step, exact.params, exact.x, exact.states[0]))


def unroll(
    gate: Gate | Step,
    params: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    dtype: torch.dtype | str = torch.float64,
) -> Trajectory:
    """Compute the states s_t = step(params, x_t, s_{t-1}), t = 1..T, one by one in `dtype`.

    gate: a gate with time, whose inputs are x (T, B, I) and <part>0 (B, width) for each part of its state; or any
    step(params, x_t, state) -> state, whose inputs are x (T, B, ·) and state0 (B, S). Rows of a batch must not
    influence each other. Parameters and inputs are rounded to `dtype` first. States that overflow are results.
    A step's derivative is autograd's: what it detaches, or computes outside torch, passes no gradient.
    Raises StabilityError for a gate's name, a gate without time, T = 0 or B = 0, names that are missing, shapes that the
    gate does not declare or that do not fit each other, values that are no torch tensors, NaN in weights or inputs, a
    dtype that is no floating type, and a step that fails, that autograd cannot follow, that works in place, or whose
    result is no tensor of the state's shape, whatever the number of rows.
    """
    dtype = check_dtype("unroll", dtype)
    check_gate("unroll", gate, steps=True)
    check_tensors("unroll", "params", params)
    check_tensors("unroll", "inputs", inputs)
    parts = _initial_parts(gate, inputs)
    _check_sizes(inputs["x"], parts)
    if isinstance(gate, Gate):
        check_shapes("unroll", gate, params, inputs)
    x = gate.step_inputs(inputs) if isinstance(gate, Gate) else inputs["x"]
    check_numbers("unroll", {**params, "x": x, **{f"{name}0": value for name, value in parts.items()}})
    rounded = {name: value.detach().to(dtype) for name, value in params.items()}
    state = torch.cat(list(parts.values()), dim=-1).detach().to(dtype)
    step, x = gate.step if isinstance(gate, Gate) else gate, x.detach().to(dtype)
    if not isinstance(gate, Gate):
        _check_step(step, rounded, x, state)
    states = _states(step, rounded, x, state)
    slices, end = {}, 0
    for name, value in parts.items():
        slices[name] = slice(end, end := end + value.shape[-1])
    is_gate = isinstance(gate, Gate)
    return Trajectory(states, slices if is_gate else {}, step, rounded, x, gate if is_gate else None)


def _states(step: Step, params: Mapping[str, Tensor], x: Tensor, state: Tensor) -> Tensor:
    """Compute s_0 .. s_T (T+1, B, S), in the dtype of all three."""
    states = torch.empty(len(x) + 1, *state.shape, dtype=state.dtype, device=state.device)
    states[0] = state
    with torch.no_grad():
        for t, x_t in enumerate(x.unbind(0)):
            after = step(params, x_t, states[t])
            _check_result(after, state)
            states[t + 1] = after
    return states


def _check_result(after: object, state: Tensor) -> None:
    check_tensor("unroll", "what the step returns", after)
    if isinstance(after, Tensor) and after.shape != state.shape:  # it would be repeated to fit
        given, asked = tuple(after.shape), tuple(state.shape)
        raise StabilityError("unroll", f"the step makes a state {given} of one {asked}", "accepted: equal shapes")


def _check_step(step: Step, params: Mapping[str, Tensor], x: Tensor, state: Tensor) -> None:
    """Try one's own step and its derivative on s_0, with rows of one step and of two: raise StabilityError where it fails."""
    for x_t, rows in ((x[0], state), (x[:2].flatten(0, 1), state.repeat(len(x[:2]), 1))):
        before = {**params, "x_t": x_t, "state": rows}
        given = {name: value.clone() for name, value in before.items()}
        try:
            with torch.no_grad():
                after = step({name: given[name] for name in params}, given["x_t"], given["state"])
            _check_result(after, rows)
            _check_untouched(before, given)
            RecordedStep(step, params, x_t, rows).pull(torch.ones_like(rows))
        except torch.OutOfMemoryError:
            raise
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, StabilityError):
                raise
            text = " ".join(str(error).split())
            raise StabilityError(
                "unroll",
                f"the step fails at t = 1, state {tuple(rows.shape)}, x_t {tuple(x_t.shape)}: {type(error).__name__}: {text}",
                "accepted: torch operations, none in place, on any number of rows",
            ) from error


def _check_untouched(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> None:
    for name, value in before.items():
        if not torch.equal(value, after[name]):
            raise StabilityError(
                "unroll",
                f"the step changes {name} in place",
                "accepted: steps that return a new state",
                "clone it first",
            )


def _initial_parts(gate: Gate | Step, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the parts of s_0 in the gate's own order, whatever order `inputs` has."""
    names = list(gate.state(ONES)) if isinstance(gate, Gate) else ["state"]
    if isinstance(gate, Gate) and not names:
        raise StabilityError(
            f"gate {gate.name}",
            "has no time, so it has no trajectory",
            "accepted: gates with a state",
            "use saturation",
        )
    asked = gate.input_shapes(ONES) if isinstance(gate, Gate) else ("x", "state0")
    check_given("unroll", inputs, asked)
    return {name: inputs[f"{name}0"] for name in names}


def _check_sizes(x: Tensor, parts: Mapping[str, Tensor]) -> None:
    if x.ndim < 3 or 0 in x.shape[:2]:
        raise StabilityError(
            "unroll", f"x has shape {tuple(x.shape)}", "accepted: (T, B, I) with T at least 1, B at least 1"
        )
    for name, value in parts.items():
        if value.ndim != 2 or value.shape[0] != x.shape[1]:
            what = f"x has shape {tuple(x.shape)} and {name}0 {tuple(value.shape)}"
            raise StabilityError("unroll", what, f"accepted: equal B, {name}0 (B, width)")

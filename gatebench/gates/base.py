"""What a gate is: a frozen value with equation, parameters, reference forward and cost model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from gatebench.gates.draw import draw_inputs, draw_tensor
from gatebench.gates.init import draw_parameters
from gatebench.options import Option, OptionValue, bind_options
from gatebench.shape import ONES, Shape

Tensors = Mapping[str, Tensor]
Role = Literal["recurrent", "input", "bias", "own"]
DTYPE_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
WIDTH = Option(0, int, (0, 65536), "W of an image whose height H is seq_len; 0 is a square")


@dataclass(frozen=True)
class Cost:
    """Compulsory work of one call.

    flops           model FLOPs: those of the matrix products (1 multiply-add = 2 FLOP); for gates without
                    one, the pointwise FLOPs
    transcendental  calls of exp, tanh, sigmoid, ...
    bytes_min       bytes that must move between memory and core once, whatever the kernel does

    The three describe one way to go: each gate's `cost` says what the forward keeps, and what it does not keep and the
    backward needs is computed again there, and counted in flops and transcendental alike (as Dao 2023, arXiv 2307.08691,
    section 4.1, counts attention: two products forward, five backward).
    """

    flops: int
    transcendental: int
    bytes_min: int

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.flops + other.flops, self.transcendental + other.transcendental, self.bytes_min + other.bytes_min
        )

    @staticmethod
    def of(mode: str, forward: "Cost", backward: "Cost", kept_bytes: int = 0) -> "Cost":
        """Return the cost of a mode; in forward_backward the forward also writes what it keeps for the backward alone."""
        if mode == "forward":
            return forward
        return backward if mode == "backward" else forward + backward + Cost(0, 0, kept_bytes)


@dataclass(frozen=True, init=False)
class Gate:
    """A gating mechanism as mathematics, with its options bound. Frozen and hashable.

    A subclass writes `parameters`, `cost`, and either `state` and `step` (gates with time: `forward` then
    unrolls `step`) or `forward`; the rest has defaults.
    """

    name: ClassVar[str]
    family: ClassVar[str]
    equation: ClassVar[str] = "not given"
    source: ClassVar[str] = "not given"
    options: ClassVar[Mapping[str, Option]] = {}
    stackable: ClassVar[bool] = False  # one main input "x", and at equal widths an "output" of its shape
    plain: ClassVar[bool] = False  # a recurrence without gates: h_t = φ(W x_t + U h_{t-1} + b)
    surrogate_gradient: ClassVar[bool] = False  # its gradient is, on purpose, not the derivative of what it computes
    memory_block: ClassVar[str | None] = None  # letter of the block whose opening keeps the state (f; z for GRU)
    memory_sign: ClassVar[int] = 1  # -1: that block keeps the state where it is shut
    memory_biases: ClassVar[tuple[str, ...]] = ("bias_ih", "bias_hh")  # parameters whose sum is that block's bias
    memory_shares: ClassVar[bool] = (
        True  # False: at bias b another share than σ(b) is kept a step, so chrono means nothing
    )
    nonlinearities: ClassVar[
        Mapping[str, str]
    ] = {}  # letter of `activations` -> sigmoid, tanh, relu, swish, gelu, exp, identity, step

    option_values: tuple[tuple[str, OptionValue], ...]

    def __init__(self, **options: Any) -> None:
        bound = bind_options(f"gate {self.name}", self.options, options)
        object.__setattr__(self, "option_values", tuple(bound.items()))

    def __getitem__(self, option: str) -> Any:
        """Return the bound value of an option."""
        return dict(self.option_values)[option]

    # --- what the gate is made of

    def check_shape(self, shape: Shape) -> None:
        """Raise gatebench.Unsupported where the gate is not defined for a shape; by default it takes every one.

        Asked before anything is drawn, so that a case of such a shape is a row `unsupported` with the reason.
        """

    def parameters(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Return name -> shape of each parameter, in PyTorch's names and order."""
        raise NotImplementedError(f"gate {self.name} does not define parameters")

    def state(self, shape: Shape) -> dict[str, int]:
        """Return the ordered parts of the state and their widths; {} for a gate without time."""
        return {}

    def input_shapes(self, shape: Shape) -> dict[str, tuple[int, ...]]:
        """Return name -> shape of each input; by default x (T, B, I), and <part>0 (B, width) for each state part."""
        initial = {f"{part}0": (shape.batch, width) for part, width in self.state(shape).items()}
        return {"x": (shape.seq_len, shape.batch, shape.input_size), **initial}

    def blocks(self, parameter: str) -> tuple[str, ...]:
        """Return the letters of the equal blocks along a parameter's first axis; () where it has none."""
        return ()

    def role(self, parameter: str) -> Role:
        """Return what a parameter is to an initialisation, by default by its name.

        "recurrent" weighs the state (weight_hh), "input" anything else (other names with weight), "bias" is added (names with
        bias); "own" is whatever keeps the gate's own rule. A weight with one axis keeps that, too.
        """
        if parameter.startswith("weight_hh"):
            return "recurrent"
        if "weight" in parameter:
            return "input"
        return "bias" if "bias" in parameter else "own"

    def grid(self, parameter: str) -> tuple[int, int]:
        """Return how many matrices a weight holds along its rows and its columns; by default one per block of its rows."""
        return len(self.blocks(parameter)) or 1, 1

    @property
    def suffixes(self) -> tuple[str, ...]:
        """What the names of each set of parameters end in: a stack has a set per layer and direction."""
        return ("",)

    def series(self, shape: Shape) -> tuple[tuple[str, ...], ...]:
        """Return the inputs that are signals, in groups that follow each other in time; by default all but initial states."""
        initial = {f"{part}0" for part in self.state(shape)}
        return tuple((name,) for name in self.input_shapes(shape) if name not in initial)

    def time_axis(self, tensor: str) -> int | None:
        """Return the axis of time in an input or output, None where it has none."""
        return {"x": 0, "output": 0}.get(tensor)

    # --- a sequence in steps and pieces (gates with time)

    @property
    def resumable(self) -> bool:
        """Whether a sequence may be cut anywhere: the state carries all that later steps need of earlier ones."""
        return bool(self.state(ONES))

    def step_inputs(self, inputs: Tensors) -> Tensor:
        """Return what `step` sees of a sequence, one entry per step: x (T, B, I), or windows (T, B, k, I)."""
        return inputs["x"]

    def carried(self, inputs: Tensors, outputs: Tensors) -> dict[str, Tensor]:
        """Return what the next piece of a sequence takes beside its x, from this piece's inputs and outputs."""
        return {f"{name}0": value for name, value in outputs.items() if name != "output"}

    def memory_bias(self, opening: Tensor) -> Tensor:
        """Return the bias of the memory block that opens the memory by σ(opening), any shape."""
        return self.memory_sign * opening

    # --- numbers to measure with

    def draw(self, shape: Shape, seed: int, init: str = "torch") -> dict[str, Tensor]:
        """Draw parameters, float64 on the CPU, one generator per tensor keyed by (seed, name).

        init: "torch" (PyTorch's default, `draw_parameter`), "keras", "xavier", "irnn", "orthogonal=<g>", "gaussian=<g>",
        "forget_bias=<b>", "chrono", "chrono=<T_max>": gatebench.gates.init says what each is. Raises UserError for any
        other, and gatebench.Unsupported for a shape that the gate refuses and for an init that says nothing about it.
        """
        self.check_shape(shape)
        return draw_parameters(self, shape, seed, init)

    def draw_parameter(self, shape: Shape, seed: int, name: str) -> Tensor:
        """Draw one parameter by PyTorch's rule for recurrent modules: U(-1/sqrt(H), 1/sqrt(H))."""
        bound = shape.hidden_size**-0.5
        return draw_tensor(self.parameters(shape)[name], seed, name, "uniform") * bound

    def inputs(self, shape: Shape, seed: int, kind: str = "normal") -> dict[str, Tensor]:
        """Draw inputs and initial states, float64 on the CPU, one generator per tensor keyed by (seed, name).

        kind: "normal" N(0, 1), "zero", "white=<s2>", "correlated=<rho>": gatebench.gates.draw.draw_inputs says what each is.
        Raises UserError for any other, and gatebench.Unsupported for a shape that the gate refuses and for correlated inputs
        without an axis of time.
        """
        self.check_shape(shape)
        return draw_inputs(self, shape, seed, kind)

    # --- what the gate computes

    def forward(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Compute the gate; the default unrolls `step` over x (T, B, ·) and returns output (T, B, ·) and final parts."""
        widths = {name[:-1]: value.shape[-1] for name, value in inputs.items() if name != "x"}
        state = torch.cat([inputs[f"{part}0"] for part in widths], dim=-1)
        states = []
        for x_t in inputs["x"].unbind(0):
            state = self.step(params, x_t, state)
            states.append(state)
        parts = dict(zip(widths, torch.stack(states).split(list(widths.values()), dim=-1), strict=True))
        output = parts.get("h", next(iter(parts.values())))
        return {"output": output, **{name: value[-1] for name, value in parts.items()}}

    def step(self, params: Tensors, x_t: Tensor, state: Tensor) -> Tensor:
        """Advance the state by one step: x_t (B, I) or the last k inputs (B, k, I), state (B, S) -> (B, S).

        Gates without time have none: TypeError.
        """
        raise TypeError(f"gate {self.name} has no time and no step")

    def activations(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Return the gates' own values by letter; {} where the gate does not say.

        With time activations(params, x_t (B, I), state (B, S)) -> (B, H) each; without activations(params, inputs).
        """
        return {}

    def slopes(self, params: Tensors, inputs: Tensors) -> dict[str, Tensor]:
        """Return φ'(a) by letter where the value φ(a) does not tell it (swish and gelu are not monotonic), else {}.

        Of gates without time; shapes as `activations`.
        """
        return {}

    def cost(self, shape: Shape, mode: str, dtype: str) -> Cost | None:
        """Return the compulsory work of one call in a mode; None where it is not given."""
        return None

"""`compile`: torch.compile of the gate's own forward; gates with time are compiled in chunks of steps.

Unrolling all T steps into one graph would make compile time grow with T without bound. A chunk of `chunk` steps is
compiled once and called T / chunk times; where chunk does not divide T, the rest is one more, shorter graph.
"""

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, Unsupported, prepared_implementation
from gatebench.gates import Gate
from gatebench.gates.recurrent.base import State
from gatebench.gates.recurrent.layers import Layered, RunPass
from gatebench.options import Option
from gatebench.shape import Shape
from gatebench.torch_private import mode_options

OPTIONS = {
    "chunk": Option(8, int, (1, 4096), "steps per compiled graph of a gate with time"),
    "mode": Option(
        "default",
        str,
        ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"),
        "torch.compile's mode",
    ),
}
Forward = Callable[[Mapping[str, Tensor], Mapping[str, Tensor]], dict[str, Tensor]]


@prepared_implementation("compile", gates=["*"], options=OPTIONS, compiles=True)
def prepare(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Compile gate.forward for the case's shape; nothing is compiled before the first call."""
    options = {name: option.default for name, option in OPTIONS.items()} | dict(case.implementation_options)
    mode, chunk = str(options["mode"]), int(options["chunk"])
    compiled = functools.partial(compiled_method, gate, case.shape, case.dtype, case.device, mode, chunk)
    if not gate.state(case.shape):
        return Prepared(compiled("forward"), params, detail=lambda: {"mode": mode})
    if gate.resumable:
        forward = in_chunks(gate, compiled("forward"), chunk)
    elif isinstance(gate, Layered):
        forward = functools.partial(gate.forward_by, pass_in_chunks(functools.partial(compiled, "run_pass"), chunk))
    else:
        raise Unsupported(f"compiles chunks of steps, and {gate.name} with these options cannot be cut into chunks")
    return Prepared(forward, params, detail=lambda: {"mode": mode, "chunk": chunk})


def in_chunks(gate: Gate, compiled: Forward, chunk: int) -> Forward:
    """Return forward as calls of `compiled` for `chunk` steps each, every one from the state of the one before."""

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        carried = {name: value for name, value in inputs.items() if name != "x"}
        outputs, result = [], {}
        for x in inputs["x"].split(chunk):
            piece = {"x": x, **carried}
            result = compiled(leaves, piece)
            outputs.append(result["output"])
            carried = gate.carried(piece, result)
        return {**result, "output": torch.cat(outputs)}

    return forward


def pass_in_chunks(compiled: Callable[[bool, int], RunPass], chunk: int) -> RunPass:
    """Return one pass of a stack as compiled calls for `chunk` steps each, the last steps first where it is reverse.

    compiled(reverse, width) gives what is compiled for passes of one direction and width of input.
    """

    def run_pass(
        params: Mapping[str, Tensor], x: Tensor, state: State, reverse: bool, inside: Tensor | None
    ) -> tuple[Tensor, State]:
        run_chunk = compiled(reverse, x.shape[-1])
        # A slice of the stack's states has gaps, what a chunk returns has none: without them one graph does both.
        state = tuple(part.contiguous() for part in state)
        starts = range(0, len(x), chunk)
        outputs = []
        for start in reversed(starts) if reverse else starts:
            steps = slice(start, start + chunk)
            output, state = run_chunk(params, x[steps], state, reverse, None if inside is None else inside[steps])
            outputs.append(output)
        return torch.cat(outputs[::-1] if reverse else outputs), state

    return run_pass


@functools.cache
def compiled_method(
    gate: Gate, shape: Shape, dtype: str, device: str, mode: str, chunk: int, method: str, *variant: Any
) -> Any:
    """Return torch.compile of a gate's method, one per shape, dtype, chunk and variant, shared by the modes of a case.

    Dynamo keeps its graphs by code object and gives up after a few of them; a code object of its own per shape and
    variant keeps them from using up each other's.
    """
    bound = getattr(gate, method)

    def call(*arguments: Any) -> Any:
        return bound(*arguments)

    own = types.FunctionType(call.__code__.replace(), call.__globals__, closure=call.__closure__)
    # Inductor (torch 2.13) has a bug on the CPU: a result is written over a buffer that is read later, and gradients of
    # mLSTM, selective scan and QRNN come out wrong. Without such writes they are right, and calls take 1 to 2 % longer.
    settings = {"inplace_buffers": False} if device == "cpu" else {}
    return torch.compile(own, dynamic=False, options={**mode_options(mode), **settings})

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
from gatebench.options import Option

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
    compiled = compiled_forward(gate, case.shape, case.dtype, case.device, str(options["mode"]), int(options["chunk"]))
    if not gate.state(case.shape):
        return Prepared(compiled, params, detail=lambda: {"mode": options["mode"]})
    if not gate.resumable:
        raise Unsupported(f"compiles chunks of steps, and {gate.name} with these options cannot be cut into chunks")
    chunk = int(options["chunk"])

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        # Inductor (torch 2.13, CPU) gives QRNN's output gate a wrong gradient where c0 is strided.
        carried = {name: value.contiguous() for name, value in inputs.items() if name != "x"}
        outputs, result = [], {}
        for x in inputs["x"].split(chunk):
            piece = {"x": x, **carried}
            result = compiled(leaves, piece)
            outputs.append(result["output"])
            carried = gate.carried(piece, result)
        return {**result, "output": torch.cat(outputs)}

    return Prepared(forward, params, detail=lambda: {"mode": options["mode"], "chunk": chunk})


@functools.cache
def compiled_forward(gate: Gate, shape: Any, dtype: str, device: str, mode: str, chunk: int) -> Forward:
    """Return torch.compile of gate.forward, one per shape, dtype and chunk, shared by the modes of a case.

    Dynamo keeps its graphs by code object and gives up after a few of them; a code object of its own per shape keeps
    shapes from using up each other's.
    """

    def call(params: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return gate.forward(params, inputs)

    own = types.FunctionType(call.__code__.replace(), call.__globals__, closure=call.__closure__)
    return torch.compile(own, dynamic=False, mode=None if mode == "default" else mode)

"""Write a plugin that works at once, and its test: what `gatebench new` puts into a folder."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gatebench.errors import UserError

FAMILIES = ("recurrent", "scan", "glu", "highway", "channel", "convolution", "attention")
_WITH_TIME = ("recurrent", "scan")
_NAME = re.compile(r"^[a-z][a-z0-9_]*:[a-z][a-z0-9_]*$")

_IMPLEMENTATION = '''r"""{name}: {gate} made faster. It computes the reference's own formula until you write yours.

{doc}

    {equation}
"""

import gatebench


@gatebench.implementation("{name}", gates=["{gate}"])  # more: devices=[...], dtypes=[...], modes=["forward"]
def {function}(params, inputs, gate):
    """{gate}, shapes for T = 2 steps, B = 1 row, widths I = H = 2:

{shapes}
    Autograd must be able to follow what you return; code outside torch wraps itself in a torch.autograd.Function.
    Refuse what you do not do: raise gatebench.Unsupported("hidden_size must be a multiple of 32").
    """
    # Your formula goes here; this is the reference's.
    return gate.forward(params, inputs)
'''

_GATE_WITH_TIME = '''"""{name}: a gate with time. Write `step`; forward, inputs and initial values have defaults."""

import torch

import gatebench
from gatebench import gates
from gatebench.gates import Cost


@gatebench.gate("{name}", family="{family}", equation=r"h_t = (1 - a) h_{{t-1}} + a \\tanh(W x_t + U h_{{t-1}})", source="not given")
class {cls}(gates.Gate):
    """A leaky recurrent network: a tenth of the state is replaced in each step."""

    def parameters(self, shape):
        I, H = shape.input_size, shape.hidden_size
        return {{"weight_ih": (H, I), "weight_hh": (H, H)}}

    def state(self, shape):
        return {{"h": shape.hidden_size}}

    def step(self, params, x_t, state):
        new = torch.tanh(x_t @ params["weight_ih"].T + state @ params["weight_hh"].T)
        return 0.9 * state + 0.1 * new

    def cost(self, shape, mode, dtype):
        B, T, I, H = shape.batch, shape.seq_len, shape.input_size, shape.hidden_size
        flops = 2 * B * T * H * (I + H) * {{"forward": 1, "backward": 2, "forward_backward": 3}}[mode]
        return Cost(flops, transcendental=B * T * H, bytes_min=gates.DTYPE_BYTES[dtype] * (B * T * (I + H) + H * (I + H)))
'''

_GATE = '''"""{name}: a gate without time. Write `input_shapes`, `parameters` and `forward`."""

import torch

import gatebench
from gatebench import gates
from gatebench.gates import Cost


@gatebench.gate("{name}", family="{family}", equation=r"y = x \\odot \\sigma(x W^\\top)", source="not given")
class {cls}(gates.Gate):
    """Gates its own input: x (B, T, H) -> output (B, T, H)."""

    def input_shapes(self, shape):
        return {{"x": (shape.batch, shape.seq_len, shape.hidden_size)}}

    def time_axis(self, tensor):
        return 1 if tensor in ("x", "output") else None

    def parameters(self, shape):
        return {{"W": (shape.hidden_size, shape.hidden_size)}}

    def forward(self, params, inputs):
        return {{"output": inputs["x"] * torch.sigmoid(inputs["x"] @ params["W"].T)}}

    def cost(self, shape, mode, dtype):
        n, H = shape.batch * shape.seq_len, shape.hidden_size
        flops = 2 * n * H * H * {{"forward": 1, "backward": 2, "forward_backward": 3}}[mode]
        return Cost(flops, transcendental=n * H, bytes_min=gates.DTYPE_BYTES[dtype] * (2 * n * H + H * H))
'''

_TEST_OF_IMPLEMENTATION = '''"""Does {name} keep all the rules? Run with pytest."""

from pathlib import Path

from gatebench.testing import conformance_tests

# expected_failures={{"determinism": "sums by atomics"}} names what is broken on purpose, and why.
test_conformance = conformance_tests(Path(__file__).with_name("{file}"), gates=["{gate}"]{plugins})
'''

_TEST_OF_GATE = '''"""Does {name} keep the rules of a gate? Its own forward is checked against itself in float64. Run with pytest."""

from pathlib import Path

from gatebench.testing import conformance_tests

test_conformance = conformance_tests("eager", gates=["{name}"], plugins=[Path(__file__).with_name("{file}")])
'''


def write_implementation(
    name: str, gate: Mapping[str, Any], into: Path, plugin: Path | None = None
) -> tuple[Path, Path]:
    """Write <name>.py and test_<name>.py for an implementation of `gate` (as a catalogue describes it); returns both.

    plugin: the file that gives the gate, where it is not built in. Raises UserError for a name that is not vendor:name,
    and for files that exist.
    """
    function = _short(name)
    lines = [f"inputs   {_shapes(gate['inputs'])}", f"params   {_shapes(gate['parameters'])}"]
    text = _IMPLEMENTATION.format(
        name=name, gate=gate["name"], function=function, doc=gate["doc"], equation=gate["equation"],
        shapes="".join(f"    {line}\n" for line in lines),
    )  # fmt: skip
    beside = "" if plugin is None else os.path.relpath(plugin.resolve(), into.resolve())
    plugins = f', plugins=[Path(__file__).parent / "{beside}"]' if beside else ""
    test = _TEST_OF_IMPLEMENTATION.format(name=name, gate=gate["name"], file=f"{function}.py", plugins=plugins)
    return _write(into, function, text, test)


def write_gate(name: str, family: str, into: Path) -> tuple[Path, Path]:
    """Write <name>.py and test_<name>.py for a gate of a family; returns both. Raises UserError as above."""
    function = _short(name)
    template = _GATE_WITH_TIME if family in _WITH_TIME else _GATE
    cls = "".join(part.capitalize() for part in function.split("_"))
    text = template.format(name=name, family=family, cls=cls)
    return _write(into, function, text, _TEST_OF_GATE.format(name=name, file=f"{function}.py"))


def _short(name: str) -> str:
    if not _NAME.match(name):
        raise UserError("new", f"{name!r} is no name for a plugin", "vendor:name in small letters is accepted", "e.g. mylab:fused")  # fmt: skip
    return name.partition(":")[2]


def _shapes(shapes: Mapping[str, list[int]]) -> str:
    return ", ".join(f"{name} {tuple(size)}" for name, size in shapes.items()) or "none"


def _write(into: Path, function: str, text: str, test: str) -> tuple[Path, Path]:
    paths = into / f"{function}.py", into / f"test_{function}.py"
    for path in paths:
        if path.exists():
            raise UserError("new", f"{path} exists", "a folder that does not have it yet is accepted", "choose another name, or another folder with --into")  # fmt: skip
    try:
        into.mkdir(parents=True, exist_ok=True)
        for path, content in zip(paths, (text, test), strict=True):
            path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError("new", f"{into}: {error.strerror}", "a folder that can be written", "choose another with --into") from error  # fmt: skip
    return paths

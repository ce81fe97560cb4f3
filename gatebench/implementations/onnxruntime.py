"""`onnxruntime`: an ONNX graph per case, run by ONNX Runtime on the CPU; forward only.

A recurrent gate is one node, ONNX's RNN, LSTM or GRU; a gate of the GLU family or a gated convolution is a handful of them. Weights are inputs of
the graph, read anew at every call. A deployed model has them as initializers, which ONNX Runtime packs for its matrix
products once and never reads again: that is the option weights = "initializers".
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gatebench.cases import Case
from gatebench.contract import Prepared, Unavailable, Unsupported, prepared_implementation
from gatebench.gates import Gate
from gatebench.gates.convolution import GatedConvolution
from gatebench.gates.recurrent.layers import require_single
from gatebench.options import Option

if TYPE_CHECKING:
    import onnx
    import onnxruntime

Sizes = Mapping[str, tuple[int, ...]]

IR_VERSION, OPSET = 10, 22  # of September 2024: what newer releases of onnxruntime read, too
PROVIDER = "CPUExecutionProvider"
TYPES = {"float32": "float", "float64": "double"}  # in the text form of ONNX

OPTIONS = {
    "weights": Option(
        "inputs",
        str,
        ("inputs", "initializers"),
        "read at every call, or packed once by onnxruntime and never read again",
    )
}


class Layout(NamedTuple):
    """A recurrent gate as an ONNX operator: its blocks in ONNX's order, by the gate's letters; -x is x negated, 0 is 0."""

    operator: str
    blocks: str
    attributes: str = ""


# ONNX orders an LSTM's blocks i, o, f, c and a GRU's z, r, h, where z keeps the old state. σ(-a) = 1 - σ(a) turns a
# z that adds into one that keeps, and the f of a coupled LSTM into i: with input_forget, onnxruntime computes i, takes
# f = 1 - i, and ignores what the block f computes.
RECURRENT = {
    "rnn_linear": Layout("RNN", "h", 'activations = ["Affine"], activation_alpha = [1.0], activation_beta = [0.0]'),
    "rnn_tanh": Layout("RNN", "h", 'activations = ["Tanh"]'),
    "rnn_relu": Layout("RNN", "h", 'activations = ["Relu"]'),
    "lstm": Layout("LSTM", "i o f g"),
    "lstm_peephole": Layout("LSTM", "i o f g"),
    "lstm_coupled": Layout("LSTM", "-f o 0 g", "input_forget = 1"),
    "gru": Layout("GRU", "z r n", "linear_before_reset = 1"),
    "gru_reset_before": Layout("GRU", "z r n"),
    "gru_textbook": Layout("GRU", "-z r n"),
}

# hidden (..., H) from value and gate (..., H); `combine` fills in Swish's slope.
POINTWISE = {
    "glu": "act = Sigmoid (gate) hidden = Mul (value, act)",
    "bilinear": "hidden = Mul (value, gate)",
    "reglu": "act = Relu (gate) hidden = Mul (value, act)",
    "swiglu": "{slope} s = Sigmoid ({scaled}) act = Mul (gate, s) hidden = Mul (value, act)",
    "gtu": "act = Sigmoid (gate) u = Tanh (value) hidden = Mul (u, act)",
}
# Of Gelu, onnxruntime has a float32 kernel alone.
GELU = {
    "geglu": "act = Gelu (gate) hidden = Mul (value, act)",
    "geglu_tanh": 'act = Gelu <approximate = "tanh"> (gate) hidden = Mul (value, act)',
}
# The gate that combines the two convolutions.
CONVOLUTIONS = {"gated_conv": "glu", "gated_tanh_conv": "gtu"}


def available(device: str) -> None:
    """Import onnxruntime and onnx, outside any clock; raises Unavailable where they are not installed."""
    try:
        for name in ("onnxruntime", "onnx.parser"):
            importlib.import_module(name)
    except ImportError as error:
        raise Unavailable(f"{error}; in the checkout: pip install '.[onnxruntime]'") from None


SETTINGS: dict[str, Any] = {
    "devices": ["cpu"], "modes": ["forward"], "options": OPTIONS, "available": available, "torch_memory": False,
}  # fmt: skip


@prepared_implementation("onnxruntime", gates=list(RECURRENT), dtypes=["float32"], **SETTINGS)
def prepare_recurrent(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use ONNX's RNN, LSTM or GRU, of which onnxruntime has float32 kernels; in the graph a state is (1, B, H)."""
    require_single(gate, "onnxruntime")
    layout = RECURRENT[gate.name]
    T, B, I, H = case.shape.seq_len, case.shape.batch, case.shape.input_size, case.shape.hidden_size
    parts = tuple(gate.state(case.shape))
    leaves = pack(layout, gate, params)
    operands = ["x", "W", "R", "B", "", *(f"{part}0" for part in parts), *(("P",) if "P" in leaves else ())]
    attributes = ", ".join(filter(None, (f"hidden_size = {H}", layout.attributes)))
    return prepare_graph(
        case,
        f"output, {', '.join(parts)} = {layout.operator} <{attributes}> ({', '.join(operands)})",
        {"x": (T, B, I), **{f"{part}0": (1, B, H) for part in parts}},
        {"output": (T, B, H), **dict.fromkeys(parts, (B, H))},
        leaves,
    )


def pack(layout: Layout, gate: Gate, params: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return W (1, G·H, I), R (1, G·H, H), B (1, 2·G·H) and, of an LSTM with peepholes, P (1, 3·H) as ONNX wants them."""

    def ordered(name: str) -> Tensor:
        letters = gate.blocks(name)
        blocks = dict(zip(letters, params[name].chunk(len(letters)), strict=True))
        blocks |= {f"-{letter}": -block for letter, block in blocks.items()}
        blocks["0"] = torch.zeros_like(blocks[letters[0]])
        return torch.cat([blocks[key] for key in layout.blocks.split()])

    packed = {"W": ordered("weight_ih"), "R": ordered("weight_hh")}
    packed["B"] = torch.cat((ordered("bias_ih"), ordered("bias_hh")))
    if "weight_ci" in params:
        packed["P"] = torch.cat([params[name] for name in ("weight_ci", "weight_co", "weight_cf")])
    return {name: value[None] for name, value in packed.items()}


@prepared_implementation("onnxruntime", gates=list(POINTWISE), dtypes=list(TYPES), **SETTINGS)
@prepared_implementation("onnxruntime", gates=list(GELU), dtypes=["float32"], **SETTINGS)
def prepare_pointwise(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Gate pointwise; a packed x is split in the graph."""
    sizes = gate.input_shapes(case.shape)
    split = "value, gate = Split <axis = -1, num_outputs = 2> (x)" if gate["packed"] else ""
    output = (case.shape.batch, case.shape.seq_len, case.shape.hidden_size)
    body = f"{split} {combine(gate, case)} output = Identity (hidden)"
    return prepare_graph(case, body, sizes, {"output": output}, {})


@prepared_implementation("onnxruntime", gates=[f"{name}_ffn" for name in POINTWISE], dtypes=list(TYPES), **SETTINGS)
@prepared_implementation("onnxruntime", gates=[f"{name}_ffn" for name in GELU], dtypes=["float32"], **SETTINGS)
def prepare_feed_forward(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use ONNX's Gemm, which adds the biases, on x as (B·T, I); the weights are kept as (inputs, outputs)."""
    tokens, I = case.shape.batch * case.shape.seq_len, case.shape.input_size
    b, c = (", b", ", c") if gate["bias"] else ("", "")
    body = f"gate = Gemm (x, W{b}) value = Gemm (x, V{c}) {combine(gate, case)} output = Gemm (hidden, W2)"
    leaves = {name: value.t().contiguous() if value.dim() == 2 else value for name, value in params.items()}
    output = (case.shape.batch, case.shape.seq_len, I)
    return prepare_graph(case, body, {"x": (tokens, I)}, {"output": output}, leaves)


@prepared_implementation("onnxruntime", gates=list(CONVOLUTIONS), dtypes=["float32"], **SETTINGS)
def prepare_convolution(gate: Gate, case: Case, params: Mapping[str, Tensor]) -> Prepared:
    """Use ONNX's Conv, of which onnxruntime has a float32 kernel, for both convolutions at once."""
    assert isinstance(gate, GatedConvolution)
    (before, after), axes = gate.padding(), gate.dimensions
    pads = ", ".join(map(str, [before] * axes + [after] * axes))
    dilations = ", ".join([str(gate.dilation)] * axes)
    both = f"both = Conv <dilations = [{dilations}], pads = [{pads}]> (x, weight, bias)"
    split = "value, gate = Split <axis = 1, num_outputs = 2> (both)"
    output = (case.shape.batch, case.shape.hidden_size, *gate.positions(case.shape))
    body = f"{both} {split} {combine(gate, case)} output = Identity (hidden)"
    return prepare_graph(case, body, gate.input_shapes(case.shape), {"output": output}, params)


def combine(gate: Gate, case: Case) -> str:
    """Return the nodes from value and gate to hidden."""
    nodes = (POINTWISE | GELU)[CONVOLUTIONS.get(gate.name, gate.name.removesuffix("_ffn"))]
    if "beta" not in gate.options or gate["beta"] == 1.0:
        return nodes.format(slope="", scaled="gate")
    slope = f"beta = Constant <value = {TYPES[case.dtype]} {{{gate['beta']}}}> () u = Mul (gate, beta)"
    return nodes.format(slope=slope, scaled="u")


# --- from nodes to calls


def prepare_graph(case: Case, body: str, inputs: Sizes, outputs: Sizes, leaves: Mapping[str, Tensor]) -> Prepared:
    """Build a graph and a session around nodes in ONNX's text form.

    inputs   sizes of a call's tensors as the graph takes them; leaves have theirs
    outputs  sizes as the gate returns them
    """
    weights = str(dict(case.implementation_options).get("weights", OPTIONS["weights"].default))
    constants = dict(leaves) if weights == "initializers" else {}
    variable = {} if constants else dict(leaves)
    sizes = {**inputs, **{name: tuple(value.shape) for name, value in variable.items()}}
    model = build(case, body, sizes, list(outputs), constants)
    session = start(model, session_options(case, constants))

    def forward(leaves: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        given = {name: value.detach().numpy() for name, value in {**inputs, **leaves}.items()}  # shares memory
        try:
            feed = {name: value.reshape(sizes[name]) for name, value in given.items()}
        except ValueError as error:
            raise Unsupported(f"the graph is built for the shape of its case: {error}") from None
        found = zip(outputs.items(), session.run(list(outputs), feed), strict=True)
        return {name: torch.from_numpy(value).view(size) for (name, size), value in found}

    def kernel() -> str:
        return f"{PROVIDER}: {', '.join(executed(model, session_options(case, constants), case.dtype))}"

    def threads() -> int:
        return session.get_session_options().intra_op_num_threads

    return Prepared(forward, variable, kernel=kernel, detail=lambda: {"weights": weights}, threads=threads)


def build(
    case: Case, body: str, inputs: Sizes, outputs: list[str], constants: Mapping[str, Tensor]
) -> "onnx.ModelProto":
    """Parse a graph; constants are declared without their values, which the session is given."""
    import onnx.parser

    kind = TYPES[case.dtype]
    declared = ", ".join(f"{kind}[{', '.join(map(str, size))}] {name}" for name, size in inputs.items())
    returned = ", ".join(f"{kind} {name}" for name in outputs)
    head = f'<ir_version: {IR_VERSION}, opset_import: ["" : {OPSET}]>'
    model = onnx.parser.parse_model(f"{head} {case.gate} ({declared}) => ({returned}) {{ {body} }}")
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")  # the parser's word for none is a scalar; onnxruntime infers it
    for name, value in constants.items():
        tensor = model.graph.initializer.add(name=name, dims=value.shape)
        tensor.data_type = getattr(onnx.TensorProto, kind.upper())
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="given to the session")
    return model


def session_options(case: Case, constants: Mapping[str, Tensor]) -> "onnxruntime.SessionOptions":
    """Return the settings of a session: the case's threads, which spin within a call and not after it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = case.threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if constants:
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value.detach().numpy()) for value in constants.values()]
        options.add_external_initializers(list(constants), values)
    return options


def start(model: "onnx.ModelProto", options: "onnxruntime.SessionOptions") -> "onnxruntime.InferenceSession":
    """Start a session on the CPU."""
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[PROVIDER])


def executed(model: "onnx.ModelProto", options: "onnxruntime.SessionOptions", dtype: str) -> list[str]:
    """Return the operators of the optimised graph in the order in which they ran, by onnxruntime's own profile.

    It is a session of its own, for a profiled one is slower, and runs on zeros.
    """
    with TemporaryDirectory() as folder:
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = start(model, options)
        session.run(None, {given.name: np.zeros(given.shape, dtype) for given in session.get_inputs()})
        events = json.loads(Path(session.end_profiling()).read_text())
    return [event["args"]["op_name"] for event in events if event.get("cat") == "Node"]

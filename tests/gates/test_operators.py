"""docs/operators.md: its table is run, operator by operator, and its examples are executed."""

import ast
import math
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from onnx.reference import ReferenceEvaluator
from torch import nn

from gatebench import Shape, gates
from gatebench.errors import UserError
from gatebench.gates.conversion import SOURCES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operators.md").read_text(encoding="utf-8")
I, H, P = 5, 4, 2
SHAPE = Shape(batch=3, seq_len=6, input_size=I, hidden_size=H)
BLOCKS = {"RNN": 1, "GRU": 3, "LSTM": 4}  # of the operators' W, R and, twice, B
OPERATORS = ("torch", "keras", "onnx")


def table():
    """Return gate -> the code in its row's cells, by source; "" where a cell is empty."""
    lines = [line.strip("|").split("|") for line in PAGE.splitlines() if line.startswith("| `")]
    code = [[next(iter(re.findall(r"`([^`]+)`", cell)), "") for cell in line[:4]] for line in lines]
    return {gate: dict(zip(OPERATORS, cells, strict=True)) for gate, *cells in code}


TABLE = table()


def bound(name):
    """Return the gate with the projection's width where it has one."""
    gate = gates.get(name)
    return gates.get(name, proj_size=P) if "proj_size" in gate.options else gate


def test_the_table_has_a_row_for_every_gate_that_an_operator_equals_and_a_cell_for_every_source():
    recurrent = {name for source in OPERATORS for name in SOURCES[source].gates if not name.endswith("_ffn")}
    assert set(TABLE) == recurrent
    for gate, cells in TABLE.items():
        assert {source for source, code in cells.items() if code} == {s for s in OPERATORS if gate in SOURCES[s].gates}


@pytest.mark.parametrize("name", [gate for gate, cells in TABLE.items() if cells["torch"]])
def test_the_torch_cell_computes_what_the_gate_does(name):
    gate = bound(name)
    module = eval(TABLE[name]["torch"], {"nn": nn, "I": I, "H": H, "P": P}).double()
    inputs = gate.inputs(SHAPE, seed=1)
    initial = tuple(inputs[f"{part}0"][None] for part in gate.state(SHAPE))
    output, _ = module(inputs["x"], initial if len(initial) > 1 else initial[0])
    found = gate.forward(gates.convert(gate, module.state_dict(), source="torch"), inputs)["output"]
    torch.testing.assert_close(found, output.detach(), rtol=1e-12, atol=1e-13)


def parsed(code):
    """Return operator and attributes of a cell such as GRU(linear_before_reset=1)."""
    call = ast.parse(code, mode="eval").body
    return call.func.id, {word.arg: ast.literal_eval(word.value) for word in call.keywords}


def model_of(operator, attributes, tensors):
    """Return a model of one forward node, all of whose tensors are the graph's inputs."""
    order = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    given = [name if name in tensors else "" for name in order]
    while not given[-1]:
        given.pop()
    node = helper.make_node(operator, given, ["Y"], hidden_size=tensors["R"].shape[-1], **attributes)
    kind = helper.np_dtype_to_tensor_dtype(tensors["X"].dtype)
    infos = [helper.make_tensor_value_info(name, kind, value.shape) for name, value in tensors.items()]
    graph = helper.make_graph([node], "one", infos, [helper.make_tensor_value_info("Y", kind, [None] * 4)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def by_reference(model, tensors):
    return ReferenceEvaluator(model).run(None, tensors)[0]


def by_onnxruntime(model, tensors):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, tensors)[0]


def weights_of(operator, gate, dtype, optional):
    """Return random W and R of two directions, and B and P where the gate has them."""
    G, rng = BLOCKS[operator], np.random.default_rng(7)
    sizes = {"W": (2, G * H, I), "R": (2, G * H, H)}
    sizes |= {"B": (2, 2 * G * H)} if optional else {}
    sizes |= {"P": (2, 3 * H)} if optional and "weight_ci" in gate.parameters(SHAPE) else {}
    return {name: (0.5 * rng.standard_normal(size)).astype(dtype) for name, size in sizes.items()}


def engines():
    """Yield each row's gate with what runs its ONNX cell.

    The reference evaluator computes in any dtype, but knows no Relu in RNN and ignores LSTM's input_forget;
    onnxruntime computes all of them, in float32.
    """
    for name, cells in TABLE.items():
        if cells["onnx"]:
            yield name, "onnxruntime"
            if "Relu" not in cells["onnx"] and "input_forget" not in cells["onnx"]:
                yield name, "reference"


@pytest.mark.parametrize("optional", [True, False], ids=["with B and P", "without"])
@pytest.mark.parametrize(("name", "engine"), list(engines()))
def test_the_onnx_cell_computes_what_the_gate_does_in_each_direction(name, engine, optional):
    operator, attributes = parsed(TABLE[name]["onnx"])
    dtype, run = (np.float64, by_reference) if engine == "reference" else (np.float32, by_onnxruntime)
    tolerance = {"rtol": 1e-12, "atol": 1e-13} if engine == "reference" else {"rtol": 1e-5, "atol": 1e-5}
    gate = bound(name)
    params = weights_of(operator, gate, dtype, optional)
    inputs = {key: value.numpy().astype(dtype) for key, value in gate.inputs(SHAPE, seed=2).items()}
    initial = {f"initial_{part}": inputs[f"{part}0"][None] for part in gate.state(SHAPE)}
    for way, direction in enumerate(("forward", "reverse")):
        tensors = {"X": inputs["x"], **{key: value[way : way + 1] for key, value in params.items()}, **initial}
        expected = run(model_of(operator, attributes, tensors), tensors)[:, 0]
        converted = gates.convert(gate, params, source="onnx", direction=direction)
        assert list(converted) == list(gate.parameters(SHAPE))
        found = gate.forward(converted, {key: torch.tensor(value) for key, value in inputs.items()})["output"]
        torch.testing.assert_close(found, torch.tensor(expected), **tolerance)


def test_the_reference_evaluator_equals_numbers_worked_out_by_hand():
    def run(operator, tensors, **attributes):
        return by_reference(model_of(operator, attributes, tensors), tensors).item()

    def column(*values):
        return np.array(values, dtype=float)[None, :, None]

    one, sigmoid = np.ones((1, 1, 1)), lambda a: 1 / (1 + math.exp(-a))  # T = B = I = H = 1
    lstm = {"X": one, "W": column(1, 2, 3, 4), "R": column(0, 0, 0, 0), "initial_h": one, "initial_c": 2 * one}
    i, o, f, c = sigmoid(1), sigmoid(2), sigmoid(3), math.tanh(4)
    assert run("LSTM", lstm) == pytest.approx(o * math.tanh(f * 2 + i * c), rel=1e-14)
    lstm |= {"P": np.array([[0.5, 0.25, -1]])}
    i, f = sigmoid(1 + 0.5 * 2), sigmoid(3 - 1 * 2)
    new = f * 2 + i * c
    assert run("LSTM", lstm) == pytest.approx(sigmoid(2 + 0.25 * new) * math.tanh(new), rel=1e-14)
    biases = np.array([[0.0, 0, 0, 0, 0, -2]])
    gru = {"X": one, "W": column(1, 2, 3), "R": column(0, 0, -5), "B": biases, "initial_h": one / 2}
    z, r = sigmoid(1), sigmoid(2)
    before, after = math.tanh(3 - 5 * r * 0.5 - 2), math.tanh(3 + r * (-5 * 0.5 - 2))
    assert run("GRU", gru) == pytest.approx((1 - z) * before + z * 0.5, rel=1e-14)
    assert run("GRU", gru, linear_before_reset=1) == pytest.approx((1 - z) * after + z * 0.5, rel=1e-14)


def test_a_source_without_a_cell_is_refused():
    for gate, cells in TABLE.items():
        for source in (source for source, code in cells.items() if not code):
            with pytest.raises(UserError, match="no form of this gate"):
                gates.convert(gate, {}, source=source)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_page_s_examples_run(code):
    torch.manual_seed(0)
    exec(code, {})

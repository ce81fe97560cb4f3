"""Sizes as formulas in I and H: linear ones are found, others left out, and gates that take few shapes give none."""

import pytest

from gatebench import gates
from gatebench.measure.catalogue import describe_gate
from gatebench.measure.size_formulas import formulas


@pytest.mark.parametrize(
    ("size", "formula"),
    [
        (lambda i, h: 4 * h, "4H"), (lambda i, h: i, "I"), (lambda i, h: i + h, "I + H"), (lambda i, h: 3 * i // 4, "3I/4"),
        (lambda i, h: h // 2, "H/2"), (lambda i, h: 2 * h + 1, "2H + 1"), (lambda i, h: h - 1, "H - 1"), (lambda i, h: 7, "7"),
        (lambda i, h: 2 * i - h, "2I - H"),
    ],
)  # fmt: skip
def test_a_size_that_is_linear_in_i_and_h_is_a_formula(size, formula):
    assert formulas(lambda shape: {"w": (size(shape.input_size, shape.hidden_size),)}) == {"w": [formula]}


@pytest.mark.parametrize(
    "size", [lambda i, h: h * h, lambda i, h: i * h, lambda i, h: max(i, h), lambda i, h: min(h, 100)]
)
def test_any_other_size_is_left_out(size):
    sizes = {"a": [2], "b": [2, 3]}
    found = formulas(lambda shape: sizes | {"w": [size(shape.input_size, shape.hidden_size)]})
    assert found == {"a": ["2"], "b": ["2", "3"]}


def test_a_width_alone_is_one_formula():
    assert formulas(lambda shape: {"h": shape.hidden_size, "m": 1}) == {"h": "H", "m": "1"}


def test_a_gate_that_does_not_take_these_shapes_has_none():
    def sizes(shape):
        raise ValueError("I must be H")

    assert formulas(sizes) == {}


@pytest.mark.parametrize(
    "sizes",
    [
        lambda shape: {"p": [1]} if shape.input_size == shape.hidden_size else {},
        lambda shape: {"p": [1] * (1 + (shape.input_size > 64))},
        lambda shape: {"p": [None]},
        lambda shape: {"p": [shape.seq_len, shape.seq_len]},
        lambda shape: {"p": [shape.batch]},
    ],
)
def test_a_tensor_that_comes_and_goes_or_depends_on_more_than_i_and_h_is_left_out(sizes):
    assert formulas(lambda shape: {"w": [shape.hidden_size]} | sizes(shape)) == {"w": ["H"]}


def test_what_gates_json_keeps_of_an_lstm_has_its_formulas():
    told = describe_gate(gates.get("lstm"))
    assert told["formulas"]["parameters"]["weight_ih"] == ["4H", "I"]
    assert told["formulas"]["state"] == {"h": "H", "c": "H"}
    assert told["parameters"]["weight_ih"] == [8, 2]  # the example stays

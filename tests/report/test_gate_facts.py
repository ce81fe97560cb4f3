"""What gates.json tells, equations that a page can set, costs, and the fastest by shape."""

import subprocess
import sys

import pandas as pd
import pytest

from gatebench.report.gate_facts import NOT_GIVEN, best_by_shape, costs, gate_facts, latex, prose
from tests.dashboard.figure_helpers import row, samples_of

GRU = {
    "name": "gru", "family": "recurrent", "equation": "h = z", "source": "Cho et al. 2014", "doc": "A gate.",
    "options": {"num_layers": {"default": 1, "type": "int", "range": [1, 64], "doc": "layers"},
                "packed": {"default": False, "type": "bool", "range": [False, True], "doc": ""}},
    "parameters": {"weight_ih": [6, 2], "bias_ih": [6]}, "state": {"h": 2}, "reference": "def cell(): ...",
}  # fmt: skip


def test_facts_of_a_gate_are_found_without_what_draws_figures():
    code = "import sys, gatebench.report.gate_facts; sys.exit('plotly' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_facts_are_what_the_run_tells():
    facts = gate_facts([{"name": "lstm"}, GRU], "gru")
    assert (facts.family, facts.equation, facts.source) == ("recurrent", "h = z", "Cho et al. 2014")
    assert facts.options.to_numpy().tolist() == [
        ["num_layers", "1", "int", "1 to 64", "layers"],
        ["packed", "False", "bool", "False, True", NOT_GIVEN],
    ]
    assert facts.parameters.to_numpy().tolist() == [["weight_ih", "6 × 2"], ["bias_ih", "6"]]
    assert facts.state.to_numpy().tolist() == [["h", "2"]]


def test_sizes_are_formulas_where_the_run_has_them_and_else_those_of_the_example():
    formulas = {"formulas": {"parameters": {"weight_ih": ["3H", "I"]}, "state": {"h": "H"}}}
    facts = gate_facts([GRU | formulas], "gru")
    assert list(facts.parameters.columns) == ["parameter", "shape"]
    assert facts.parameters.to_numpy().tolist() == [["weight_ih", "3H × I"], ["bias_ih", "6 at I = H = 2"]]
    assert facts.state.to_numpy().tolist() == [["h", "H"]]
    assert not facts.by_example
    before = gate_facts([GRU], "gru")
    assert list(before.parameters.columns) == ["parameter", "shape at I = H = 2"]
    assert before.by_example


@pytest.mark.parametrize(("told", "gradients"), [({}, False), ({"state": {"h": 2}}, True), ({"stackable": True}, True), ({"state": None}, True), ({"stackable": None}, True)])  # fmt: skip
def test_only_what_has_neither_state_nor_stack_has_no_gradients(told, gradients):
    assert gate_facts([GRU | {"state": {}, "stackable": False} | told], "gru").gradients is gradients


@pytest.mark.parametrize(
    "described",
    [None, {}, [], ["gru"], [{"name": "gru"}], [{"name": "gru", "equation": 3, "options": ["x"], "parameters": 1, "state": None, "doc": " "}],
     [{"name": "gru", "options": {"a": 1, "b": {}}}], [{"name": "gru", "formulas": ["3H"]}]],
)  # fmt: skip
def test_what_is_missing_or_of_another_shape_is_not_given(described):
    facts = gate_facts(described, "gru")
    assert (facts.name, facts.equation, facts.doc, facts.reference) == ("gru", NOT_GIVEN, NOT_GIVEN, NOT_GIVEN)
    assert facts.parameters.empty
    assert set(facts.options.to_numpy().ravel()) <= {"b", NOT_GIVEN}


def test_prose_leaves_the_formulas_of_a_docstring_out():
    doc = "A gate.\n\n    h = z\n    z = σ(x)\n\nIts blocks\nare z.\n  \n\n\ty = h\n\nSource: Cho."
    assert prose(doc) == ["A gate.", "Its blocks are z.", "Source: Cho."]
    assert prose("    h = z") == []


@pytest.mark.parametrize(
    "equation",
    [NOT_GIVEN, "a $$ ![x](http://elsewhere/x.png) $$", "`x`", r"\def\a{\a\a}\a", r"\href{javascript:alert(1)}{x}", r"\rule{9em}{9em}",
     r"\includegraphics{http://elsewhere/x.png}", r"\gdef\x{y}", r"\htmlStyle{position:fixed}{x}", r"\hspace{1000em}", "x" * 3000],
)  # fmt: skip
def test_equations_that_might_leave_their_place_are_not_set(equation):
    assert latex(equation) is None


@pytest.mark.parametrize("equation", ["y = x", r"y = \sigma(x) \odot \tanh(x)", r"\lambda = \left(\frac{1}{2}\right)"])
def test_short_equations_are_set_as_they_are(equation):
    assert latex(equation) == equation


def test_long_equations_break_between_their_parts_and_not_inside_braces():
    first, second = "a = " + "b + " * 15 + "b", r"c = \frac{d,\quad e}{f}"
    found = latex(first + r",\quad " + second)
    assert found == rf"\begin{{gathered}} {first},\\ {second} \end{{gathered}}"


def test_an_equation_of_two_lines_is_gathered():
    assert latex(r"a = b\\ c = d") == r"\begin{gathered} a = b\\ c = d \end{gathered}"


def test_costs_have_units_and_one_row_per_shape():
    more = {"flops": 33_554_432, "bytes_min": 2**20, "input_size": 64}
    rows = [
        row("native", **more),
        row("numba", **more),
        row("native", 128, **more | {"flops": None, "bytes_min": None}),
    ]
    [cost] = costs(pd.DataFrame(rows)).to_dict("records")
    assert cost == {
        "mode": "forward", "dtype": "float32", "shape": "T64-B4-I64-H64", "work of one call": "33.6 MFLOP",
        "bytes it must move": "1.00 MiB", "FLOP per byte": "32.0",
    }  # fmt: skip


def test_the_fastest_is_named_for_each_shape_with_interval_and_margin():
    more = {"input_size": 64, "seed": 0}
    rows = [
        row("native", time_ns=2e6, **more),
        row("numba", time_ns=1e6, **more),
        row("native", 128, time_ns=None, **more),
    ]
    table = best_by_shape(pd.DataFrame(rows), samples_of(rows)).set_index("shape")
    best = table.loc["T64-B4-I64-H64"]
    assert (best["fastest"], best["time of one call (95 %)"], best["blocks"], best["next"]) == (
        "numba", "1.00 ms (0.900 to 1.10)", "3", "native",
    )  # fmt: skip
    assert best["margin (95 %)"].startswith("2.00× (")
    assert table.loc["T128-B4-I64-H64", "fastest"] == "none has a time"


def test_modes_do_not_compete():
    more = {"input_size": 64, "seed": 0}
    rows = [row("native", time_ns=2e6, **more), row("numba", time_ns=1e6, mode="backward", case_id="other", **more)]
    table = best_by_shape(pd.DataFrame(rows), samples_of(rows))
    assert set(zip(table["mode"], table["fastest"], strict=True)) == {("forward", "native"), ("backward", "numba")}


def test_without_sizes_there_is_no_fastest():
    frame = pd.DataFrame([row("native", input_size=64, seed=0)]).assign(seq_len=None)
    assert best_by_shape(frame, samples_of([])).empty

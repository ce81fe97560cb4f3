"""The page of a gate: what its run tells, what is not given, hostile equations, and the run that is chosen."""

import json

import pytest
from test_pages import select, texts

from tests.synthetic import Plan, write_store

TOLD = {
    "name": "gru", "family": "recurrent", "equation": r"h = (1 - z) \odot n", "source": "Cho et al. 2014", "doc": "A gate.",
    "options": {"num_layers": {"default": 1, "type": "int", "range": [1, 64], "doc": "layers"}},
    "parameters": {"weight_ih": [6, 2]}, "state": {"h": 2}, "reference": "def cell(self): ...",
}  # fmt: skip


@pytest.fixture
def told(tmp_path):
    """Return a function that writes a store of one run whose gates.json tells `described` of its gru."""

    def write(described):
        store = tmp_path / "results"
        [run_id] = write_store(store, Plan(gates=("gru",), seq_lens=(64, 128), hidden_sizes=(64, 128)))
        (store / "runs" / run_id / "gates.json").write_text(json.dumps(described))
        return store

    return write


def well(app):
    assert not app.exception
    assert not app.error
    assert app.title[0].value == "Gate"
    return texts(app)


def test_a_gate_shows_what_its_run_tells(opened, told):
    app = opened(told([TOLD]), "gate")
    found = well(app)
    assert [latex.value for latex in app.latex] == [r"$$" + "\n" + TOLD["equation"] + "\n$$"]
    assert "Family: recurrent" in found
    assert "Source: Cho et al. 2014" in found
    assert "def cell(self): ..." in found
    assert "This run holds no formulas" in found
    options, parameters = app.table[0].value, app.table[1].value
    assert list(options["accepted"]) == ["1 to 64"]
    assert parameters.to_numpy().tolist() == [["weight\\_ih", "6 × 2"]]


@pytest.mark.parametrize(("equation", "is_set"), [(TOLD["equation"], True), (r"\href{javascript:alert(1)}{x}", False)])
def test_a_formula_stands_once(opened, told, equation, is_set):
    doc = "A *gate*.\n\n    h = (1 - z) n\n\nTwo\nblocks."
    app = opened(told([TOLD | {"equation": equation, "doc": doc}]), "gate")
    well(app)
    assert [text.value for text in app.text] == ([] if is_set else [doc])
    assert ("A \\*gate\\*.\n\nTwo blocks." in [text.value for text in app.markdown]) == is_set


def test_the_fastest_by_shape_has_time_interval_and_n(opened, told):
    app = opened(told([TOLD]), "gate")
    best = app.dataframe[0].value
    timed = best[best["fastest"] != "none has a time"]
    assert timed["time of one call (95 %)"].str.fullmatch(r"[\d.]+ (ns|µs|ms|s) \([\d.]+ to [\d.]+\)").all()
    assert set(timed["blocks"]) == {"3"}
    # Of 2 x 2 shapes nobody asked for the largest; at the longest T and smallest H all ran out of memory.
    assert set(best["shape"]) == {"T64-B16-I64-H64", "T64-B16-I128-H128", "T128-B16-I64-H64"}
    assert set(best.loc[best["shape"] == "T128-B16-I64-H64", "fastest"]) == {"none has a time"}


def test_gradients_are_told_in_a_line_per_init(opened, told):
    found = well(opened(told([TOLD]), "gate"))
    assert "halves every" in found
    assert "seeds]" in found


def test_without_stability_the_command_that_looks_is_told(opened, tmp_path):
    write_store(tmp_path / "results", Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64, 128), stability=False))
    assert "gatebench stability gru" in well(opened(tmp_path / "results", "gate"))


@pytest.mark.parametrize("described", [[], {}, [{"name": "gru"}], [{"name": "gru", "equation": 7, "options": 3}]])
def test_what_is_missing_is_not_given(opened, told, described):
    app = opened(told(described), "gate")
    found = well(app)
    assert "Equation: not given." in found
    assert "Source: not given" in found
    assert "Cost: not given." in found
    assert "Options: none given." in found
    assert not app.latex


def test_a_gates_file_that_cannot_be_read_is_said(opened, told):
    store = told([TOLD])
    next((store / "runs").iterdir()).joinpath("gates.json").write_text("{")
    app = opened(store, "gate")
    assert "Equation: not given." in well(app)
    assert any("gates.json is not JSON" in warning.value for warning in app.warning)


def test_a_hostile_equation_is_shown_as_text(opened, told):
    equation = "x $$ ![a](http://elsewhere/x.png) <b>y</b> $$" + 5000 * "z"
    app = opened(told([TOLD | {"equation": equation, "source": "<b>![a](http://elsewhere/y.png)</b>"}]), "gate")
    well(app)
    assert not app.latex
    assert any(code.value == equation for code in app.code)
    assert not any("![a]" in element.value or "<b>" in element.value for element in app.markdown)


def test_gate_machine_and_run_are_chosen(opened, three_runs):
    app = opened(three_runs, "gate", gate="gru")
    well(app)
    machines = select(app, "on_machine").options
    assert len(machines) >= 2
    for number in range(len(machines)):
        select(app, "on_machine").select_index(number).run()
        well(app)
        assert machines[number] in app.caption[0].value.replace("\\", "")


def test_an_empty_store_is_explained(opened, tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    assert "gatebench run quick" in well(opened(tmp_path / "results", "gate"))


def test_shapes_are_formulas_where_the_run_has_them(opened, told):
    formulas = {"parameters": {"weight_ih": ["3H", "I"]}, "state": {"h": "H"}}
    app = opened(told([TOLD | {"formulas": formulas}]), "gate")
    assert "I: input size, H: hidden size" in well(app)
    assert app.table[1].value.to_numpy().tolist() == [["weight\\_ih", "3H × I"]]


def test_a_gate_of_which_only_gradients_were_looked_at_is_shown(opened, tmp_path):
    store = tmp_path / "results"
    write_store(store, Plan(gates=("gru",), seq_lens=(64,), hidden_sizes=(64, 128), stability=False))
    write_store(store, Plan(gates=("lstm",), implementations=(), seed=5))
    app = opened(store, "gate", gate="lstm")
    found = well(app)
    assert not app.warning
    assert "halves every" in found
    assert "This run timed no case of the gate" in found
    assert select(app, "gate").options == ["gru", "lstm"]


def test_gradients_come_from_the_newest_run_that_has_them_however_old(opened, tmp_path):
    store = tmp_path / "results"
    plan = {"gates": ("gru",), "seq_lens": (64,), "hidden_sizes": (64, 128)}
    write_store(store, Plan(**plan))
    write_store(store, Plan(runs=8, stability=False, seed=9, **plan))
    assert "halves every" in well(opened(store, "gate"))


def test_without_any_gate_the_command_that_measures_is_told(opened, tmp_path):
    write_store(tmp_path / "results", Plan(gates=("gru",), implementations=(), stability=False))
    assert "No run in this store has measured a gate." in well(opened(tmp_path / "results", "gate"))

"""Several plugin files at once: who gives which name, and what one needs of another."""

import pytest
from run_helpers import case, plan, run

from gatebench.errors import PluginError
from gatebench.run.discover import discover
from gatebench.testing import check_implementation

DECORATED = "@gatebench.implementation({name!r}, gates=['glu'])\ndef forward(params, inputs): return {{}}\n"
OWN_GATE = """
import gatebench
from gatebench.gates import Cost, Gate

@gatebench.gate("lab:double", family="glu", equation="y = 2 x", source="a test")
class Double(Gate):
    \"\"\"Doubles its input.\"\"\"
    def input_shapes(self, shape): return {"x": (shape.batch, shape.hidden_size)}
    def parameters(self, shape): return {}
    def forward(self, params, inputs): return {"output": 2 * inputs["x"]}
    def cost(self, shape, mode, dtype): return Cost(shape.batch * shape.hidden_size, 0, 1)
"""
FOR_BOTH = """
import gatebench

@gatebench.implementation("lab:fast", gates=["glu", "lab:double"])
def fast(params, inputs, gate): return gate.forward(params, inputs)
"""


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(("own.py", "fast.py"), id="gate first"),
        pytest.param(("fast.py", "own.py"), id="gate last", marks=pytest.mark.slow),
    ],
)
def test_an_implementation_of_a_gate_that_another_file_gives(tmp_path, mark, order):
    (tmp_path / "own.py").write_text(OWN_GATE)
    (tmp_path / "fast.py").write_text(FOR_BOTH)
    catalogue = discover([tmp_path / name for name in order])
    # The worker meets `glu` first, and needs no file but fast.py for it.
    cases = [case("lab:fast"), case("lab:fast", gate="lab:double"), case("eager", gate="lab:double")]
    rows = run(tmp_path / "store", plan(catalogue, cases))
    assert [(row["status"], row["reason"]) for row in rows] == 3 * [("ok", None)]


def test_one_file_may_give_a_gate_and_its_implementation(tmp_path):
    (tmp_path / "both.py").write_text(OWN_GATE + FOR_BOTH)
    results = check_implementation(tmp_path / "both.py", ["lab:double"], checks=["values-float32"])
    assert [(result.implementation, result.status) for result in results] == [("lab:fast", "passed")]


def test_a_name_that_two_files_give_is_an_error_that_names_both(catalogue, tmp_path):
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text("import gatebench\n" + DECORATED.format(name="lab:same"))
    with pytest.raises(PluginError, match=r"plugin second\.py: 'lab:same' is given by first\.py too"):
        discover([tmp_path / "first.py", tmp_path / "second.py"])


def test_an_implementation_of_a_gate_that_no_file_gives_is_unavailable(tmp_path):
    path = tmp_path / "fast.py"
    # Its name is known by importing it, not by its text.
    path.write_text("NAME = 'lab:fast'" + FOR_BOTH.replace('"lab:fast"', "NAME"))
    catalogue = discover([path])
    (reason,) = catalogue.broken.values()
    assert reason.startswith("fast.py:4: unknown gate of lab:fast 'lab:double'")
    assert reason.endswith("name that with --plugin, too")
    assert catalogue.refusal(case("lab:fast")) == ("unavailable", reason)


def test_a_file_that_cannot_be_imported_costs_the_others_only_its_gate(tmp_path, mark):
    (tmp_path / "own.py").write_text(OWN_GATE + "raise RuntimeError('no licence found')\n")
    (tmp_path / "fast.py").write_text(FOR_BOTH)
    catalogue = discover([tmp_path / "fast.py", tmp_path / "own.py"])
    assert list(catalogue.broken) == [tmp_path / "own.py"]
    assert catalogue.refusal(case("lab:fast")) is None
    assert "no licence found" in str(catalogue.unknown("-g", "gate", "lab:double"))


def test_a_gate_that_two_files_give_is_an_error_that_names_both(tmp_path):
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text(OWN_GATE)
    with pytest.raises(PluginError, match=r"plugin second\.py: 'lab:double' is given by first\.py too"):
        discover([tmp_path / "first.py", tmp_path / "second.py"])


def test_a_file_may_give_what_a_broken_one_would(tmp_path):
    (tmp_path / "broken.py").write_text("import gatebench\n" + DECORATED.format(name="lab:same") + "raise ValueError\n")
    (tmp_path / "good.py").write_text("import gatebench\n" + DECORATED.format(name="lab:same"))
    catalogue = discover([tmp_path / "broken.py", tmp_path / "good.py"])
    assert catalogue.refusal(case("lab:same")) is None
    assert catalogue.plugin_files(case("lab:same")) == (tmp_path / "good.py",)


def test_a_plugin_may_import_its_neighbours(tmp_path, mark):
    (tmp_path / "beside.py").write_text("NAME = 'lab:beside'\n")
    (tmp_path / "uses.py").write_text("import gatebench\nfrom beside import NAME\n@gatebench.implementation(NAME, gates=['glu'])\ndef forward(params, inputs): return {}\n")  # fmt: skip
    assert "lab:beside" in discover([tmp_path / "uses.py"]).implementations

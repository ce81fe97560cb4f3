"""Plugins that cannot even be imported: unavailable with their reason, at the cost of their own rows only."""

import pytest
from misbehaving_helpers import HEAD
from run_helpers import (
    by_implementation,
    case,
    plan,
    run,
)

from gatebench.errors import PluginError, UserError
from gatebench.run.discover import discover

DECORATED = "@gatebench.implementation({name!r}, gates=['glu'])\ndef forward(params, inputs): return {{}}\n"
BROKEN = {
    "raises": ("import gatebench\nraise RuntimeError('no licence found')\n", "RuntimeError: no licence found"),
    "syntax": ("import gatebench\ndef forward(:\n", "SyntaxError"),
    "missing": ("import gatebench\nimport surely_not_installed\n", "No module named 'surely_not_installed'"),
    "exits": ("import gatebench, os\nos._exit(5)\n", "exited with status 5"),
    "leaves": ("import gatebench, sys\nsys.exit(0)\n", "SystemExit: 0"),
    "scribbles": (HEAD + "write(b'{}\\n')\n", "protocol"),
    "contract": ("import gatebench\n@gatebench.implementation('bad:contract', gates=['glu'], contract=99)\ndef forward(params, inputs): return {}\n", "contract 99; accepted: 1"),
    "signature": ("import gatebench\n@gatebench.implementation('bad:signature', gates=['glu'])\ndef forward(x): return {}\n", "takes (x); accepted: forward(params, inputs)"),
    "setting": ("import gatebench\n@gatebench.implementation('bad:setting', gates=['glu'], dtype=['float32'])\ndef forward(params, inputs): return {}\n", "did you mean 'dtypes'?"),
    "twice": ("import gatebench\n" + 2 * DECORATED.format(name="bad:twice"), "serves glu already"),
    "nothing": ("x = 1\n", "registers nothing"),
    "shadow": ("import gatebench\n" + DECORATED.format(name="eager"), "'eager' shadows a built-in"),
}  # fmt: skip
NAMED_BY_FILE = ("nothing", "shadow")  # they give no name of their own


SLOW = ("exits", "leaves", "scribbles", "setting", "nothing")


def names_of(broken):
    return [f"file:{name}.py" if name in NAMED_BY_FILE else f"bad:{name}" for name in broken]


def discovered(folder, broken):
    """Discover broken plugins and one that is fine; names stand in each text, as a reader would find them."""
    files = []
    for name in broken:
        text = BROKEN[name][0]
        names = "" if name in NAMED_BY_FILE or f"bad:{name}" in text else f"\n# implementation('bad:{name}', ...)\n"
        files.append(folder / f"{name}.py")
        files[-1].write_text(text + names)
    good = folder / "good.py"
    good.write_text(HEAD + "@gatebench.implementation('lab:good', gates=['glu'])\ndef forward(params, inputs):\n    return right(inputs)\n")  # fmt: skip
    return discover([*files, good])


def check_refusals(catalogue, broken):
    for name, implementation in zip(broken, names_of(broken), strict=True):
        status, reason = catalogue.refusal(case(implementation)) or ("", "")
        assert (name, status) == (name, "unavailable")
        assert BROKEN[name][1] in reason
        assert "\n" not in reason
        assert "/" not in reason


def test_plugins_that_cannot_be_imported_cost_their_own_rows_only(tmp_path, mark):
    broken = [name for name in BROKEN if name not in SLOW]
    catalogue = discovered(tmp_path, broken)
    check_refusals(catalogue, broken)
    cases = [case(name) for name in ("eager", "lab:good", *names_of(broken))]
    found = by_implementation(run(tmp_path / "store", plan(catalogue, cases)))
    assert {found.pop(name)[0] for name in names_of(broken)} == {"unavailable"}
    assert found == {"eager": ("ok", ""), "lab:good": ("ok", "")}


@pytest.mark.slow
def test_stranger_plugins_are_unavailable_with_their_reason(tmp_path, mark):
    check_refusals(discovered(tmp_path, SLOW), SLOW)


def test_a_name_that_two_files_give_is_an_error_that_names_both(catalogue, tmp_path):
    for name in ("first.py", "second.py"):
        (tmp_path / name).write_text("import gatebench\n" + DECORATED.format(name="lab:same"))
    with pytest.raises(PluginError, match=r"plugin second\.py: 'lab:same' is given by first\.py too"):
        discover([tmp_path / "first.py", tmp_path / "second.py"])


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


@pytest.mark.parametrize("order", [("own.py", "fast.py"), ("fast.py", "own.py")], ids=["gate first", "gate last"])
def test_an_implementation_of_a_gate_that_another_file_gives(tmp_path, mark, order):
    (tmp_path / "own.py").write_text(OWN_GATE)
    (tmp_path / "fast.py").write_text(FOR_BOTH)
    catalogue = discover([tmp_path / name for name in order])
    # The worker meets `glu` first, and needs no file but fast.py for it.
    cases = [case("lab:fast"), case("lab:fast", gate="lab:double"), case("eager", gate="lab:double")]
    rows = run(tmp_path / "store", plan(catalogue, cases))
    assert [(row["status"], row["reason"]) for row in rows] == 3 * [("ok", None)]


def test_an_implementation_of_a_gate_that_no_file_gives_is_unavailable(tmp_path):
    path = tmp_path / "fast.py"
    path.write_text(
        "NAME = 'lab:fast'" + FOR_BOTH.replace('"lab:fast"', "NAME")
    )  # known by importing it, not by its text
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


def test_a_worker_whose_installation_is_broken_says_so(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: cannot open shared object file')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import gatebench.run.process as process

    monkeypatch.setattr(process, "_PACKAGE_ROOT", f"{tmp_path}:{process._PACKAGE_ROOT}")
    with pytest.raises(UserError, match=r"gatebench: a worker cannot start: .*libtorch\.so"):
        discover()

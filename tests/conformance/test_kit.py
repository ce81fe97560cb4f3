"""The kit as plugin authors meet it: the command, the functions, the pytest form, and what `gatebench new` writes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from compiled_gates import ONE_OF_EACH_FAMILY

import gatebench
from gatebench import gates
from gatebench.conformance import Trial, run_check, settings
from gatebench.conformance.kit import CHECKS
from gatebench.errors import UserError
from gatebench.registry import default_registry
from gatebench.run.checker import check_ids, find_targets, run_checks
from gatebench.run.discover import discover
from gatebench.testing import check_implementation, conformance_tests

ROOT = Path(gatebench.__file__).resolve().parents[1]
PLUGIN = """
import gatebench, torch

@gatebench.implementation("lab:detaches", gates=["gru"])
def detaches(params, inputs, gate):
    r, z, n = params["weight_hh"].chunk(3)
    return gate.forward({**params, "weight_hh": torch.cat((r, z.detach(), n))}, inputs)

@gatebench.implementation("lab:late", gates=["gru"], modes=["forward"])
def late(params, inputs, gate):
    x = inputs["x"].clone()
    x[3:] += 1.0
    return gate.forward(params, {**inputs, "x": x})

@gatebench.implementation("lab:swaps", gates=["swiglu"])
def swaps(params, inputs, gate):
    return gate.forward(params, {"value": inputs["gate"], "gate": inputs["value"]})

@gatebench.implementation("lab:bare", gates=["bilinear"])
def bare(params, inputs):
    return inputs["value"] * inputs["gate"]

@gatebench.implementation("lab:squeezes", gates=["glu"])
def squeezes(params, inputs, gate):
    return {name: value.squeeze(0) for name, value in gate.forward(params, inputs).items()}
"""
# onnxruntime's recurrent kernels clip a gate's argument to the largest float, and max(x, 0) is their ReLU: both drop NaN.
CLIPPED = ("rnn_relu", "lstm", "lstm_peephole", "lstm_coupled", "gru", "gru_reset_before", "gru_textbook")
# torch's GELU by the error function gives NaN at +inf in float32 where it uses AVX-512 (torch 2.13), with AVX2 inf.
GELU_BREAKS = bool(F.gelu(torch.full((64,), torch.inf)).isnan().any())
KNOWN = {
    "native": {("native", "geglu", "infinity-is-a-number")} if GELU_BREAKS else set(),
    "onnxruntime": {("onnxruntime", gate, "nan-goes-through") for gate in CLIPPED},
}
SERVED = {
    name: {gate for gate in gates.names() if default_registry().implementation(name, gate) is not None}
    for name in ("eager", "native", "numba", "onnxruntime")
}
# How many gates each serves: SERVED is read from the registry itself, so a gate that falls out would not be missed.
COUNTS = {"eager": 50, "native": 17, "numba": 24, "onnxruntime": 25}


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def gb(*arguments, cwd=ROOT):
    return subprocess.run(
        [sys.executable, "-m", "gatebench.cli.main", *map(str, arguments)],
        cwd=cwd, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def failures(results):
    return {(result.implementation, result.gate, result.check): result.message for result in results if result.status == "failed"}  # fmt: skip


@pytest.fixture
def plugin(tmp_path):
    path = tmp_path / "lab.py"
    path.write_text(PLUGIN)
    return path


def test_no_gate_falls_out_of_an_implementation():
    assert {name: len(served) for name, served in SERVED.items()} == COUNTS


SPAWNED = "survives-spawn"  # a process that imports torch, for each gate
IN_ONE_PROCESS = [id for id in CHECKS if id != SPAWNED]


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.parametrize("name", SERVED)
def test_built_in_implementations_keep_all_rules_in_one_process(name):
    results = check_implementation(name, checks=IN_ONE_PROCESS)
    assert {result.gate for result in results} == SERVED[name]
    assert len(results) == COUNTS[name] * len(IN_ONE_PROCESS)
    assert set(failures(results)) == KNOWN.get(name, set())


@pytest.mark.parametrize(
    ("name", "gate"), [("eager", "lstm"), ("native", "gru"), ("numba", "swiglu"), ("onnxruntime", "gru_textbook")]
)
def test_built_in_implementations_keep_the_fast_rules(name, gate):
    assert failures(check_implementation(name, [gate], fast=True)) == {}


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"lengths": True}, {"bidirectional": True}], ids=str)
def test_a_gate_with_options_keeps_all_rules(options):
    trial = Trial(default_registry().implementation("native", "lstm"), gates.get("lstm", **options))
    # Not those about the process: here it is pytest's, and other tests have changed it.
    results = [run_check(trial, id) for id, check in CHECKS.items() if check.run.__module__ != settings.__name__]
    assert failures(results) == {}
    passed = {result.check for result in results if result.status == "passed"}
    assert {"gradcheck", "every-gradient-flows", "batch-rows-are-independent", "saturation", "denormals"} <= passed


def test_one_gate_of_each_family_is_compiled_by_ci():
    assert sorted(gates.get(name).family for name in ONE_OF_EACH_FAMILY) == sorted({gates.get(name).family for name in gates.names()})  # fmt: skip


ALL = [(name, gate) for name in SERVED for gate in sorted(SERVED[name])] + [("compile", gate) for gate in gates.names()]


def spawned_by_ci(name, gate):
    return gate == "swiglu" if name == "compile" else gate in ONE_OF_EACH_FAMILY


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "gate"), [pytest.param(*each, marks=[pytest.mark.slow] * spawned_by_ci(*each)) for each in ALL]
)
def test_built_in_implementations_work_in_a_spawned_process(name, gate):
    (result,) = check_implementation(name, [gate], checks=[SPAWNED])
    assert (result.status, result.message) == ("passed", "")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "gate", [pytest.param(name, marks=[pytest.mark.slow] * (name in ONE_OF_EACH_FAMILY)) for name in gates.names()]
)
def test_compile_keeps_all_rules_in_one_process(gate):
    # Of the kit's 3 to 9 steps chunks of 2 leave one over, and compile in half the time of the default 8.
    results = check_implementation("compile", [gate], checks=IN_ONE_PROCESS, options={"compile": {"chunk": 2}})
    assert failures(results) == {}


@pytest.mark.slow
def test_options_reach_gate_and_implementation(tmp_path):
    (tmp_path / "optional.py").write_text("""
import gatebench
from gatebench.options import Option

@gatebench.prepared_implementation("lab:optional", gates=["swiglu"], options={"right": Option(False, bool, (False, True), "a test's")})
def optional(gate, case, params):
    right = dict(case.implementation_options).get("right", False) and gate["beta"] == 2.0
    return gatebench.Prepared(lambda leaves, inputs: {"output": gate.forward(leaves, inputs)["output"] * (1 if right else 2)}, params)
""")
    for options, status in (
        ({}, "failed"), ({"lab:optional": {"right": True}}, "failed"),
        ({"lab:optional": {"right": True}, "swiglu": {"beta": 2.0}}, "passed"),
    ):  # fmt: skip
        (result,) = check_implementation(tmp_path / "optional.py", checks=["values-float32"], options=options)
        assert result.status == status


def test_cudnn_is_not_applicable_without_a_device():
    results = check_implementation("cudnn", ["lstm"], fast=True)
    assert {result.status for result in results} == {"not applicable"}


def test_each_check_says_the_rule_and_what_to_look_at():
    for check in CHECKS.values():
        assert check.sentence.endswith(".")
        assert len(check.hint) > 10
        assert check.id == check.id.lower()


def test_a_failure_names_tensor_block_and_step(plugin):
    results = check_implementation(plugin, ["gru"], checks=["values-float32", "gradients-float32"])
    messages = {(name, check): message for (name, _, check), message in failures(results).items()}
    assert set(messages) == {("lab:detaches", "gradients-float32"), ("lab:late", "values-float32")}
    assert messages["lab:detaches", "gradients-float32"].startswith("gradient of weight_hh, block z: error ratio")
    assert messages["lab:late", "values-float32"].startswith("output, first at step t=3: error ratio")


@pytest.mark.slow
def test_the_fast_kit_stops_at_the_first_failure_and_exits_with_3(plugin):
    answer = gb("check", plugin, "-g", "gru", "--fast", "--json")
    found = json.loads(answer.stdout)["checks"]
    assert answer.returncode == 3
    assert [row["status"] for row in found] == ["passed", "failed"]
    shown = gb("check", plugin, "-g", "gru", "--fast").stdout
    assert "gradients-float32, gru: gradient of weight_hh, block z" in " ".join(shown.split())
    assert "the rule: Gradients of every input" in shown


def test_the_fast_kit_goes_on_to_what_explains_the_failure(plugin):
    (swaps,) = find_targets(discover([plugin]), str(plugin), ["swiglu"])
    found = list(run_checks([swaps], check_ids(fast=True), stop_at_first=True))
    assert [(result.check, result.status) for result in found] == [("values-float32", "failed"), ("halves-in-order", "failed")]  # fmt: skip
    assert found[1].message == "value and gate are swapped"


def test_an_output_that_is_no_dict_says_what_to_return(plugin):
    (result,) = check_implementation(plugin, ["bilinear"], checks=["values-float32"])
    assert result.message == "returns a Tensor; return a dict of tensors: output"


def test_json_and_exit_code():
    answer = gb("check", "eager", "-g", "glu", "--only", "values-float32,one-row", "--json")
    assert answer.returncode == 0
    found = json.loads(answer.stdout)["checks"]
    assert [(row["check"], row["status"]) for row in found] == [("values-float32", "passed"), ("one-row", "passed")]


def test_expected_failures_are_expected_and_kept_true(plugin):
    run = conformance_tests(
        plugin, ["glu"], checks=["one-row", "determinism"],
        expected_failures={"one-row": "squeezes", "determinism": "no longer"},
    )  # fmt: skip
    with pytest.raises(pytest.xfail.Exception, match="squeezes: output has shape"):
        run(gate="glu", check="one-row")
    with pytest.raises(AssertionError, match="take it out of expected_failures"):
        run(gate="glu", check="determinism")
    with pytest.raises(UserError, match="unknown check 'one-rwo'"):
        conformance_tests(plugin, ["glu"], expected_failures={"one-rwo": "a typo"})


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ("implementation", "mylab:fused", "--gate", "lstm"),
        ("gate", "mylab:leaky", "--family", "recurrent"),
        ("gate", "mylab:selfgate", "--family", "glu"),
    ],
    ids=lambda arguments: arguments[1],
)  # fmt: skip
def test_what_new_writes_keeps_the_rules_at_once(tmp_path, arguments):
    assert gb("new", *arguments, "--into", tmp_path).returncode == 0
    name = arguments[1].partition(":")[2]
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.py", f"test_{name}.py"}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"test_{name}.py"]
    ran = subprocess.run(tests, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:]
    again = gb("new", *arguments, "--into", tmp_path)
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)


@pytest.mark.slow
def test_an_implementation_of_ones_own_gate_keeps_the_rules_at_once(tmp_path):
    assert gb("new", "gate", "mylab:leaky", "--family", "recurrent", "--into", tmp_path).returncode == 0
    own = ("--gate", "mylab:leaky", "--plugin", tmp_path / "leaky.py")
    answer = gb("new", "implementation", "mylab:fast", *own, "--into", tmp_path / "fast")
    assert answer.stdout.splitlines()[-1].endswith(f"-g mylab:leaky --plugin {tmp_path / 'leaky.py'}")
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_fast.py"]
    ran = subprocess.run(tests, cwd=tmp_path / "fast", env=environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-2000:]


def test_a_name_that_is_none_is_one_line(tmp_path):
    answer = gb("new", "implementation", "fused", "--gate", "lstm", "--into", tmp_path)
    assert (answer.returncode, answer.stderr.split(";")[0]) == (2, "new: 'fused' is no name for a plugin")
    assert list(tmp_path.iterdir()) == []

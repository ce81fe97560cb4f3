"""Exit codes of runs, plugins that cannot be used, and the verbs in processes of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_helpers import FLAGS, GROUP, HEAD, ROOT, one_line, suite

from gatebench.report.stability_requests import parts

WRONG = """
import torch
import gatebench

@gatebench.implementation("lab:wrong", gates=["glu"])
def forward(params, inputs):
    return {"output": inputs["value"] * torch.sigmoid(inputs["gate"]) * 1.01}

@gatebench.implementation("lab:narrow", gates=["lstm"])
def never(params, inputs):
    return {}
"""
MEASURE = ("--blocks", "1", "--rounds", "1")


def without(flag):
    place = FLAGS.index(flag)
    return (*FLAGS[:place], *FLAGS[place + 2 :])


@pytest.fixture
def calm(monkeypatch):
    """Let other processes use the machine meanwhile: these tests are not about times."""
    from gatebench.run import steps

    monkeypatch.setattr(steps, "FOREIGN_LIMIT", 9.0)
    monkeypatch.setattr(steps, "STEAL_LIMIT", 9.0)


def test_exit_codes_of_runs(gb, tmp_path, calm):
    Path("lab.py").write_text(WRONG)
    store = ("--store", "elsewhere")
    base = (*without("-i"), *MEASURE, *store, "--json")
    fine = gb("run", *base, "-i", "eager")
    assert (fine.code, fine.err.count("Traceback")) == (0, 0)
    assert [row["status"] for row in json.loads(fine.out)["measurements"]] == ["ok"]
    wrong = gb("run", *base, "-i", "eager,lab:wrong", "--plugin", "lab.py")
    assert wrong.code == 3
    assert [row["status"] for row in json.loads(wrong.out)["measurements"]] == ["ok", "wrong"]
    assert gb("run", *base, "-i", "eager,lab:narrow", "--plugin", "lab.py").code == 3  # unsupported, and named
    assert gb("run", *base, "-i", "cudnn").code == 3  # unavailable, and named
    suite(HEAD + GROUP.replace('["eager"]', '["eager", "cudnn"]'))
    assert gb("run", "s.toml", *MEASURE, *store, "--json").code == 0  # unavailable, and not named


def test_a_broken_plugin_that_nothing_names_is_said_on_stderr(gb):
    Path("shadow.py").write_text("import gatebench\n@gatebench.implementation('eager', gates=['glu'])\ndef f(params, inputs): return {}\n")  # fmt: skip
    answer = gb("run", *FLAGS, "--plugin", "shadow.py", "--dry-run")
    assert answer.code == 0
    assert "plugin shadow.py: cannot be used: shadow.py:2: 'eager' shadows a built-in" in answer.err


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("typo.py", "import gatebench\n@gatebench.implementation('lab:x', gates=['lstmm'])\ndef f(params, inputs): return {}\n",
         "unknown gate of lab:x 'lstmm'; accepted: one of 50; did you mean 'lstm'?"),
        ("leaves.py", "import sys\nsys.exit(7)\n", "SystemExit: 7"),
        ("notes.txt", "hello", "is no Python file"),
    ],
)  # fmt: skip
def test_a_plugin_of_the_command_line_that_cannot_be_used_is_said_and_exit_3(gb, calm, name, text, reason):
    Path(name).write_text(text)
    answer = gb("run", *FLAGS, *MEASURE, "--store", "elsewhere", "--plugin", name, "--json")
    assert answer.code == 3
    assert f"plugin {name}: cannot be used: " in answer.err
    assert reason in answer.err
    assert [row["status"] for row in json.loads(answer.out)["measurements"]] == ["ok"]


@pytest.mark.parametrize(
    "verb",
    [("verify", *FLAGS), ("stability", "rnn_tanh", "--seq-len", "4", "--hidden-size", "2", "--store", "elsewhere")],
    ids=lambda verb: verb[0],
)
def test_verify_and_stability_say_so_too(gb, calm, verb):
    Path("empty.py").write_text("x = 1\n")
    answer = gb(*verb, "--plugin", "empty.py")
    assert (answer.code, "plugin empty.py: cannot be used: " in answer.err) == (3, True)


def test_a_gate_of_a_broken_plugin_is_one_line_with_the_reason(gb):
    Path("leaky.py").write_text("import gatebench\n@gatebench.gate('lab:leaky', family='glu')\nclass Leaky: pass\nraise ValueError('no')\n")  # fmt: skip
    flags = ("-g", "lab:leaky", *FLAGS[2:])
    one_line(gb("run", *flags, "--plugin", "leaky.py"), "gate 'lab:leaky' comes from plugin leaky.py", "ValueError: no")


def test_dry_run_measures_nothing(gb, monkeypatch, tmp_path):
    from gatebench.run import execute

    monkeypatch.setattr(execute, "measure", None)
    answer = gb("run", "quick", "--dry-run")
    assert answer.code == 0
    assert "expected time: about" in answer.out
    assert json.loads(gb("run", "quick", "--dry-run", "--json").out)["runnable"] > 10
    assert list(tmp_path.iterdir()) == []


def test_dry_run_lists_what_stability_would_be_measured(gb):
    part = """
[[stability]]
why = "a test"
gates = ["lstm", "gru"]
init = ["torch", "keras"]
dtypes = ["float64", "bfloat16"]
seq_len = [8, 16]
hidden_size = [4]
seeds = 2
metrics = ["profile", "precision"]
"""
    more = """
[[stability]]
why = "another"
gates = ["lstm"]
options = { num_layers = 2 }
input_size = [3]
seq_len = [8]
hidden_size = [4]
metrics = ["*"]
[[stability]]
why = "a third"
gates = ["rnn_tanh"]
seq_len = [8]
hidden_size = [4]
tasks = ["adding"]
after_steps = 10
clip = 0.5
metrics = ["lyapunov"]
"""
    answer = gb("run", suite(HEAD + part + more), "--dry-run")
    assert answer.out.splitlines()[:-1] == [
        "stability of lstm, gru: init torch, keras; inputs normal; float64, bfloat16; T 8, 16; B 4; H 4; 2 seeds; metrics profile, precision",
        "stability of lstm (num_layers=2): init torch; inputs normal; float64; T 8; B 4; H 4 (I 3); 1 seed; all metrics",
        "stability of rnn_tanh: init torch; float64; T 8; B 4; H 4; 1 seed; task adding, 10 steps; clip 0.5; metrics lyapunov",
        "34 stability requests",
    ]  # fmt: skip
    found = json.loads(gb("run", "s.toml", "--dry-run", "--json").out)
    assert [(part["count"], part["gates"]) for part in found["stability_parts"]] == [
        (32, ["lstm", "gru"]), (1, ["lstm (num_layers=2)"]), (1, ["rnn_tanh"]),
    ]  # fmt: skip


def test_requests_that_are_no_product_are_several_parts():
    sizes = [(8, 4), (8, 6), (16, 4)]
    more = {"gate": "lstm", "init": "torch", "inputs": "normal", "dtype": "float64", "batch": 4, "seed": 0, "task": None, "metrics": ["profile"]}  # fmt: skip
    found = parts({**more, "seq_len": t, "hidden_size": h, "input_size": h} for t, h in sizes)
    assert sorted((t, int(h)) for part in found for t in part["seq_len"] for h in part["hidden_size"]) == sizes
    assert sum(part["count"] for part in found) == 3


def test_json_of_each_verb_is_json(gb, stored):
    found = json.loads(gb("compare", "--store", stored, "--json").out)
    assert {row["implementation"] for row in found["measurements"]} >= {"eager", "native"}
    assert set(json.loads(gb("list", "--json").out)) == {"gates", "implementations", "suites"}
    assert "environment_class" in json.loads(gb("environment", "--json").out)
    verified = gb("verify", *FLAGS, "--json")
    assert [case["status"] for case in json.loads(verified.out)["cases"]] == ["ok", "ok"]


def test_no_arguments_print_help(gb):
    answer = gb()
    assert "Usage: gatebench" in answer.out + answer.err
    assert "Traceback" not in answer.err


# --- in processes of their own


def process(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "gatebench.cli.main", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_bad_input_in_a_process_of_its_own(tmp_path):
    done = process(tmp_path, "run", *FLAGS, "-m", "forwrd")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("-m: unknown mode 'forwrd'; ")
    assert list(tmp_path.iterdir()) == []


def test_a_reader_that_goes_away_gets_no_traceback(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    line = f"{sys.executable} -m gatebench.cli.main list --json | head -c 10"
    done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


HEAVY = ("torch", "numba")


def loads(code, *arguments):
    """Return which heavy libraries a command line loads, in a fresh process."""
    text = f"import sys\nsys.argv = ['gatebench', *{list(map(str, arguments))!r}]\ntry:\n    {code}\nexcept SystemExit: pass\nprint([name for name in {HEAVY!r} if name in sys.modules])"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


MAIN = "from gatebench.cli.main import main; main()"


@pytest.mark.parametrize("arguments", [("--help",), ("run", "--help"), ("compare", "latest"), ("run", "gone.toml")])
def test_light_verbs_load_neither_torch_nor_numba(stored, arguments):
    if arguments[0] == "compare":
        arguments = (*arguments, "--store", stored)
    assert loads(MAIN, *arguments) == "[]"


def test_the_look_for_torch_and_numba_would_see_them():
    assert loads("import torch, numba") == "['torch', 'numba']"

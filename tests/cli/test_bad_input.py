"""Bad input: one line `<where>: <what>; <accepted>; <next step>`, exit code 2, nothing in the store."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli_helpers import call, one_line

import gatebench
from gatebench.run import discover as discovering
from gatebench.run.discover import discover

ROOT = Path(gatebench.__file__).resolve().parents[1]
FLAGS = ("-g", "glu", "-i", "eager", "--batch", "1", "--seq-len", "2", "--hidden-size", "4", "--threads", "1")
HEAD = 'schema = "gatebench-suite/1"\n'
GROUP = """
[[cases]]
why = "a test"
gates = ["glu"]
implementations = ["eager"]
threads = [1]
batch = [1]
seq_len = [2]
hidden_size = [4]
"""
STABILITY = '[stability]\nwhy = "a test"\ngates = ["lstm"]\nseq_len = [4]\nhidden_size = [2]\n'


@pytest.fixture(scope="session")
def catalogue():
    """What can be measured here, asked of a real worker once."""
    return discover()


@pytest.fixture
def gb(capsys, monkeypatch, tmp_path, catalogue, request):
    """Call gatebench in this process, in an empty folder; a catalogue without plugins is not asked for again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GATEBENCH_STORE", raising=False)

    def known(plugins=(), ceilings=False):
        return discovering_really(plugins, ceilings) if list(plugins) else catalogue

    discovering_really = discovering.discover
    monkeypatch.setattr(discovering, "discover", known)
    yield lambda *arguments: call(capsys, monkeypatch, *arguments)
    if "measures" not in request.keywords.get("usefixtures", ()):
        written = [path for path in tmp_path.rglob("*") if path.is_file() and "results" in path.parts[:-1]]
        assert [path for path in written if path.name != "keep"] == []


def suite(text, name="s.toml"):
    """Write a suite into the current folder and return its name."""
    Path(name).write_text(text)
    return name


# --- names and values in a suite

SUITES = {
    "unknown key at the top": (HEAD + 'nmae = "x"\n' + GROUP, ["s.toml: unknown key 'nmae'", "did you mean 'name'?"]),
    "unknown key in a group": (HEAD + GROUP + "hiden_size = [3]\n", ["cases[1]: unknown key 'hiden_size'", "'hidden_size'?"]),
    "unknown key in measure": (HEAD + "[measure]\nround = 3\n" + GROUP, ["measure: unknown key 'round'", "'rounds'?"]),
    "unknown key in stability": (HEAD + STABILITY + "seed = 3\n", ["stability: unknown key 'seed'", "'seeds'?"]),
    "unknown key in a shape": (HEAD + GROUP.split("batch")[0] + "shapes = [{ batch = 1, seqlen = 2 }]\n", ["shapes[1]: unknown key 'seqlen'", "'seq_len'?"]),
    "unknown gate": (HEAD + GROUP.replace('"glu"', '"swigl"'), ["cases[1].gates: unknown gate 'swigl'", "'swiglu'?"]),
    "unknown family": (HEAD + GROUP.replace('"glu"', '"family:recurent"'), ["unknown family", "'family:recurrent'?"]),
    "unknown implementation": (HEAD + GROUP.replace("eager", "eagr"), ["unknown implementation 'eagr'", "'eager'?"]),
    "unknown dtype": (HEAD + GROUP + 'dtypes = ["flaot32"]\n', ["unknown dtype 'flaot32'", "'float32'?"]),
    "unknown mode": (HEAD + GROUP + 'modes = ["forwards"]\n', ["unknown mode 'forwards'", "'forward'?"]),
    "unknown device": (HEAD + GROUP + 'device = "gpu"\n', ["unknown device 'gpu'", "auto, cpu, cuda"]),
    "unknown gate option": (HEAD + GROUP + "options = { pakced = true }\n", ["unknown option 'pakced'", "'packed'?"]),
    "unknown implementation option": (HEAD + GROUP.replace("eager", "compile") + "implementation_options = { compile = { chnk = 3 } }\n", ["unknown option 'chnk'", "'chunk'?"]),
    "options of an unknown implementation": (HEAD + GROUP.replace('["eager"]', '["*"]') + "implementation_options = { complie = { chunk = 3 } }\n", ["'complie'", "'compile'?"]),
    "option out of range": (HEAD + GROUP.replace("eager", "compile") + "implementation_options = { compile = { chunk = 0 } }\n", ["chunk = 0 is out of range", "int from 1"]),
    "option of a wrong type": (HEAD + GROUP + 'options = { packed = "yes" }\n', ["packed = 'yes' has type str"]),
    "options that are no table": (HEAD + GROUP + "options = 3\n", ["cases[1].options: 3 is no table"]),
    "options with an empty axis": (HEAD + GROUP + "options = { packed = [] }\n", ["options.packed: the axis is empty"]),
    "implementation options that are no table": (HEAD + GROUP + "implementation_options = { eager = 3 }\n", ["implementation_options.eager: 3 is no table"]),
    "zero size": (HEAD + GROUP.replace("seq_len = [2]", "seq_len = [0]"), ["cases[1].seq_len: 0", "integers from 1"]),
    "negative size": (HEAD + GROUP.replace("batch = [1]", "batch = -4"), ["cases[1].batch: -4"]),
    "size that is no integer": (HEAD + GROUP.replace("batch = [1]", 'batch = ["one"]'), ["cases[1].batch: 'one'"]),
    "huge size": (HEAD + GROUP.replace("seq_len = [2]", "seq_len = [99999999999]"), ["seq_len: 99999999999"]),
    "too many threads": (HEAD + GROUP.replace("threads = [1]", "threads = [100000]"), ["threads: 100000", "to 1024"]),
    "empty axis": (HEAD + GROUP.replace("batch = [1]", "batch = []"), ["cases[1].batch: the axis is empty"]),
    "empty list of names": (HEAD + GROUP.replace('["glu"]', "[]"), ["cases[1].gates: []"]),
    "missing axis": (HEAD + GROUP.replace("batch = [1]", ""), ["has no `batch`", "it is required"]),
    "missing why": (HEAD + GROUP.replace("why", "# why"), ["cases[1]: has no `why`"]),
    "shapes and sizes": (HEAD + GROUP + "shapes = [{ batch = 1, seq_len = 2, hidden_size = 4 }]\n", ["gives shapes and single sizes"]),
    "empty shapes": (HEAD + GROUP.split("batch")[0] + "shapes = []\n", ["cases[1].shapes: []"]),
    "nothing": (HEAD, ["s.toml: expands to no cases"]),
    "everything excluded": (HEAD + GROUP + "exclude = [{ batch = 1 }]\n", ["leaves no cases"]),
    "excluded name that does not exist": (HEAD + GROUP + 'exclude = [{ implementations = ["egaer"] }]\n', ["unknown implementation 'egaer'", "'eager'?"]),
    "excluded size that is none": (HEAD + GROUP + "exclude = [{ batch = 2020-01-01 }]\n", ["exclude.batch"]),
    "no schema": (GROUP, ["schema = None is no suite", 'accepted: schema = "gatebench-suite/1"']),
    "newer schema": (HEAD.replace("/1", "/2") + GROUP, ["'gatebench-suite/2'"]),
    "cases that are no list": (HEAD + "cases = 3\n", ["cases is no list"]),
    "stability that is no table": (HEAD + "stability = 3\n" + GROUP, ["stability = 3"]),
    "seed": (HEAD + "seed = -1\n" + GROUP, ["seed = -1"]),
    "infinite warm-up": (HEAD + "[measure]\nwarmup_s = inf\n" + GROUP, ["measure.warmup_s: inf"]),
    "sample of nan": (HEAD + "[measure]\nsample_ms = nan\n" + GROUP, ["measure.sample_ms: nan"]),
    "no rounds": (HEAD + "[measure]\nrounds = 0\n" + GROUP, ["measure.rounds: 0", "an integer from 1"]),
    "raised limit": (HEAD + "[measure]\nerror_limit = 50\n" + GROUP, ["measure.error_limit: 50", "only lower"]),
    "missing plugin": (HEAD + 'plugins = ["gone.py"]\n' + GROUP, ["plugin gone.py: no such file"]),
    "plugins that are no list": (HEAD + "plugins = 3\n" + GROUP, ["plugins = 3"]),
    "extends nothing known": (HEAD + 'extends = "qick"\n' + GROUP, ["unknown suite 'qick'", "'quick'?"]),
    "extends a number": (HEAD + "extends = 3\n" + GROUP, ["extends = 3"]),
    "unknown init": (HEAD + STABILITY + 'init = ["torhc"]\n', ["stability.init: unknown init 'torhc'", "'torch'?"]),
    "init without a number": (HEAD + STABILITY + 'init = ["forget_bias=much"]\n', ["unknown init 'forget_bias=much'"]),
    "no seeds": (HEAD + STABILITY + "seeds = 0\n", ["seeds = 0"]),
    "not TOML": (HEAD + "cases = [[\n", ["suite s.toml: is not TOML: "]),
    "nested too deep": (HEAD + "cases = " + "[" * 100_000, ["suite s.toml: is not TOML: nested too deep"]),
}  # fmt: skip


@pytest.mark.parametrize("name", SUITES)
def test_a_broken_suite_is_one_line(gb, name):
    text, parts = SUITES[name]
    one_line(gb("run", suite(text)), *parts)


def test_the_suite_that_others_break_is_right(gb):
    answer = gb("run", suite(HEAD + GROUP + STABILITY), "--dry-run")
    assert answer.code == 0
    assert "1 case of 1 problem, 1 to be measured, 1 stability request" in answer.out


@pytest.mark.parametrize("lines", [
    "seq_len = [{axis}]\nhidden_size = [{axis}]",
    "seq_len = [2]\nhidden_size = [{axis}]\nmodes = ['forward', 'backward', 'forward_backward']\ninput_size = [{axis}]",
    "seq_len = [2]\nhidden_size = [{axis}]\nthreads = [{axis}]",
])  # fmt: skip
def test_over_100_000_cases_are_refused_at_once(gb, lines):
    axis = ", ".join(map(str, range(1, 1001)))
    text = HEAD + GROUP.split("threads")[0] + "batch = [1]\n" + lines.format(axis=axis) + "\n"
    started = time.monotonic()
    one_line(
        gb("run", suite(text), "--dry-run"), "s.toml: expands to ", "at most 100,000 are accepted", "shorten an axis"
    )
    assert time.monotonic() - started < 5


def test_options_count_as_axes(gb):
    chunks = ", ".join(map(str, range(1, 101)))
    text = HEAD + GROUP.replace("eager", "compile").replace("[2]", f"[{', '.join(map(str, range(1, 2000)))}]")
    one_line(
        gb("run", suite(text + f"implementation_options = {{ compile = {{ chunk = [{chunks}] }} }}\n"), "--dry-run"),
        "s.toml: expands to 199,900 cases",
    )


def test_over_100_000_stability_requests_are_refused_at_once(gb):
    text = HEAD + STABILITY.replace("[4]", f"[{', '.join(map(str, range(1, 1000)))}]") + "seeds = 1000\n"
    one_line(gb("run", suite(text), "--dry-run"), "stability: expands to 999,000 requests")


def test_exactly_100_000_cases_are_accepted(gb):
    text = HEAD + GROUP.replace("[2]", f"[{', '.join(map(str, range(1, 1001)))}]")
    text = text.replace("[4]", f"[{', '.join(map(str, range(1, 101)))}]")
    answer = gb("run", suite(text), "--dry-run", "--json")
    assert answer.code == 0
    assert len(json.loads(answer.out)["cases"]) == 100_000


# --- files


def test_a_suite_file_that_is_missing_or_unreadable_is_one_line(gb, tmp_path):
    one_line(gb("run", "gone.toml"), "suite gone.toml: no such file", "quick")
    one_line(gb("run", "folder/gone"), "no such file")
    one_line(gb("run", "qick"), "unknown suite 'qick'", "did you mean 'quick'?")
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"')
    one_line(gb("run", "latin.toml"), "suite latin.toml: cannot be read: not UTF-8 text")
    (tmp_path / "binary.toml").write_bytes(b"\x00\x01")
    one_line(gb("run", "binary.toml"), "suite binary.toml: is not TOML")
    (tmp_path / "folder.toml").mkdir()
    one_line(gb("run", "folder.toml"), "suite folder.toml: no such file")


def test_a_suite_file_that_may_not_be_read_is_one_line(gb, tmp_path, monkeypatch):
    path = suite(HEAD + GROUP)
    real = Path.read_text

    def read_text(self, *arguments, **named):
        if self.name == path:
            raise PermissionError(13, "Permission denied", path)
        return real(self, *arguments, **named)

    monkeypatch.setattr(Path, "read_text", read_text)
    one_line(gb("run", path), "suite s.toml: cannot be read: Permission denied")


def test_suites_that_extend_each_other_are_one_line(gb):
    suite(HEAD + 'extends = "b"\n' + GROUP, "a.toml")
    suite(HEAD + 'extends = "c.toml"\n' + GROUP, "b.toml")
    suite(HEAD + 'extends = "a"\n' + GROUP, "c.toml")
    one_line(gb("run", "a.toml"), "c.toml: extends = 'a' goes round in a circle (a -> b -> c -> a)")
    suite(HEAD + 'extends = "self"\n' + GROUP, "self.toml")
    one_line(gb("run", "self.toml"), "circle (self -> self)")


def test_a_suite_extends_one_beside_it_from_any_folder(gb, tmp_path):
    (tmp_path / "deep").mkdir()
    suite(HEAD + "seed = 7\n[measure]\nrounds = 4\n" + GROUP, "deep/base.toml")
    suite(HEAD + 'extends = "base"\n' + GROUP.replace("[2]", "[3]"), "deep/more.toml")
    answer = gb("run", "deep/more.toml", "--dry-run", "--json")
    assert json.loads(answer.out)["cases"] == [
        f"glu/eager/T{length}-B1-I4-H4/float32/cpu-1/forward;seed=7" for length in (2, 3)
    ]


def test_ones_own_quick_may_extend_the_shipped_one(gb):
    suite(HEAD + 'extends = "quick"\n', "mine.toml")
    assert gb("run", "mine.toml", "--dry-run").code == 0


# --- flags


FLAG_ERRORS = {
    "unknown gate": (("-g", "swigl", "--batch", 1, "--seq-len", 2, "--hidden-size", 4), ["unknown gate 'swigl'", "'swiglu'?"]),
    "unknown implementation": ((*FLAGS, "-i", "nativ"), ["unknown implementation 'nativ'", "'native'?"]),
    "unknown mode": ((*FLAGS, "-m", "forwrd"), ["unknown mode 'forwrd'", "'forward'?"]),
    "unknown dtype": ((*FLAGS, "--dtype", "float23"), ["unknown dtype 'float23'", "'float32'?"]),
    "unknown device": ((*FLAGS, "--device", "tpu"), ["unknown device 'tpu'"]),
    "zero size": ((*FLAGS, "--batch", "0"), ["--batch: '0' is no size"]),
    "negative size": ((*FLAGS, "--seq-len=-3",), ["--seq-len: '-3' is no size"]),
    "options of nothing": ((*FLAGS, "-o", "lstn.num_layers=2"), ["-o: ", "'lstn'"]),
    "option of a gate out of range": (("-g", "lstm", "-i", "eager", "--batch", "1", "--seq-len", "2", "--hidden-size", "2", "-o", "lstm.num_layers=0"), ["num_layers = 0 is out of range", "int from 1"]),
    "threads that are none": ((*FLAGS, "--threads", "all"), ["--threads: 'all' is no number of threads"]),
    "size that is none": ((*FLAGS, "--hidden-size", "4,x"), ["--hidden-size: 'x' is no size"]),
    "digits of another script": ((*FLAGS, "--hidden-size", "²"), ["--hidden-size: '²' is no size"]),
    "no sizes": (("-g", "glu"), ["--batch: is missing"]),
    "nothing at all": ((), ["run: neither a suite nor a gate is given", "gatebench run quick"]),
    "option without a name": ((*FLAGS, "-o", "chunk=3"), ["-o: 'chunk=3' is no option", "-o compile.chunk=32"]),
    "option without a value": ((*FLAGS, "-o", "compile.chunk"), ["-o: 'compile.chunk' is no option"]),
    "option of nothing known": ((*FLAGS, "-o", "complie.chunk=3"), ["'complie'", "'compile'?"]),
    "option that does not exist": ((*FLAGS, "-o", "eager.chunk=3"), ["eager: unknown option 'chunk'"]),
    "option out of range": ((*FLAGS, "-i", "compile", "-o", "compile.chunk=-1"), ["chunk = -1 is out of range"]),
    "unknown baseline": ((*FLAGS, "--baseline", "nativ"), ["--baseline: unknown implementation 'nativ'", "accepted: eager"]),
    "unknown metric": ((*FLAGS, "--metrics", "tiem"), ["--metrics: unknown metric 'tiem'", "'time'?"]),
    "no blocks": ((*FLAGS, "--blocks", "0"), ["run: Invalid value for '--blocks'"]),
    "rounds that are none": ((*FLAGS, "--rounds", "many"), ["run: Invalid value for '--rounds'"]),
    "unknown flag": ((*FLAGS, "--hiden-size", "4"), ["--hiden-size"]),
    "missing plugin": ((*FLAGS, "--plugin", "gone.py"), ["plugin gone.py: no such file"]),
    "flag that a suite says itself": (("quick", "--input-size", "4"), ["--input-size: goes without a suite only"]),
    "name that a suite does not have": (("quick", "-i", "nativ"), ["-i: unknown implementation 'nativ'", "'native'?"]),
    "gate that a suite does not have": (("quick", "-g", "lst"), ["-g: unknown gate 'lst'", "'lstm'?"]),
    "option a suite's implementations do not have": (("quick", "-o", "complie.chunk=3"), ["-o: unknown gate or implementation 'complie'", "'compile'?"]),
    "glob that leaves nothing": (("quick", "-k", "nothing/*"), ["quick.toml: leaves no cases"]),
    "nothing to resume": (("--resume",), ["store results: no run to resume"]),
    "too many suites": (("quick", "quick"), ["run: Got unexpected extra argument"]),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAG_ERRORS)
def test_a_wrong_flag_is_one_line(gb, name):
    arguments, parts = FLAG_ERRORS[name]
    one_line(gb("run", *arguments), *parts)


OTHER_VERBS = {
    "unknown verb": (("rnu",), ["gatebench: No such command 'rnu'", "'run'"]),
    "list of what": (("list", "gatess"), ["list: unknown kind 'gatess'", "'gates'?"]),
    "compare without a store": (("compare",), ["store results: no such folder", "gatebench run quick"]),
    "verify an unknown gate": (("verify", "-g", "lst"), ["unknown gate 'lst'", "'lstm'?"]),
    "verify an unknown suite": (("verify", "qick"), ["unknown suite 'qick'"]),
    "stability of an unknown gate": (("stability", "lst"), ["unknown gate 'lst'", "'lstm'?"]),
    "stability of nothing": (("stability",), ["stability: Missing argument"]),
    "stability of an unknown init": (("stability", "lstm", "--init", "torhc"), ["unknown init 'torhc'", "'torch'?"]),
    "stability of an unknown dtype": (("stability", "lstm", "--dtype", "half"), ["unknown dtype 'half'"]),
    "stability of length zero": (("stability", "lstm", "--seq-len", "0"), ["--seq-len: '0' is no size"]),
    "a port that is none": (("dashboard", "--port", "99999999"), ["dashboard: Invalid value for '--port'"]),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHER_VERBS)
def test_other_verbs_complain_in_one_line_too(gb, name):
    arguments, parts = OTHER_VERBS[name]
    one_line(gb(*arguments), *parts)


# --- stores


def test_an_empty_store_or_an_unknown_run_is_one_line(gb, tmp_path):
    (tmp_path / "results" / "runs").mkdir(parents=True)
    one_line(gb("compare"), "store results: ", "gatebench run quick")
    one_line(gb("compare", "20260101"), "no run '20260101'")
    one_line(gb("compare", "gone", "--store", "elsewhere"), "store elsewhere: no such folder")


def test_a_store_that_is_a_file_is_one_line(gb, tmp_path):
    (tmp_path / "keep").write_text("a file of mine")
    one_line(gb("run", *FLAGS, "--store", "keep"), "store keep: cannot write", "--store")
    one_line(gb("run", *FLAGS, "--store", "keep/below"), "cannot write", "--store")
    one_line(gb("compare", "--store", "keep"), "store keep: no such folder")
    assert (tmp_path / "keep").read_text() == "a file of mine"


@pytest.fixture
def stored(tmp_path):
    """A store with one synthetic run."""
    sys.path.insert(0, str(ROOT))
    from tests.synthetic import Plan, write_store

    write_store(tmp_path / "elsewhere", Plan(gates=("gru",), seq_lens=(64, 128), hidden_sizes=(64,)))
    return tmp_path / "elsewhere"


def test_compare_says_what_is_wrong_in_one_line(gb, stored):
    assert gb("compare", "--store", stored, "--json").code == 0
    one_line(gb("compare", "--store", stored, "--baseline", "nativ"), "--baseline: ", "'nativ'")
    one_line(gb("compare", "--store", stored, "--metrics", "tiem"), "--metrics: unknown metric 'tiem'", "'time'?")
    one_line(gb("compare", "gone", "--store", stored), "no run 'gone'")


@pytest.mark.parametrize("name", ["measurements", "samples"])
def test_compare_of_a_broken_run_is_one_line(gb, stored, name):
    path = next(stored.glob(f"runs/*/{name}.parquet"))
    path.write_bytes(path.read_bytes()[:100])
    one_line(gb("compare", "--store", stored), f"{name}.parquet cannot be read")


def test_compare_of_a_newer_run_is_one_line(gb, stored):
    path = next(stored.glob("runs/*/manifest.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 99}))
    one_line(gb("compare", "--store", stored), "schema version 99 is newer", "update gatebench")


# --- what goes well, and exit code 3

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
    from gatebench.run import runner

    monkeypatch.setattr(runner, "FOREIGN_LIMIT", 9.0)
    monkeypatch.setattr(runner, "STEAL_LIMIT", 9.0)


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
         "unknown gate of lab:x 'lstmm'; accepted: attention_gate"),
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

"""Bad suites and suite files: one line `<where>: <what>; <accepted>; <next step>`, exit code 2, nothing in the store."""

import json
import time
from pathlib import Path

import pytest
from cli_helpers import GROUP, HEAD, STABILITY, one_line, suite

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
    "init out of range": (HEAD + STABILITY + 'init = ["gaussian=-1"]\n', ["stability.init: unknown init 'gaussian=-1'", "gaussian=<g >= 0>", "chrono=<T_max >= 3>"]),
    "inputs out of range": (HEAD + STABILITY + 'inputs = ["correlated=1"]\n', ["stability.inputs: unknown inputs 'correlated=1'", "correlated=<-1 < rho < 1>", "white=<s2 >= 0>"]),
    "no seeds": (HEAD + STABILITY + "seeds = 0\n", ["s.toml: stability.seeds: 0; an integer from 1 to 10,000"]),
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

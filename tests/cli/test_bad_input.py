"""Bad flags and stores: one line `<where>: <what>; <accepted>; <next step>`, exit code 2, nothing in the store."""

import json

import pytest
from cli_helpers import FLAGS, one_line

FLAG_ERRORS = {
    "one of many gates": (("-g", "lstn", *FLAGS[2:]), ["-g: unknown gate 'lstn'; accepted: one of 5", "did you mean 'lstm'?"]),
    "unknown gate": (("-g", "swigl", "--batch", 1, "--seq-len", 2, "--hidden-size", 4), ["unknown gate 'swigl'", "'swiglu'?"]),
    "unknown implementation": ((*FLAGS, "-i", "nativ"), ["unknown implementation 'nativ'", "'native'?"]),
    "unknown mode": ((*FLAGS, "-m", "forwrd"), ["unknown mode 'forwrd'", "'forward'?"]),
    "unknown dtype": ((*FLAGS, "--dtype", "float23"), ["unknown dtype 'float23'", "'float32'?"]),
    "unknown device": ((*FLAGS, "--device", "tpu"), ["unknown device 'tpu'"]),
    "unknown gate beside a known one": ((*FLAGS, "-g", "lstn"), ["unknown gate 'lstn'", "'lstm'?"]),
    "zero size": ((*FLAGS, "--batch", "0"), ["--batch: '0' is no size"]),
    "negative size": ((*FLAGS, "--seq-len=-3",), ["--seq-len: '-3' is no size"]),
    "options of nothing": ((*FLAGS, "-o", "lstn.num_layers=2"), ["-o: ", "'lstn'"]),
    "option of a gate out of range": (("-g", "lstm", "-i", "eager", "--batch", "1", "--seq-len", "2", "--hidden-size", "2", "-o", "lstm.num_layers=0"), ["num_layers = 0 is out of range", "int from 1"]),
    "an option that an implementation not asked for does not have": ((*FLAGS, "-o", "compile.chnk=2"), ["-o: compile: unknown option 'chnk'", "'chunk'?"]),
    "options of a gate not asked for": ((*FLAGS, "-o", "gru.num_layers=2"), ["-o: gate 'gru' is not asked for"]),
    "option of another type": (("-g", "lstm", *FLAGS[2:], "-o", "lstm.num_layers=two"), ["-o: gate lstm: num_layers = 'two' has type str"]),
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
    "list of what": (("list", "gatess"), ["list: unknown kind or gate 'gatess'", "'gates'?"]),
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


# --- outputs


@pytest.mark.parametrize("verb", [("run", *FLAGS), ("ab", "HEAD")])
def test_outputs_that_cannot_be_written_are_refused_before_anything_is_measured(gb, tmp_path, verb):
    (tmp_path / "page").mkdir()
    one_line(gb(*verb, "--markdown", "page"), "--markdown: page is a folder")
    one_line(gb(*verb, "--junit", "page"), "--junit: page is a folder")
    one_line(gb(*verb, "--junit", "-"), "--junit: - is no file")
    one_line(gb(*verb, "--json", "--markdown", "-"), "--markdown: - is given together with --json", "name a file")
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


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

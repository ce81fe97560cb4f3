"""What the command line leaves of a suite, and how the plan is shown; nothing is measured."""

import json

import pytest
from cli_helpers import call, one_line

from gatebench.run import discover as discovering
from gatebench.run import resume as resuming
from gatebench.run.discover import discover
from gatebench.run.execute import Request, make_plan
from gatebench.suites import Narrowing, suite_from_text

SUITE = """
schema = "gatebench-suite/1"
[[cases]]
why = "Two gates on few threads."
gates = ["lstm", "gru"]
implementations = ["eager", "native"]
threads = [0, 1]
batch = [1]
seq_len = [2]
hidden_size = [4]
[stability]
why = "The same gates, and one that is not timed."
gates = ["lstm", "gru", "rnn_tanh"]
seq_len = [4]
hidden_size = [2]
"""


@pytest.fixture(scope="module")
def catalogue():
    """What can be measured here, asked of a real worker once."""
    return discover()


@pytest.fixture
def planned(catalogue, tmp_path):
    """Return a function from a narrowing to (gates timed, gates whose stability is measured)."""

    def make(**narrowing):
        plan = make_plan(Request(suite_from_text(SUITE, "s.toml", tmp_path), Narrowing(**narrowing)), catalogue)
        return {case.gate for case in plan.cases}, [entry["gate"] for entry in plan.stability]

    return make


def test_a_whole_suite_has_its_whole_stability_part(planned):
    assert planned() == ({"lstm", "gru"}, ["lstm", "gru", "rnn_tanh"])


@pytest.mark.parametrize(
    "what", [("quick",), ("--batch", "1", "--seq-len", "2", "--hidden-size", "4", "-m", "forward_backward")]
)
def test_o_gives_options_to_gates_and_to_implementations(monkeypatch, capsys, catalogue, what):
    monkeypatch.setattr(discovering, "discover", lambda *plugins, **settings: catalogue)
    given = ("-g", "lstm,gru", "-i", "eager,compile", "-o", "lstm.num_layers=2", "-o", "compile.chunk=4")
    answer = call(capsys, monkeypatch, "run", *what, *given, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    found = set()
    for case_id in json.loads(answer.out)["cases"]:
        case, *options = case_id.split(";")
        found.add((*case.split("/")[:2], *options))
    assert found == {
        ("lstm", "eager", "num_layers=2"), ("lstm", "compile", "compile.chunk=4", "num_layers=2"),
        ("gru", "eager"), ("gru", "compile", "compile.chunk=4"),
    }  # fmt: skip


@pytest.mark.parametrize("narrowing", [{"gates": ("gru",)}, {"glob": "gru/*"}, {"glob": "gru", "modes": ("forward",)}])
def test_stability_goes_with_the_gates_that_are_left(planned, narrowing):
    assert planned(**narrowing) == ({"gru"}, ["gru"])


def test_the_stability_of_a_gate_without_cases_goes_when_cases_are_chosen(planned):
    assert planned(implementations=("eager",)) == ({"lstm", "gru"}, ["lstm", "gru"])


def test_of_a_suite_of_stability_alone_flags_choose_among_its_requests(catalogue, tmp_path, capsys, monkeypatch):
    head, _, _ = SUITE.partition("[[cases]]")
    text = head + "[stability]" + SUITE.partition("[stability]")[2].replace("[4]", "[4, 8]")
    text += 'dtypes = ["float64", "float32"]\n'
    chosen = Narrowing(gates=("gru",), dtypes=("float32",), seq_len=(8, 16))
    plan = make_plan(Request(suite_from_text(text, "s.toml", tmp_path), chosen), catalogue)
    assert [(entry["gate"], entry["dtype"], entry["seq_len"]) for entry in plan.stability] == [("gru", "float32", 8)]
    monkeypatch.setattr(discovering, "discover", lambda plugins=(), ceilings=False: catalogue)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.toml").write_text(text)
    one_line(
        call(capsys, monkeypatch, "run", "s.toml", "--batch", "3", "--dry-run"), "s.toml: leaves nothing to measure"
    )


def test_zero_threads_are_all_cores(catalogue, tmp_path, capsys, monkeypatch):
    narrowing = Narrowing(threads=(0,))
    plan = make_plan(Request(suite_from_text(SUITE, "s.toml", tmp_path), narrowing), catalogue)
    assert {case.threads for case in plan.cases} == {catalogue.cores}
    monkeypatch.setattr(discovering, "discover", lambda plugins=(), ceilings=False: catalogue)
    flags = ("-g", "glu", "-i", "eager", "--batch", "1", "--seq-len", "2", "--hidden-size", "4", "--threads", "0")
    answer = call(capsys, monkeypatch, "run", *flags, "--dry-run", "--json")
    assert json.loads(answer.out)["cases"] == [f"glu/eager/T2-B1-I4-H4/float32/cpu-{catalogue.cores}/forward"]


def test_verify_takes_options_of_implementations(catalogue, capsys, monkeypatch):
    monkeypatch.setattr(discovering, "discover", lambda plugins=(), ceilings=False: catalogue)
    one_line(call(capsys, monkeypatch, "verify", "-o", "compile.chnk=3"), "unknown option 'chnk'", "'chunk'?")


def test_a_wrong_baseline_of_a_resumed_run_is_known_before_anything_is_measured(
    catalogue, tmp_path, capsys, monkeypatch
):
    plan = make_plan(Request(suite_from_text(SUITE, "s.toml", tmp_path)), catalogue)

    def resume(store, name, progress, plugins, accept):
        accept(plan)
        raise AssertionError("it was accepted")

    monkeypatch.setattr(resuming, "resume", resume)
    answer = call(capsys, monkeypatch, "run", "--resume", "latest", "--baseline", "nativ")
    one_line(answer, "--baseline: unknown implementation 'nativ'", "accepted: eager, native")


def case_ids(monkeypatch, capsys, catalogue, *arguments):
    """Return the ids of the cases that `run --dry-run` plans."""
    monkeypatch.setattr(discovering, "discover", lambda *plugins, **settings: catalogue)
    answer = call(capsys, monkeypatch, "run", *arguments, "--dry-run", "--json")
    assert answer.code == 0, answer.err
    return json.loads(answer.out)["cases"]


def test_o_reaches_a_gate_behind_its_family(monkeypatch, capsys, catalogue):
    sizes = ("--batch", "1", "--seq-len", "2", "--hidden-size", "4", "-i", "eager")
    found = case_ids(monkeypatch, capsys, catalogue, "-g", "family:recurrent", *sizes, "-o", "lstm.num_layers=2")
    assert [case for case in found if case.endswith(";num_layers=2")] == [
        "lstm/eager/T2-B1-I4-H4/float32/cpu-2/forward;num_layers=2".replace("cpu-2", f"cpu-{catalogue.cores}")
    ]


def test_stability_takes_the_options_of_a_gate_too(catalogue, tmp_path):
    narrowing = Narrowing(gates=("lstm",), options={"lstm": {"num_layers": 2}})
    plan = make_plan(Request(suite_from_text(SUITE, "s.toml", tmp_path), narrowing), catalogue)
    assert [entry["gate_options"] for entry in plan.stability] == [{"num_layers": 2}]
    assert {case.gate_options for case in plan.cases} == {(("num_layers", 2),)}


def test_a_star_stands_for_every_gate(monkeypatch, capsys, catalogue):
    found = case_ids(monkeypatch, capsys, catalogue, "catalogue", "-i", "eager", "-m", "forward", "--dtype", "float32")
    assert {case.split("/")[0] for case in found} == set(catalogue.gates)


@pytest.mark.parametrize("sizes", [("--seq-len", "2,4"), ("--seq-len", "2", "--seq-len", "4")])
@pytest.mark.parametrize("gates", [("-g", "glu,gru"), ("-g", "glu", "--gate", "gru")])
def test_a_list_may_be_given_in_parts(monkeypatch, capsys, catalogue, gates, sizes):
    rest = ("-i", "eager", "--batch", "1", "--hidden-size", "4", "--threads", "1")
    found = case_ids(monkeypatch, capsys, catalogue, *gates, *sizes, *rest)
    assert found == [f"{gate}/eager/T{length}-B1-I4-H4/float32/cpu-1/forward" for gate in ("glu", "gru") for length in (2, 4)]  # fmt: skip

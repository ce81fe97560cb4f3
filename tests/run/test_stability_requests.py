"""[stability] parts as requests: expansion, what several parts ask together, keys of the journal, and going on."""

import itertools
from pathlib import Path

import fakes
import pytest

from gatebench.contract import Failure
from gatebench.errors import SuiteError
from gatebench.forms import DEFAULT_METRICS, METRICS, TASKS
from gatebench.run.plan import Plan, stability_seconds
from gatebench.run.progress import Silent
from gatebench.run.publish import stability_rows
from gatebench.run.stability_rows import StabilityRunner, failed_row, request_key
from gatebench.stability.measure import measure
from gatebench.store.journal import Journal
from gatebench.store.schema import TABLES
from gatebench.suites import Measure, Narrowing
from gatebench.suites.read import suite_from_text
from gatebench.suites.stability import AXES, expand_stability

HEAD = 'schema = "gatebench-suite/1"\nseed = 5\n'
PART = '[[stability]]\nwhy = "a test"\ngates = ["lstm"]\nseq_len = [8]\nhidden_size = [3]\n'
TRAINED = PART + 'tasks = ["adding"]\nafter_steps = 4\n'


@pytest.fixture
def expanded(catalogue):
    """Return the requests of the text of [[stability]] parts."""
    return lambda text, **narrowing: expand_stability(
        suite_from_text(HEAD + text, "s.toml", Path()), catalogue, Narrowing(**narrowing)
    )


# --- what a part asks for


def test_a_part_without_keys_asks_for_the_default_metrics_and_trains_nothing(expanded):
    (request,) = expanded(PART)
    assert request["metrics"] == list(DEFAULT_METRICS)
    assert (request["probes"], request["task"], request["inputs"], request["seed"]) == (0, None, "normal", 5)
    assert not {"after_steps", "clip", "learning_rate"} & request.keys()


def test_metrics_are_asked_for_by_group_and_all_by_a_star(expanded):
    assert expanded(PART + 'metrics = ["spectrum", "profile", "spectrum"]')[0]["metrics"] == ["profile", "spectrum"]
    for text in ('"*"', '["spectrum", "*"]'):
        assert expanded(PART + f"metrics = {text}")[0]["metrics"] == list(METRICS)
    assert expanded(PART + 'metrics = "theory"\n')[0]["metrics"] == ["theory"]


def test_tasks_are_an_axis_and_say_inputs_and_their_width(expanded):
    text = PART + 'tasks = ["reber", "adding", "copy", "adding"]\nafter_steps = 3\nclip = 1\nlearning_rate = 0.5\nseeds = 2'  # fmt: skip
    requests = expanded(text)
    found = [(request["task"], request["input_size"], request["seed"]) for request in requests]
    assert found == [(task, TASKS[task], seed) for task in ("reber", "adding", "copy") for seed in (5, 6)]
    for request in requests:
        assert (request["inputs"], request["hidden_size"], request["after_steps"]) == ("task", 3, 3)
        assert [(type(request[key]), request[key]) for key in ("clip", "learning_rate")] == [(float, 1.0), (float, 0.5)]


def test_a_request_is_what_a_worker_measures(expanded):
    for text in (PART, TRAINED + 'metrics = "*"\nprobes = 1\nclip = 0.5'):
        (request,) = expanded(text)
        rows = measure(request)
        assert {row["status"] for row in rows} == {"ok"}
        assert {row["task"] for row in rows} == {request["task"]}


def test_gates_that_are_not_wanted_ask_for_nothing(expanded):
    requests = expanded(PART.replace('"lstm"', '"lstm", "gru"'), gates=("gru",))
    assert [request["gate"] for request in requests] == ["gru"]


# --- what two parts ask for


def test_what_two_parts_ask_is_measured_once_with_the_metrics_of_both(expanded):
    more = PART.replace("[8]", "[8, 16]") + 'metrics = ["theory", "spectrum"]\n'
    first, second = expanded(PART + 'metrics = ["profile"]\nprobes = 2\n' + more)
    assert (first["seq_len"], first["metrics"], first["probes"]) == (8, ["profile", "spectrum", "theory"], 2)
    assert (second["seq_len"], second["metrics"], second["probes"]) == (16, ["spectrum", "theory"], 0)
    assert [request["probes"] for request in expanded(PART + PART + "probes = 2\n")] == [2]


def test_an_option_at_its_default_is_none(expanded):
    (request,) = expanded(PART + "options = { num_layers = 1 }\n" + PART)
    assert request["gate_options"] == {}
    first, second = expanded(PART + "options = { num_layers = 2, bidirectional = false }\n" + PART)
    assert (first["gate_options"], second["gate_options"]) == ({"num_layers": 2}, {})


def test_training_is_merged_where_it_is_the_same_and_stands_beside_what_is_not_trained(expanded):
    same = TRAINED + "clip = 1.0\n"
    requests = expanded(same + 'metrics = ["profile"]\n' + PART + same + 'metrics = ["spectrum"]\n')
    assert [(request["task"], request["metrics"]) for request in requests] == [
        ("adding", ["profile", "spectrum"]), (None, list(DEFAULT_METRICS)),
    ]  # fmt: skip


CONFLICTS = {
    "another clip": ("clip = 1\n", "clip = 2\n", "s.toml: stability.clip: 2.0, where another part trains lstm on adding with 1.0; "),
    "no clip": ("clip = 1\n", "", "s.toml: stability.clip: none given, where another part trains lstm on adding with 1.0; "),
    "another learning rate": ("", "learning_rate = 0.5\n", "s.toml: stability.learning_rate: 0.5, where another part trains lstm on adding with none given; "),
    "more steps": ("", "after_steps = 9\n", "s.toml: stability.after_steps: 9, where another part trains lstm on adding with 4; "),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFLICTS)
def test_two_parts_that_train_the_same_in_other_ways_are_one_line(expanded, name):
    first, second, line = CONFLICTS[name]
    again = TRAINED.replace("after_steps = 4\n", "") if "after_steps" in second else TRAINED
    with pytest.raises(SuiteError) as caught:
        expanded(TRAINED + first + again + second)
    assert str(caught.value).startswith(line)
    assert "accepted: one way to train a gate on a task; give both the same" in str(caught.value)
    assert len(expanded(TRAINED + first + again.replace("[8]", "[9]") + second)) == 2  # another length, another request


# --- what cannot be


ERRORS = {
    'metrics = ["profil"]': "stability.metrics: unknown metric 'profil'; accepted: *, bounds, ",
    "metrics = []": "stability.metrics: []; a list of at least one name is accepted",
    "metrics = 3": "stability.metrics: 3; ",
    "probes = -1": "stability.probes: -1; an integer from 0 to 1,000 is accepted",
    "probes = 1.5": "stability.probes: 1.5; ",
    "probes = true": "stability.probes: True; ",
    'metrics = ["spectrum"]\nprobes = 2': "stability.probes: 2, given without the metric profile; accepted: beside profile",
    'tasks = ["adding"]': "stability.tasks: given without after_steps; accepted: beside after_steps, 1 to 1,000,000 steps",
    'tasks = ["addding"]\nafter_steps = 1': "stability.tasks: unknown task 'addding'; accepted: adding, copy, reber; did you mean 'adding'?",
    "tasks = []\nafter_steps = 1": "stability.tasks: []; ",
    "after_steps = 3": "stability.after_steps: 3, given without tasks; accepted: beside tasks (adding, copy, reber); ",
    "clip = 1.0": "stability.clip: 1.0, given without tasks; ",
    "learning_rate = 0.1": "stability.learning_rate: 0.1, given without tasks; ",
    'tasks = ["adding"]\nafter_steps = 0': "stability.after_steps: 0; an integer from 1 to 1,000,000 is accepted",
    'tasks = ["adding"]\nafter_steps = 1\nclip = 0': "stability.clip: 0; a number above 0, up to 1,000,000 is accepted",
    'tasks = ["adding"]\nafter_steps = 1\nclip = nan': "stability.clip: nan; ",
    'tasks = ["adding"]\nafter_steps = 1\nclip = "1"': "stability.clip: '1'; ",
    'tasks = ["adding"]\nafter_steps = 1\nlearning_rate = -1': "stability.learning_rate: -1; ",
    'tasks = ["adding"]\nafter_steps = 1\ninputs = ["zero"]': "stability.inputs: given together with tasks; ",
    'tasks = ["adding"]\nafter_steps = 1\ninput_size = 2': "stability.input_size: given together with tasks; ",
    'tasks = ["adding"]\nafter_steps = 1\ninputs_file = "x.npy"': "stability.inputs_file: given together with tasks; ",
}  # fmt: skip


@pytest.mark.parametrize("line", ERRORS)
def test_what_a_part_cannot_ask_names_its_key_and_value(expanded, line):
    with pytest.raises(SuiteError) as caught:
        expanded(PART + line + "\n")
    assert str(caught.value).startswith(f"s.toml: {ERRORS[line]}")


# --- keys and going on


def test_requests_that_differ_in_any_axis_have_keys_of_their_own(expanded):
    axes = """
init = ["torch", "irnn"]
inputs = ["normal", "zero"]
dtypes = ["float64", "float32"]
batch = [1, 2]
input_size = [2, 3]
seeds = 2
"""
    text = PART.replace("[8]", "[8, 9]").replace("[3]", "[3, 4]").replace('"lstm"', '"rnn_tanh", "rnn_linear"') + axes
    tasks = TRAINED.replace('["adding"]', '["adding", "copy"]') + "options = { num_layers = 2 }\n" + TRAINED
    requests = expanded(text + tasks)
    assert len(requests) == 2**9 + 3
    assert all(len({request[name] for request in requests}) > 1 for name in AXES)
    assert len({request_key(request) for request in requests}) == len(requests)


def test_rows_of_a_request_have_its_key_and_so_has_its_failure(expanded):
    for request in expanded(TRAINED + "options = { num_layers = 2 }\n" + PART):
        for row in (measure(request)[0], failed_row(request, "timeout", "no answer")):
            named = {name: row[name] for name in (*AXES, "options")}
            assert request_key({**named, "gate_options": request["gate_options"]}) == request_key(request)
            assert set(row) <= {column.name for column in TABLES["stability"]}


class Killed(BaseException):
    """Stands for SIGKILL."""


def measured(folder, requests, kill_at=None, refuse=()):
    """Run requests into a journal with a worker that computes in this process; returns its log and the rows."""
    count = itertools.count()

    def script(worker, verb, arguments):
        if next(count) == kill_at:
            raise Killed
        if arguments["request"]["seq_len"] in refuse:
            raise Failure("timeout", "no answer to stability within 1 s")
        return {"rows": measure(arguments["request"])}

    lab = fakes.Lab(script)
    plan = Plan((), tuple(requests), Measure(), fakes.catalogue(), 8 << 30)
    journal = Journal(folder, "run")
    try:
        StabilityRunner(plan, journal, Silent(), lab).run()
    finally:
        journal.close()
    return lab, stability_rows("run", journal.entries("stability"))


def test_a_run_that_was_killed_goes_on_with_what_is_left_and_ends_with_the_same_rows(expanded, tmp_path):
    text = (
        TRAINED + 'metrics = "*"\nclip = 1e-3\nseeds = 2\n' + PART.replace('"lstm"', '"rnn_relu"') + 'metrics = "*"\n'
    )
    requests = expanded(text)
    with pytest.raises(Killed):
        measured(tmp_path / "killed", requests, kill_at=1)
    lab, rows = measured(tmp_path / "killed", requests)
    assert len(lab.said("stability")) == 2  # of 3
    _, whole = measured(tmp_path / "whole", requests)
    assert rows == whole
    assert [row["task"] for row in rows if row["metric"] == "class" and row["train_step"] in (None, 0)] == [
        *["adding"] * 10, *[None] * 5,
    ]  # fmt: skip


def test_a_request_that_comes_to_nothing_is_one_row_and_costs_no_other(expanded, tmp_path):
    requests = expanded(TRAINED.replace("[8]", "[8, 9]"))
    lab, rows = measured(tmp_path, requests, refuse=(8,))
    failed = [row for row in rows if row["status"] != "ok"]
    assert [(row["seq_len"], row["status"], row["reason"], row["task"]) for row in failed] == [
        (8, "timeout", "no answer to stability within 1 s", "adding")
    ]
    assert {row["seq_len"] for row in rows if row["status"] == "ok"} == {9}
    assert len(lab.workers) == 1


def test_training_is_expected_to_take_its_time(expanded):
    short, long = (stability_seconds(expanded(TRAINED.replace("= 4", f"= {steps}"))[0]) for steps in (4, 400_000))
    assert short < 1
    assert long > 100 * stability_seconds(expanded(PART)[0])

"""The command below the stability page: what it asks for, and what a store does not know."""

import pandas as pd
import pytest

from dashboard.stability_command import ASKED_FOR, command
from gatebench.forms import DEFAULT_METRICS, METRICS
from gatebench.stability.metrics import METRICS as TABLE

ROW = {
    "plain_gate": "lstm", "plain_options": "{}", "dtype": "float64", "seq_len": 8, "hidden_size": 4, "batch": 2,
    "init": "torch", "inputs": "normal", "seed": 0, "metric": "half_life", "probe": "ones", "task": None, "train_step": None,
}  # fmt: skip
SIZES = "--dtype float64 --seq-len 8"


def rows(*changes, seeds=4):
    """Return rows that differ from ROW in these changes, with so many seeds each."""
    return pd.DataFrame([ROW | change | {"seed": seed} for change in changes or ({},) for seed in range(seeds)])


@pytest.mark.parametrize(
    ("init", "inputs", "words"),
    [
        ("torch", "normal", f"--init torch --hidden-size 4 {SIZES} --batch 2"),
        ("torch", "white=0.5", f"--init torch --hidden-size 4 {SIZES} --inputs white=0.5 --batch 2"),
        ("file:1a2b3c4d", "normal", f"--weights FILE {SIZES} --batch 2"),
        ("file:1a2b3c4d#enc.rnn,l1,reverse", "file:5e6f7a8b",
         f"--weights FILE --prefix enc.rnn --layer 1 --direction reverse {SIZES} --inputs FILE"),
    ],
)  # fmt: skip
def test_the_command_names_files_and_what_was_chosen_in_them(init, inputs, words):
    assert command(rows({"init": init, "inputs": inputs})) == f"gatebench stability lstm {words}"


def test_where_weights_and_inputs_come_from_files_there_are_no_seeds_to_ask_for():
    assert "--seeds" not in command(rows({"init": "file:1a2b3c4d", "inputs": "file:5e6f7a8b"}, seeds=1))
    assert "--seeds 1" in command(rows({"init": "file:1a2b3c4d"}, seeds=1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([{"seq_len": 8}, {"seq_len": 64}, {"seq_len": 16}], "--seq-len 8,16,64"),
        ([{"init": "forget_bias=2"}, {"init": "forget_bias=1"}], "--init forget_bias=2,forget_bias=1"),
        ([{"plain_options": '{"num_layers": 2, "bias": false}'}], "-o lstm.bias=false -o lstm.num_layers=2"),
        ([{}, {"probe": "gaussian:0"}, {"probe": "gaussian:1"}], "--probes 2"),
        ([{"task": "copy", "inputs": "task", "train_step": step} for step in (0, 30, 40)], "--task copy --after-steps 40"),
    ],
)  # fmt: skip
def test_the_command_asks_for_what_the_rows_hold(changes, words):
    assert words in command(rows(*changes))


def test_gates_with_other_inits_get_a_line_of_their_own():
    shown = rows(
        {"init": "torch"}, {"init": "forget_bias=1"}, {"plain_gate": "gru"}, {"plain_gate": "rnn_tanh"},
        {"plain_gate": "janet", "init": "forget_bias=1"}, {"plain_gate": "janet", "init": "torch"},
    )  # fmt: skip
    rest = f"--hidden-size 4 {SIZES} --batch 2"
    assert command(shown).split("\n") == [
        f"gatebench stability lstm janet --init torch,forget_bias=1 {rest}",
        f"gatebench stability gru rnn_tanh --init torch {rest}",
    ]


PART = {"gates": ["lstm", "gru"], "dtypes": ["float64"], "metrics": [*DEFAULT_METRICS]}
TAUGHT = PART | {"tasks": ["copy"], "after_steps": 40}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([PART], ""),
        ([PART | {"metrics": ["profile", "lyapunov"]}], " --metric profile,lyapunov"),
        ([PART | {"metrics": ["*"]}], " --metric '*'"),
        ([PART | {"metrics": ["theory"]}, PART | {"metrics": ["profile"]}], " --metric profile,theory"),
        ([PART | {"metrics": ["theory"], "gates": ["gru"]}, PART | {"metrics": ["depth"], "gates": ["family:glu"]}], " --metric depth"),
        ([PART | {"metrics": ["theory"], "dtypes": ["float32"]}, PART | {"metrics": ["depth"], "tasks": ["copy"]}], ""),
        ([{}], ""),
    ],
)  # fmt: skip
def test_the_command_asks_for_the_groups_that_the_run_was_asked_for(parts, words):
    assert command(rows(), parts) == command(rows()) + words


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([], "--clip THRESHOLD"),
        ([TAUGHT | {"clip": 0.5}], "--clip 0.5"),
        ([TAUGHT | {"clip": 1.0, "learning_rate": 0.003}, PART], "--clip 1 --learning-rate 0.003"),
        ([TAUGHT | {"clip": 0.5}, TAUGHT | {"clip": 2.0}], "--clip THRESHOLD"),
        ([TAUGHT | {"clip": 0.5}, TAUGHT | {"clip": 2.0, "tasks": ["adding"]}], "--clip 0.5"),
    ],
)  # fmt: skip
def test_the_command_trains_as_the_run_did(parts, words):
    taught = {"task": "copy", "inputs": "task", "train_step": 40}
    assert command(rows(taught, taught | {"metric": "clip_rate"}), parts).endswith(f"--after-steps 40 {words}")


def test_what_is_not_shown_is_not_asked_for():
    assert not {"-o", "--probes", "--task", "--metric", "--seeds", "--inputs"} & set(command(rows()).split())


def test_metrics_beyond_the_usual_are_asked_for_by_group():
    assert command(rows({}, {"metric": "log_abs_det"})).endswith(f"--metric {','.join(DEFAULT_METRICS)},determinant")
    assert command(rows(*({"metric": metric} for metric in ASKED_FOR))).endswith("--metric '*'")


def test_every_group_that_is_not_usual_is_known_by_a_metric_of_its_own():
    assert set(ASKED_FOR.values()) == set(METRICS) - set(DEFAULT_METRICS)
    assert {TABLE[metric].group for metric in ASKED_FOR} == set(ASKED_FOR.values())
    assert all(TABLE[metric].group == group for metric, group in ASKED_FOR.items())

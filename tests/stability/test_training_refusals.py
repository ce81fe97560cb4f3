"""What training refuses: gates that cannot learn a sequence, and bad input in one line."""

import math
import re

import pytest
import torch
from training_problems import shape_for, trained

from gatebench import Shape, Unsupported, gates, stability
from gatebench.errors import UserError


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("glu", {}, "glu has no time, so it is not trained on sequences"),
        ("lstm", {"bidirectional": True}, "lstm with these options sees more than the past"),
        ("lstm", {"lengths": True}, "lstm with these options sees more than the past"),
        ("mlstm", {"heads": 3}, "hidden_size 8 is no multiple of heads = 3"),
        ("minimal_rnn", {"embedding": "none"}, "input_size = 2, hidden_size = 8"),
    ],
)
def test_what_a_gate_does_not_do_is_unsupported(name, options, reason):
    with pytest.raises(Unsupported, match=re.escape(reason)):
        trained(name, options=options)


BAD = {
    "steps": ({"steps": -1}, "train: steps is -1; accepted: whole numbers from 0"),
    "steps, a float": ({"steps": 5.0}, "train: steps is 5.0; accepted: whole numbers from 0"),
    "batch_size": ({"batch_size": 0}, "train: batch_size is 0; accepted: whole numbers from 1"),
    "clip": ({"clip": 0.0}, "train: clip is 0.0; accepted: a finite number above 0"),
    "learning_rate": ({"learning_rate": math.nan}, "train: learning_rate is nan; accepted: a finite number above 0"),
    "optimizer": ({"optimizer": "adm"}, "train: unknown optimizer 'adm'; accepted: adam, sgd; did you mean 'adam'?"),
    "snapshots": ({"snapshots": (0, 7)}, "train: a snapshot is asked for after step 7; accepted: 0 to 6"),
    "dtype": ({"dtype": "int8"}, "train: dtype is int8; accepted: float64, float32, bfloat16, float16; choose one of them"),
    "a low dtype": ({"dtype": "bfloat16"}, "train: dtype is bfloat16; accepted: float32, float64 (below them weights lose small updates, and Adam's 1e-8 is 0); train in one of them and round the snapshots"),
    "params": ({"params": {"weight_ih": torch.zeros(2, 2)}}, "train: params are {'weight_ih': (2, 2)}; accepted: {'weight_ih': (32, 2), 'weight_hh': (32, 8), 'bias_ih': (32,), 'bias_hh': (32,)}"),
    "task": ({"task": "coppy"}, "task: unknown task 'coppy'; accepted: adding, copy, reber; did you mean 'copy'?"),
    "too short": ({"sizes": {"seq_len": 1}}, "task adding: seq_len is 1; accepted: 2 and more"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    changes, message = BAD[case]
    with pytest.raises(stability.StabilityError, match=f"^{re.escape(message)}$") as raised:
        trained(**changes)
    assert isinstance(raised.value, UserError)


def test_an_input_of_another_width_than_the_tasks_is_refused():
    message = "train: input_size is 3; accepted: 10, the width of the task copy; give a shape with input_size=10"
    shape = Shape(batch=1, seq_len=8, input_size=3, hidden_size=4)
    with pytest.raises(stability.StabilityError, match=f"^{re.escape(message)}$"):
        stability.train(gates.get("gru"), shape, "copy", 1, seed=0)


def test_nan_in_given_parameters_is_refused():
    params = gates.get("lstm").draw(shape_for("adding"), 0)
    params["bias_hh"][0] = math.nan
    with pytest.raises(stability.StabilityError, match="train: bias_hh has 1 values that are NaN or infinite"):
        trained(params=params)

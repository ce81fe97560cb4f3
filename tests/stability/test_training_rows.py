"""The rows of a gate that learns a task: by step, by window, and its metrics before, while and after."""

import math

import pytest
import torch

from gatebench import Shape, gates, stability
from gatebench.stability.measure import measure
from gatebench.stability.training import train

REQUEST = {
    "gate": "gru", "gate_options": {}, "init": "torch", "inputs": "task", "dtype": "float64", "seq_len": 20,
    "input_size": 2, "hidden_size": 8, "batch": 3, "seed": 1, "task": "adding", "after_steps": 8, "clip": 0.5,
}  # fmt: skip
SHAPE = Shape(batch=3, seq_len=20, input_size=2, hidden_size=8)


def values(rows, metric, **columns):
    chosen = [row for row in rows if row["metric"] == metric and all(row[k] == v for k, v in columns.items())]
    return [row["value"] for row in chosen]


@pytest.fixture(scope="module")
def rows():
    return measure(REQUEST)


@pytest.fixture(scope="module")
def training():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as measure does for small sizes: same threads, same bits
    found = train(gates.get("gru"), SHAPE, "adding", 8, seed=1, clip=0.5, snapshots=range(9))
    torch.set_num_threads(threads)
    return found


def test_losses_and_norms_are_those_of_training_step_by_step(rows, training):
    assert values(rows, "train_loss") == training.losses.tolist()
    assert values(rows, "train_gradient_norm") == training.norms.tolist()
    assert [row["train_step"] for row in rows if row["metric"] == "train_loss"] == list(range(8))


def test_metrics_are_those_of_the_snapshots_on_what_was_not_trained_on(rows, training):
    for step in (0, 2, 4, 6, 8):
        trajectory = stability.unroll(gates.get("gru"), training.snapshots[step], training.held_out)
        profile = stability.gradient_profile(trajectory)
        assert values(rows, "half_life", index=1, train_step=step) == pytest.approx([profile.half_life[1].item()])
        found = values(rows, "log_gradient_norm", lag=20, train_step=step)
        assert found == pytest.approx([profile.log_norm[-1].mean().item()])
    half_lives = {values(rows, "half_life", index=1, train_step=step)[0] for step in (0, 2, 4, 6, 8)}
    assert len(half_lives) == 5
    assert {row["train_step"] for row in rows if row["metric"] == "class"} == {0, 2, 4, 6, 8}


def test_windows_hold_their_own_steps_and_all_of_them_the_whole(rows, training):
    norms = training.norms
    assert values(rows, "clip_rate", index=None) == [(norms > 0.5).double().mean().item()]
    assert values(rows, "clip_rate", index=1) == [(norms[2:4] > 0.5).double().mean().item()]
    assert values(rows, "train_gradient_norm_p50", index=3) == pytest.approx([norms[6:8].mean().item()])
    assert [row["train_step"] for row in rows if row["metric"] == "clip_rate"] == [8, 2, 4, 6, 8]


def test_same_seed_same_rows(rows):
    assert measure(REQUEST) == rows
    assert measure({**REQUEST, "seed": 2}) != rows


def test_without_a_threshold_nothing_is_said_of_clipping():
    rows = measure({**REQUEST, "clip": None})
    assert values(rows, "clip_rate") == []
    assert len(values(rows, "train_gradient_norm_p99")) == 5


def test_steps_that_are_not_finite_are_counted_and_stored(rows):
    found = measure({**REQUEST, "gate": "rnn_relu", "init": "orthogonal=1000000", "seq_len": 60, "clip": None})
    assert values(found, "nonfinite_steps", index=None) == [8.0]
    assert values(found, "train_loss") == [math.inf] * 8
    assert values(rows, "nonfinite_steps", index=None) == [0.0]


def test_too_few_steps_for_a_task_are_a_row_with_the_reason():
    (row,) = measure({**REQUEST, "task": "copy", "input_size": 10, "seq_len": 3})
    assert row["status"] == "unsupported"
    assert "seq_len is 3" in row["reason"]
    assert row["task"] == "copy"

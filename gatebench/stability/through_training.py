"""Rows of a gate that learns a task: losses and gradient norms by step, clipping, and all other metrics on the way."""

import itertools
import sys
from collections.abc import Iterator

import torch

from gatebench.stability.clip import clipping
from gatebench.stability.problem import Problem, Tensors
from gatebench.stability.rows import Row, row
from gatebench.stability.through_time import ThroughTime
from gatebench.stability.training import LEARNING_RATE, Training, train

WINDOWS = 4  # of training, of equal length; metrics are taken before the first and after each
MOST_STEPS = 2000  # whose loss and norm are stored, evenly spaced; windows sum up all of them


def training_rows(problem: Problem, params: Tensors) -> Iterator[Row]:
    """Train the gate from `params`, then yield what happened by step and by window, and each snapshot's metrics on held-out inputs."""
    lesson = problem.lesson
    assert lesson is not None
    ends = sorted({round(lesson.steps * window / WINDOWS) for window in range(WINDOWS + 1)})
    training = train(
        problem.gate, problem.shape, lesson.task, lesson.steps, seed=problem.seed, clip=lesson.clip,
        learning_rate=lesson.learning_rate or LEARNING_RATE, snapshots=ends, params=params,
    )  # fmt: skip
    yield from _step_rows(training)
    yield from _window_rows(training, ends)
    for step, params in training.snapshots.items():
        for found in ThroughTime(problem, params, training.held_out).rows():
            yield {**found, "train_step": step}


def _step_rows(training: Training) -> Iterator[Row]:
    """Yield loss and norm by step: train_step counts the steps that were taken before."""
    steps = len(training.losses)
    for step in torch.linspace(0, steps - 1, min(steps, MOST_STEPS)).round().long().unique().tolist():
        yield row("train_loss", _number(training.losses[step]), train_step=step)
        yield row("train_gradient_norm", _number(training.norms[step]), train_step=step)


def _number(value: torch.Tensor) -> float:
    """Return a number; what is not finite is inf: nothing that was measured is stored as missing."""
    return float(value.nan_to_num(nan=torch.inf, posinf=torch.inf, neginf=torch.inf))


def _window_rows(training: Training, ends: list[int]) -> Iterator[Row]:
    """Yield clipping by window (index, at the window's last step), and over all steps without index."""
    windows = [(None, 0, ends[-1]), *((number, *pair) for number, pair in enumerate(itertools.pairwise(ends)))]
    skipped = training.nonfinite
    for index, start, stop in windows:
        at = {"index": index, "train_step": stop}
        yield row("nonfinite_steps", float(skipped[start:stop].sum()), **at)
        # Without a threshold nothing is clipped, and the norms have percentiles all the same.
        norms = training.norms.masked_fill(skipped, torch.nan)[start:stop]
        found = clipping(norms, training.clip or sys.float_info.max)
        if training.clip is not None:
            yield row("clip_rate", found.rate, **at)
            yield row("clip_coefficient", found.mean_coefficient, **at)
        for name in ("p50", "p95", "p99"):
            yield row(f"train_gradient_norm_{name}", getattr(found, name), **at)

"""Generated tasks: targets are what the task says, strings are the grammar's, and a batch depends on its key alone."""

import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gatebench import stability
from gatebench.errors import UserError
from gatebench.stability.tasks import HELD_OUT, TASKS

NAMES = ["adding", "copy", "reber"]
# Reber's grammar solved for its strings: S loops behind T, T behind P; REST may follow where TS*X and PT*VP meet.
REST = "(?:XT*VP)*(?:S|XT*VV)"
INNER = re.compile(f"B(?:TS*X{REST}|PT*V(?:P{REST}|V))E")
EMBEDDED = re.compile(f"B(T|P){INNER.pattern}\\1E")


def drawn(name, seq_len=20, batch=5, seed=0, step=0):
    return stability.find_task(name).batch(seq_len, batch, seed=seed, step=step)


def strings(seq_len, batch, seed=0):
    """Return each row of a batch of the grammar as text, T + 1 symbols: what goes in, and the last target."""
    found = drawn("reber", seq_len, batch, seed)
    symbols = torch.cat([found.x.argmax(-1), found.targets[-1:]])
    return ["".join("BTPSXVE"[index] for index in row) for row in symbols.T.tolist()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("seq_len", "batch"), [(4, 1), (7, 3), (50, 2)])
def test_a_batch_has_the_tasks_width_and_a_loss(name, seq_len, batch):
    task, found = stability.find_task(name), drawn(name, seq_len, batch)
    assert found.x.shape == (seq_len, batch, task.input_size)
    assert found.x.dtype == torch.float64
    read_out = torch.zeros(seq_len, batch, task.output_size)
    loss = task.loss(read_out, found.targets)
    assert loss.shape == ()
    assert loss.dtype == torch.float32
    if name != "adding":
        assert loss.item() == pytest.approx(task.chance, rel=1e-6)  # all symbols alike


# --- the adding problem


@pytest.mark.parametrize("seq_len", [2, 3, 9, 40])
def test_adding_marks_one_value_in_each_half_and_asks_for_their_sum(seq_len):
    found = drawn("adding", seq_len, 300)
    values, marker = found.x.unbind(-1)
    assert set(marker.unique().tolist()) <= {0.0, 1.0}
    assert marker[: seq_len // 2].sum(0).tolist() == marker[seq_len // 2 :].sum(0).tolist() == [1.0] * 300
    torch.testing.assert_close(found.targets, (values * marker).sum(0), rtol=1e-15, atol=0)
    assert bool(((values >= 0) & (values < 1)).all())
    assert marker.sum(1).min() > 0  # every step is marked in some row


def test_addings_values_are_uniform_and_a_constant_answer_has_the_variance_of_the_sum():
    found = drawn("adding", 100, 2000)
    values, task = found.x[..., 0].flatten(), stability.find_task("adding")
    shares = torch.histc(values, bins=10, min=0, max=1) / len(values)
    torch.testing.assert_close(shares, torch.full((10,), 0.1).double(), rtol=0, atol=0.005)
    assert task.loss(torch.ones(100, 2000, 1), found.targets).item() == pytest.approx(task.chance, rel=0.1)
    assert task.chance == pytest.approx(1 / 6)


def test_adding_looks_at_the_last_step_alone():
    task, found = stability.find_task("adding"), drawn("adding", 6, 3)
    read_out = torch.full((6, 3, 1), 1e6)
    read_out[-1, :, 0] = found.targets + 2
    assert task.loss(read_out, found.targets).item() == pytest.approx(4.0)


# --- copy


@pytest.mark.parametrize(("seq_len", "count"), [(4, 1), (11, 2), (39, 9), (40, 10), (43, 10), (120, 10)])
def test_copy_asks_for_the_first_symbols(seq_len, count):
    found = drawn("copy", seq_len, 30)
    shown = found.x.argmax(-1)
    assert bool((found.x.sum(-1) == 1).all())
    assert torch.equal(found.targets, shown[:count])
    assert bool((shown[:count] < 8).all())
    expected = [8] * (seq_len - 2 * count - 1) + [9] + [8] * count
    assert all(row == expected for row in shown[count:].T.tolist())


def test_all_symbols_are_copied_equally_often():
    counts = drawn("copy", 40, 2000).targets.flatten().bincount(minlength=8)
    torch.testing.assert_close(counts / counts.sum(), torch.full((8,), 1 / 8), rtol=0, atol=0.01)


def test_copy_looks_at_the_recall_alone():
    task, found = stability.find_task("copy"), drawn("copy", 12, 5)
    read_out = torch.randn(12, 5, 8) * 100
    read_out[-3:] = 50.0 * torch.nn.functional.one_hot(found.targets, 8)
    assert task.loss(read_out, found.targets).item() == pytest.approx(0, abs=1e-12)
    read_out[-4] += 1e3
    assert task.loss(read_out, found.targets).item() == pytest.approx(0, abs=1e-12)


# --- the embedded Reber grammar


@pytest.mark.parametrize("text", ["BTSSXXTVVE", "BPVVE", "BTXXVPSE", "BTXSE", "BPTVPXVVE"])
def test_the_expression_accepts_strings_of_the_grammar(text):
    assert INNER.fullmatch(text)
    assert EMBEDDED.fullmatch(f"BP{text}PE")
    assert not EMBEDDED.fullmatch(f"BP{text}TE")


@pytest.mark.parametrize("text", ["BTSSPXSE", "BPTVVB", "BTXXVVSE", "BTSE", "BE"])
def test_the_expression_refuses_other_strings(text):
    assert not INNER.fullmatch(text)


def split(row):
    """Return a row's whole strings, and what is left of it."""
    found, end = [], 0
    while match := EMBEDDED.match(row, end):
        found.append(match[0])
        end = match.end()
    return found, row[end:]


def begins_a_string(text):
    """Whether one of a few endings makes a string of `text`: one for each place where it may have been cut."""
    outer = text[1] if len(text) > 1 else "T"
    endings = [f"{rest}{outer}E" for rest in ("", "E", "SE", "VE", "VVE", "XSE", "PVVE", "BPVVE", "TBPVVE", "BTBPVVE")]
    return any(EMBEDDED.fullmatch(text + ending) for ending in (*endings, "E"))


def test_every_whole_string_is_the_grammars_and_keeps_its_second_symbol():
    rows = [split(row) for row in strings(400, 40)]
    assert all(begins_a_string(rest) for _, rest in rows)  # cut, not refused
    seen = [string for whole, _ in rows for string in whole]
    assert len(seen) > 1000
    assert all(string[1] == string[-2] for string in seen)
    assert {symbol for string in seen for symbol in string} == set("BTPSXVE")
    assert sum(string[1] == "T" for string in seen) / len(seen) == pytest.approx(0.5, abs=0.05)


def test_the_least_loss_is_what_the_branches_cost():
    seen = [string for row in strings(2000, 40) for string in split(row)[0]]
    length = sum(map(len, seen)) / len(seen)
    branches = 1 + sum(len(string[3:-3]) for string in seen) / len(
        seen
    )  # the second, and all between the inner B and E
    assert length == pytest.approx(12, rel=0.02)
    assert branches / length * math.log(2) == pytest.approx(0.404, abs=0.004)
    assert (branches + 1) / length * math.log(2) == pytest.approx(0.462, abs=0.004)


def test_targets_are_the_next_inputs():
    found = drawn("reber", 30, 4)
    assert torch.equal(found.targets[:-1], found.x.argmax(-1)[1:])


# --- a batch depends on its key alone

PRINT = """
import hashlib
from gatebench.stability.tasks import TASKS
for name, task in sorted(TASKS.items()):
    batch = task.batch(21, 3, seed=5, step=7)
    print(hashlib.sha256(batch.x.numpy().tobytes() + batch.targets.numpy().tobytes()).hexdigest())
"""


def test_another_process_draws_the_same_batches(capsys):
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", PRINT], cwd=root, capture_output=True, text=True, check=True)
    torch.manual_seed(99)
    for name in NAMES:
        drawn(name, step=6)
    exec(PRINT)
    assert done.stdout.splitlines() == capsys.readouterr().out.splitlines()
    assert len(set(done.stdout.splitlines())) == 3


@pytest.mark.parametrize("name", NAMES)
def test_steps_and_seeds_and_the_held_out_batch_differ(name):
    torch.manual_seed(0)
    batches = [drawn(name, seed=seed, step=step).x for seed in (0, 1) for step in (HELD_OUT, 0, 1, 2)]
    for index, batch in enumerate(batches):
        assert not any(torch.equal(batch, other) for other in batches[:index])
    before = torch.random.get_rng_state()
    assert torch.equal(drawn(name, seed=1, step=2).x, batches[-1])
    assert torch.equal(torch.random.get_rng_state(), before)  # torch's own generator is left alone


# --- bad input

BAD = {
    "adding": (("adding", 1), "task adding: seq_len is 1; accepted: 2 and more"),
    "copy": (("copy", 3), "task copy: seq_len is 3; accepted: 4 and more"),
    "reber": (("reber", 0), "task reber: seq_len is 0; accepted: 1 and more"),
    "no rows": (("adding", 5, 0), "task adding: batch is 0; accepted: whole numbers from 1"),
    "a name": (("addding",), "task: unknown task 'addding'; accepted: adding, copy, reber; did you mean 'adding'?"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line(case):
    arguments, message = BAD[case]
    with pytest.raises(stability.StabilityError, match=f"^{re.escape(message)}$") as raised:
        drawn(*arguments)
    assert isinstance(raised.value, UserError)


def test_the_table_has_every_task_under_its_name():
    assert list(TASKS) == NAMES
    assert all(stability.find_task(name).name == name for name in NAMES)

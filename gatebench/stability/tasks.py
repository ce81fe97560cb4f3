"""Generated tasks to train a gate on: sequences that need memory, drawn anew at every step, as many as are asked for."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.errors import unknown
from gatebench.gates.draw import generator
from gatebench.stability.checks import StabilityError, check_whole

HELD_OUT = -1  # the step of the batch that no training step sees


@dataclass(frozen=True, eq=False)
class Batch:
    """x (T, B, I) float64 on the CPU, and the targets in the form that the task's loss takes."""

    x: Tensor
    targets: Tensor


class Task:
    """A task: the width I of its inputs and O of what is read out of a network, its batches and its loss.

    chance    loss of a guess that knows nothing of x: the mean of a number, all symbols alike (nats for cross entropies)
    shortest  the least T
    """

    name: ClassVar[str]
    input_size: ClassVar[int]
    output_size: ClassVar[int]
    chance: ClassVar[float]
    shortest: ClassVar[int]

    def batch(self, seq_len: int, batch: int, *, seed: int, step: int) -> Batch:
        """Draw the batch of a training step (0, 1, ...; -1 is the held-out one), by a generator of its own.

        The same arguments give the same batch, whatever was drawn before. Raises StabilityError where T is too short and
        for a batch without rows.
        """
        where = f"task {self.name}"
        check_whole(where, "batch", batch, 1)
        if seq_len < self.shortest:
            raise StabilityError(where, f"seq_len is {seq_len}", f"accepted: {self.shortest} and more")
        return self.draw(seq_len, batch, generator(seed, f"{self.name}/{step}"))

    def draw(self, seq_len: int, batch: int, source: torch.Generator) -> Batch:
        """Draw a batch of B sequences of T steps from a generator."""
        raise NotImplementedError(f"task {self.name} does not define draw")

    def loss(self, read_out: Tensor, targets: Tensor) -> Tensor:
        """Compute the loss of a batch from what is read out at each step, (T, B, O) -> ()."""
        raise NotImplementedError(f"task {self.name} does not define loss")


class Adding(Task):
    """The adding problem: two channels, values and a marker; the sum of the two marked values is asked for at the end.

    x (T, B, 2): values uniform in [0, 1); the marker is 1 at one step of the first ⌊T/2⌋ and at one of the rest, else 0.
    targets (B,): the sum. Loss: mean squared error of the last step's read-out. Without a look at x, 1 is the best
    answer, and its error the variance of the sum, 1/6.

    Hochreiter & Schmidhuber 1997, experiment 4; values and marker as in Le, Jaitly & Hinton 2015, arXiv 1504.00941, one
    mark in each half as in Arjovsky, Shah & Bengio 2016, arXiv 1511.06464.
    """

    name = "adding"
    input_size = 2
    output_size = 1
    chance = 1 / 6
    shortest = 2

    def draw(self, seq_len: int, batch: int, source: torch.Generator) -> Batch:
        values = torch.rand(seq_len, batch, generator=source, dtype=torch.float64)
        half, rows = seq_len // 2, torch.arange(batch)
        first = torch.randint(half, (batch,), generator=source)
        second = torch.randint(half, seq_len, (batch,), generator=source)
        marker = torch.zeros_like(values)
        marker[first, rows] = 1
        marker[second, rows] = 1
        return Batch(torch.stack([values, marker], dim=-1), values[first, rows] + values[second, rows])

    def loss(self, read_out: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(read_out[-1, :, 0], targets.to(read_out))


class Copy(Task):
    """The copy task: K symbols first, blanks, a delimiter, and K more blanks at which the symbols are asked for in order.

    x (T, B, 10) one-hot: the 8 symbols, the blank (8), the delimiter (9, at step T - K, counted from 1). K is 10, or
    ⌊T/4⌋ where that is less, so that the symbols are kept for at least half of the sequence. targets (K, B). Loss: cross
    entropy over the last K steps; without a look at x ln 8. (The source asks for blanks at the other steps, too, which
    takes no memory and waters the loss down.)

    After Hochreiter & Schmidhuber 1997; this form: Arjovsky, Shah & Bengio 2016, arXiv 1511.06464, whose T is T - 2K here.
    """

    name = "copy"
    symbols: ClassVar[int] = 8
    blank, delimiter = 8, 9
    longest: ClassVar[int] = 10  # symbols to copy
    input_size = 10
    output_size = 8
    chance = math.log(8)
    shortest = 4

    def draw(self, seq_len: int, batch: int, source: torch.Generator) -> Batch:
        count = min(self.longest, seq_len // 4)
        targets = torch.randint(self.symbols, (count, batch), generator=source)
        shown = torch.full((seq_len, batch), self.blank)
        shown[:count] = targets
        shown[-count - 1] = self.delimiter
        return Batch(F.one_hot(shown, self.input_size).double(), targets)

    def loss(self, read_out: Tensor, targets: Tensor) -> Tensor:
        return _cross_entropy(read_out[-len(targets) :], targets)


SYMBOLS = "BTPSXVE"
INNER = (  # node -> the symbols that may follow, each with the node it leads to
    (("B", 1),),
    (("T", 2), ("P", 3)),
    (("S", 2), ("X", 4)),
    (("T", 3), ("V", 5)),
    (("X", 3), ("S", 6)),
    (("P", 4), ("V", 6)),
    (("E", 7),),
)


class Reber(Task):
    """The next symbol of the embedded Reber grammar: the second symbol of a string is its second last, too.

    A string is B T <inner> T E or B P <inner> P E with an inner string of Reber's grammar, each branch taken half of the
    time; strings follow one another without a mark (the continual task), and the stream is cut at T: every step has a
    next symbol, and none is padding. x (T, B, 7) one-hot over B, T, P, S, X, V, E; targets (T, B): the symbol that does
    come next. Loss: cross entropy over all steps. All symbols alike have ln 7 = 1.95. A string has 12 symbols in the mean, 7
    of them a branch's, so in the long run the least is 7/12 ln 2 = 0.404, and 8/12 ln 2 = 0.462 for who knows the grammar
    but has forgotten the second symbol when it comes again.

    Hochreiter & Schmidhuber 1997, experiment 1; continual: Gers, Schmidhuber & Cummins 2000, Learning to forget; the
    grammar: Reber 1967.
    """

    name = "reber"
    input_size = 7
    output_size = 7
    chance = math.log(7)
    shortest = 1

    def draw(self, seq_len: int, batch: int, source: torch.Generator) -> Batch:
        choices = torch.randint(2, (batch, seq_len + 1), generator=source)  # more than a row's symbols can need
        rows = [
            [SYMBOLS.index(symbol) for symbol in islice(_stream(iter(row)), seq_len + 1)] for row in choices.tolist()
        ]
        shown = torch.tensor(rows).T
        return Batch(F.one_hot(shown[:-1], self.input_size).double(), shown[1:].contiguous())

    def loss(self, read_out: Tensor, targets: Tensor) -> Tensor:
        return _cross_entropy(read_out, targets)


def _stream(choices: Iterator[int]) -> Iterator[str]:
    """Yield string after string; each choice decides one branch, and each branch yields a symbol."""
    while True:
        yield "B"
        outer = "TP"[next(choices)]
        yield outer
        node = 0
        while node < len(INNER):
            branches = INNER[node]
            symbol, node = branches[next(choices)] if len(branches) > 1 else branches[0]
            yield symbol
        yield outer
        yield "E"


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Compute the mean cross entropy, nats: logits (n, B, O), targets (n, B)."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


TASKS = {task.name: task for task in (Adding(), Copy(), Reber())}


def find_task(name: str) -> Task:
    """Return a task by its name; raises StabilityError for an unknown one."""
    if name not in TASKS:
        raise unknown("task", "task", name, TASKS, StabilityError)
    return TASKS[name]

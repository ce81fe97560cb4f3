"""Training as an axis of the measurement: a gate and a linear read-out learn a task, and the gate's weights are kept."""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from gatebench.contract import Unsupported
from gatebench.errors import unknown
from gatebench.gates.base import Gate
from gatebench.gates.draw import draw_tensor
from gatebench.shape import ONES, Shape
from gatebench.stability.checks import StabilityError, check_dtype, check_numbers, check_positive, check_whole
from gatebench.stability.clip import ClipStatistics, clip_by_norm, clipping
from gatebench.stability.tasks import HELD_OUT, Batch, Task, find_task

OPTIMIZERS = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
LEARNING_RATE = 1e-2  # with 64 sequences a step, an LSTM of 32 learns to add over 50 steps in 400 (chrono) to 1000
BATCH_SIZE = 64

Tensors = Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Training:
    """What happened in N steps of training.

    losses, norms   (N,) float64: each step's loss, and the gradient's global norm before clipping
    clip            the threshold that was clipped at, None: none
    snapshots       step -> the gate's parameters after that many steps, float64
    held_out        inputs of a batch that was not trained on, float64: x (T, B, I) and zero initial states
    """

    losses: Tensor
    norms: Tensor
    clip: float | None
    snapshots: Mapping[int, Tensors]
    held_out: Tensors

    @property
    def nonfinite(self) -> Tensor:
        """(N,) bool: loss or norm was NaN or infinite; such a step changed nothing."""
        return ~(torch.isfinite(self.losses) & torch.isfinite(self.norms))

    @property
    def clipped(self) -> Tensor:
        """(N,) bool: the norm was above the threshold, and the step was taken."""
        return (self.norms > (math.inf if self.clip is None else self.clip)) & ~self.nonfinite

    @property
    def clip_statistics(self) -> ClipStatistics | None:
        """How often and how hard was clipped, skipped steps being its `nonfinite`; None without a threshold or a step."""
        if self.clip is None or not len(self.norms):
            return None
        return clipping(self.norms.masked_fill(self.nonfinite, math.nan), self.clip)


def train(
    gate: Gate,
    shape: Shape,
    task: Task | str,
    steps: int,
    *,
    seed: int,
    init: str = "torch",
    clip: float | None = None,
    learning_rate: float = LEARNING_RATE,
    optimizer: str = "adam",
    batch_size: int = BATCH_SIZE,
    dtype: torch.dtype | str = torch.float32,
    snapshots: Collection[int] | None = None,
    params: Tensors | None = None,
) -> Training:
    """Train a gate with time on a task for a number of steps, in float32 or float64, on the CPU.

    The gate reads x (T, batch_size, I) from zero initial states, which are not trained; y_t = W output_t + b (drawn as
    torch.nn.Linear's) is read out and goes to the task's loss. x goes in as it is, so shape.input_size must be
    task.input_size. All of the gate's parameters (`params`, or drawn by `init`), W and b are trained. shape.batch counts
    the rows of held_out alone.

    A step: draw the batch of (seed, step), compute the loss, the gradient g and ||g|| over all that is trained, multiply
    g by min(1, clip / (||g|| + 1e-6)) where clip is given, and let the optimizer (adam, sgd, with torch's defaults
    but for the learning rate) take it. A step whose loss or ||g|| is not finite is counted and skipped, as
    torch.amp.GradScaler does: neither weights nor the optimizer's moments change, and training goes on with the next.

    snapshots: numbers of steps in 0..steps, default both ends. Same arguments, same numbers, bit for bit, on one machine
    with the same number of torch threads (which is left as it is). Raises gatebench.Unsupported for a gate without time, one
    that sees the future or ragged rows, and what `draw` refuses; StabilityError for sizes, numbers and names not accepted.
    Clipping: Pascanu, Mikolov & Bengio 2013, arXiv 1211.5063; Adam: Kingma & Ba 2015, arXiv 1412.6980.
    """
    task = find_task(task) if isinstance(task, str) else task
    _check_settings(steps, batch_size, learning_rate, clip, optimizer)
    kept = _check_snapshots(snapshots, steps)
    _check_gate(gate, shape, task)
    network = Network.of(gate, shape, task, seed, gate.draw(shape, seed, init) if params is None else params, dtype)
    updates = OPTIMIZERS[optimizer](network.leaves, lr=learning_rate)
    losses, norms = torch.empty(steps, dtype=torch.float64), torch.empty(steps, dtype=torch.float64)
    found: dict[int, Tensors] = {0: network.snapshot()} if 0 in kept else {}
    for step in range(steps):
        batch = task.batch(shape.seq_len, batch_size, seed=seed, step=step)
        losses[step], norms[step] = _learn(network, updates, batch, clip)
        if step + 1 in kept:
            found[step + 1] = network.snapshot()
    unseen = task.batch(shape.seq_len, shape.batch, seed=seed, step=HELD_OUT)
    return Training(losses, norms, clip, found, network.from_rest(unseen.x))


@dataclass(frozen=True, eq=False)
class Network:
    """A gate and the linear read-out of its outputs, all of whose tensors are leaves that autograd differentiates."""

    gate: Gate
    shape: Shape
    task: Task
    params: Tensors
    read_out: Tensors

    @classmethod
    def of(
        cls, gate: Gate, shape: Shape, task: Task, seed: int, params: Tensors, dtype: torch.dtype | str
    ) -> "Network":
        """Round the gate's parameters to a dtype and draw a read-out as wide as its output."""
        dtype = _check_dtype(dtype)
        _check_params(params, gate.parameters(shape))
        leaves, inputs = _leaves(params, dtype), gate.inputs(replace(shape, batch=1), seed, kind="zero")
        with torch.no_grad():  # only the output itself says how wide it is
            output = gate.forward(leaves, _rounded(inputs, dtype))["output"]
        return cls(gate, shape, task, leaves, _leaves(draw_read_out(task, output.shape[-1], seed), dtype))

    @property
    def leaves(self) -> list[Tensor]:
        """All that is trained."""
        return [*self.params.values(), *self.read_out.values()]

    def from_rest(self, x: Tensor) -> Tensors:
        """Return the gate's inputs where all but x (T, B, I), states and earlier inputs, is 0; float64."""
        return {**self.gate.inputs(replace(self.shape, batch=x.shape[1]), 0, kind="zero"), "x": x}

    def loss(self, batch: Batch) -> Tensor:
        """Compute the task's loss of a batch, in the parameters' dtype."""
        weight, bias = self.read_out["weight"], self.read_out["bias"]
        output = self.gate.forward(self.params, _rounded(self.from_rest(batch.x), weight.dtype))["output"]
        return self.task.loss(F.linear(output, weight, bias), batch.targets)

    def snapshot(self) -> Tensors:
        """Return copies of the gate's parameters as they are now, float64."""
        return {name: value.detach().clone().double() for name, value in self.params.items()}


def draw_read_out(task: Task, width: int, seed: int) -> Tensors:
    """Draw weight (O, width) and bias (O,) by torch.nn.Linear's rule, U(-1/√width, 1/√width), float64."""
    sizes = {"weight": (task.output_size, width), "bias": (task.output_size,)}
    return {
        name: draw_tensor(size, seed, f"{task.name}/read_out/{name}", "uniform") * width**-0.5
        for name, size in sizes.items()
    }


def _leaves(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    return {name: value.detach().to(dtype, copy=True).requires_grad_() for name, value in tensors.items()}


def _rounded(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    return {name: value.to(dtype) for name, value in tensors.items()}


def _learn(network: Network, optimizer: torch.optim.Optimizer, batch: Batch, clip: float | None) -> tuple[float, float]:
    """Take one step, unless it is not finite -> loss, norm of the gradient before clipping."""
    leaves = network.leaves
    with torch.enable_grad():
        loss = network.loss(batch)
    gradients, norm = clip_by_norm(torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True), clip)
    found = float(loss.detach()), float(norm)
    if all(map(math.isfinite, found)):
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient
        optimizer.step()
    return found


def _check_dtype(dtype: torch.dtype | str) -> torch.dtype:
    found = check_dtype("train", dtype)
    if found not in (torch.float32, torch.float64):
        raise StabilityError(
            "train",
            f"dtype is {dtype}",
            "accepted: float32, float64 (below them weights lose small updates, and Adam's 1e-8 is 0)",
            "train in one of them and round the snapshots",
        )
    return found


def _check_params(params: Tensors, sizes: Mapping[str, tuple[int, ...]]) -> None:
    given = {name: tuple(value.shape) for name, value in params.items()}
    if given != sizes:
        raise StabilityError("train", f"params are {given}", f"accepted: {sizes}")
    check_numbers("train", params)


def _check_gate(gate: Gate, shape: Shape, task: Task) -> None:
    if not gate.state(ONES):
        raise Unsupported(f"{gate.name} has no time, so it is not trained on sequences")
    if not gate.resumable:
        raise Unsupported(
            f"{gate.name} with these options sees more than the past, so it is not trained on {task.name}"
        )
    if shape.input_size != task.input_size:
        raise StabilityError(
            "train",
            f"input_size is {shape.input_size}",
            f"accepted: {task.input_size}, the width of the task {task.name}",
            f"give a shape with input_size={task.input_size}",
        )
    gate.check_shape(shape)


def _check_settings(steps: int, batch_size: int, learning_rate: float, clip: float | None, optimizer: str) -> None:
    check_whole("train", "steps", steps, 0)
    check_whole("train", "batch_size", batch_size, 1)
    check_positive("train", "learning_rate", learning_rate)
    if clip is not None:
        check_positive("train", "clip", clip)
    if optimizer not in OPTIMIZERS:
        raise unknown("train", "optimizer", optimizer, OPTIMIZERS, StabilityError)


def _check_snapshots(snapshots: Collection[int] | None, steps: int) -> set[int]:
    kept = {0, steps} if snapshots is None else set(snapshots)
    for step in kept:
        if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= steps:
            raise StabilityError("train", f"a snapshot is asked for after step {step!r}", f"accepted: 0 to {steps}")
    return kept

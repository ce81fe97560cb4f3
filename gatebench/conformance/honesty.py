"""Checks that a time means what it says: nothing replayed, nothing left to do, nothing changed behind the caller's back."""

import gc
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from gatebench.conformance.kit import CheckFailed, check, require
from gatebench.conformance.trial import Bound, Trial
from gatebench.conformance.values import close
from gatebench.measure.subject import Tensors
from gatebench.shape import Shape

_WAIT_S = 0.05  # work that is still going on after a call shows within this
_BUSY_SHARE = 0.3  # of a core, while nobody has asked for anything: OpenMP's threads spin for some ms, then sleep
_REPEATS = 7
_REMEMBERED = 0.3  # a call that takes less than this share of a fresh one has remembered something


# --- results that are remembered


@check(
    "not-cached-by-pointer",
    "Writing new values into the same input tensors gives new results.",
    "Results kept under data_ptr() or id().",
    fast=True,
)
def not_cached_by_pointer(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    bound.without_gradients(inputs)
    with torch.no_grad():
        for name, value in trial.inputs(case, 1).items():
            inputs[name].copy_(value)
    trial.agree(case, bound, inputs, gradients=False)


@check(
    "not-cached-by-shape",
    "Other tensors of the same shape give their own results, call after call.",
    "Results, or captured graphs with fixed inputs, kept under the shape.",
    fast=True,
)
def not_cached_by_shape(trial: Trial) -> None:
    case = trial.case()
    bound = trial.bind(case)
    for index in range(3):
        trial.agree(case, bound, trial.inputs(case, index))


@check(
    "not-cached-by-value",
    "Inputs seen before take as long as fresh ones.",
    "Results kept under a hash of the values: timing rotates over four buffers and would only measure the look-up.",
)
def not_cached_by_value(trial: Trial) -> str:
    case = trial.case(shape=_timed_shape(trial))
    bound = trial.bind(case)
    bound.without_gradients(trial.inputs(case, 0))
    known = trial.inputs(case, 0)
    fresh = [trial.inputs(case, index) for index in range(1, 1 + _REPEATS)]
    first = min(_seconds(lambda inputs=inputs: bound.without_gradients(inputs)) for inputs in fresh)
    again = min(
        _seconds(lambda: bound.without_gradients({name: value.clone() for name, value in known.items()}))
        for _ in range(_REPEATS)
    )
    require(again > _REMEMBERED * first, f"a call takes {again * 1e6:.0f} µs on inputs seen before, {first * 1e6:.0f} µs on fresh ones")  # fmt: skip
    return f"seen {again * 1e6:.0f} µs, fresh {first * 1e6:.0f} µs"


@check(
    "weights-are-read-anew",
    "Writing new values into the leaves, as an optimiser does, gives new results.",
    "Weights packed at prepare and not refreshed: pack from the leaves in each call, or hand out the packed tensors as leaves.",
    fast=True,
)
def weights_are_read_anew(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    before = bound.without_gradients(inputs)
    if not bound.prepared.leaves:
        return
    with torch.no_grad():
        for leaf in bound.prepared.leaves.values():
            leaf.mul_(0.5)
    after = bound.without_gradients(inputs)
    # Which of the gate's weights a packed leaf holds is its own affair; halving all of them is halving all of these.
    halved = {name: 0.5 * value for name, value in trial.params(case).items()}
    expected = trial.bind(case, halved).without_gradients(inputs)
    for name in trial.output_names(case):
        require(close(trial, after[name], expected[name]), f"{name} does not follow its weights")
        require(not torch.equal(before[name], after[name]), f"{name} stays as it was with other weights")


@check(
    "determinism",
    "The same call twice gives the same result: to the bit, or at least to rounding.",
    "Uninitialised memory, or a race between threads.",
    fast=True,
)
def determinism(trial: Trial) -> str:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    same = True
    first = _everything(trial, bound, inputs)
    for _ in range(3):
        again = _everything(trial, bound, inputs)
        for name, value in first.items():
            require(close(trial, again[name], value), f"{name} differs from call to call")
            same &= torch.equal(again[name], value)
    return "bit for bit" if same else "to rounding"


def _everything(trial: Trial, bound: Bound, inputs: Tensors) -> dict[str, torch.Tensor]:
    outputs = bound(inputs)
    found = {name: outputs[name].detach().clone() for name in trial.output_names(bound.case)}
    if trial.differentiates:
        gradients = bound.gradients(outputs, inputs, trial.cotangents(bound.case, outputs))
        found |= {f"gradient of {name}": value for name, value in gradients.items()}
    return found


# --- work outside the clock


@check(
    "finished-when-it-returns",
    "When a call returns and the device is synchronised, the result is there and stays.",
    "Work handed to a thread, a process or another stream that nobody waits for.",
    fast=True,
)
def finished_when_it_returns(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    for index in range(3):
        inputs = trial.inputs(case, index)
        outputs = bound.without_gradients(inputs)
        at_once = {name: outputs[name].clone() for name in trial.output_names(case)}
        time.sleep(_WAIT_S)
        for name, value in at_once.items():
            require(torch.equal(value.nan_to_num(), outputs[name].nan_to_num()), f"{name} changed after the call had returned")  # fmt: skip


@check(
    "idle-when-it-returns",
    "After a call nothing of it runs on: no new thread, and no CPU time spent.",
    "A pool that polls, or work that is done ahead for the next call.",
)
def idle_when_it_returns(trial: Trial) -> None:
    case = trial.case()
    bound, inputs = trial.bind(case), trial.inputs(case)
    bound.without_gradients(inputs)  # pools are made once
    threads = set(threading.enumerate())
    bound.without_gradients(inputs)
    more = [thread.name for thread in threading.enumerate() if thread not in threads]
    require(not more, f"threads go on after the call: {', '.join(more)}")
    time.sleep(_WAIT_S)
    used = []
    for _ in range(3):  # the least of three: a neighbour's interrupt may be charged to us once
        wall, cpu = time.perf_counter(), time.process_time()
        time.sleep(2 * _WAIT_S)
        used.append((time.process_time() - cpu) / (time.perf_counter() - wall))
    require(min(used) < _BUSY_SHARE, f"{100 * min(used):.0f} % of a core is busy after the call")


@check(
    "one-stream",
    "All work is queued on the current stream.",
    "Event times of the current stream leave out what runs on another one.",
    device="cuda",
)
def one_stream(trial: Trial) -> None:
    case = trial.case(shape=_timed_shape(trial))
    bound, inputs = trial.bind(case), trial.inputs(case)
    for _ in range(3):
        bound.without_gradients(inputs)
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    started = time.perf_counter()
    begin.record()
    for _ in range(20):
        with torch.no_grad():
            bound.prepared.forward(bound.prepared.leaves, inputs)
    end.record()
    torch.cuda.synchronize()
    host_ms, events_ms = (time.perf_counter() - started) * 1e3, begin.elapsed_time(end)
    require(host_ms - events_ms < 0.25 * host_ms + 0.2, f"the host waited {host_ms:.2f} ms, the stream's events say {events_ms:.2f} ms")  # fmt: skip


# --- settings of the process


def _difference(before: Any, after: Any) -> str:
    """Say how a setting changed; of a table only the entries that did."""
    if isinstance(before, dict):
        return ", ".join(key for key in {**before, **after} if before.get(key) != after.get(key)) + " changed"
    return f"was {before}, and is {after}"


def _call_all(trial: Trial) -> None:
    """Bind, call and differentiate: what a plugin does anywhere in there counts."""
    case = trial.case()
    _everything(trial, trial.bind(case), trial.inputs(case))


def _setting(id: str, sentence: str, hint: str, what: str, read: Callable[[], Any], restore: Callable[[Any], Any]):
    pristine = read()  # when the kit is imported: what an earlier check's call has changed counts, too

    def run(trial: Trial) -> None:
        _call_all(trial)
        found = read()
        if found != pristine:
            restore(pristine)
            raise CheckFailed(f"{what} {_difference(pristine, found)} after a call")

    check(id, sentence, hint, fast=True)(run)


@check(
    "random-state-unchanged",
    "The state of torch's global random generator stays.",
    "Use a torch.Generator of your own.",
    fast=True,
)
def random_state_unchanged(trial: Trial) -> None:
    case = trial.case()
    inputs = trial.inputs(case)
    before = torch.get_rng_state()
    _everything(trial, trial.bind(case), inputs)
    if not torch.equal(before, torch.get_rng_state()):
        torch.set_rng_state(before)
        raise CheckFailed("torch's random state is another one after the call")


_CLOCKS = (
    "perf_counter",
    "perf_counter_ns",
    "time",
    "time_ns",
    "monotonic",
    "process_time",
    "process_time_ns",
    "sleep",
)
_REAL_CLOCKS = {name: getattr(time, name) for name in _CLOCKS}


def _clocks() -> dict[str, Any]:
    return {name: getattr(time, name) for name in _CLOCKS} | {"cuda": torch.cuda.synchronize, "event": torch.cuda.Event}


def _restore_clocks(before: dict[str, Any]) -> None:
    for name in _CLOCKS:
        setattr(time, name, _REAL_CLOCKS[name])
    torch.cuda.synchronize, torch.cuda.Event = before["cuda"], before["event"]


def _precision() -> tuple[Any, ...]:
    return (
        torch.get_float32_matmul_precision(), torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction, torch.is_autocast_enabled("cpu"),
        torch.is_autocast_enabled("cuda"),
    )  # fmt: skip


def _restore_precision(before: tuple[Any, ...]) -> None:
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before[1], before[2]
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = before[3]
    torch.set_autocast_enabled("cpu", before[4])
    torch.set_autocast_enabled("cuda", before[5])


def _collector() -> tuple[bool, tuple[int, int, int]]:
    return gc.isenabled(), gc.get_threshold()


def _restore_collector(before: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if before[0] else gc.disable)()
    gc.set_threshold(*before[1])


_COMPILERS_OWN = ("TORCHINDUCTOR_", "_TORCHINDUCTOR_", "TRITON_")  # torch.compile notes its caches there


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_COMPILERS_OWN)}


def _restore_environment(before: dict[str, str]) -> None:
    for name in _environment():
        del os.environ[name]
    os.environ.update(before)


_setting(
    "clock-untouched", "The clock and torch's synchronise and events are the ones that were there before.",
    "A patched timer; even a test double that is left in place.", "the clock", _clocks, _restore_clocks,
)  # fmt: skip
_setting(
    "thread-count-unchanged", "torch's number of threads stays what the harness set.",
    "numba's first get_num_threads() and some BLAS calls change it: set it back.", "torch.get_num_threads()",
    torch.get_num_threads, torch.set_num_threads,
)  # fmt: skip
_setting(
    "default-dtype-unchanged", "torch's default dtype stays.", "torch.set_default_dtype in place of dtype=...",
    "torch.get_default_dtype()", torch.get_default_dtype, torch.set_default_dtype,
)  # fmt: skip
_setting(
    "precision-unchanged", "Settings that lower precision (TF32, reduced-precision sums, autocast) stay as they were.",
    "A setting that speeds you up speeds up, and spoils, all that are measured after you.", "the precision", _precision,
    _restore_precision,
)  # fmt: skip
_setting(
    "grad-mode-unchanged", "torch's grad mode stays.", "torch.set_grad_enabled(False) without a with.",
    "torch.is_grad_enabled()", torch.is_grad_enabled, torch._C._set_grad_enabled,
)  # fmt: skip
_setting(
    "collector-unchanged", "Python's garbage collector stays on or off, with its thresholds.",
    "gc.disable() that is never taken back.", "the garbage collector", _collector, _restore_collector,
)  # fmt: skip
_setting(
    "environment-unchanged", "Environment variables stay.",
    "OMP_NUM_THREADS and friends belong to the harness; set options of a library by its own calls.",
    "the environment", _environment, _restore_environment,
)  # fmt: skip


def _timed_shape(trial: Trial) -> Shape:
    """Return a shape at which a call takes long enough to be told from a look-up."""
    width = max(64, trial.shape.hidden_size if trial.shape.input_size == trial.shape.hidden_size else 64)
    return replace(trial.shape, batch=8, seq_len=64, input_size=width, hidden_size=width)


def _seconds(call: Callable[[], Any]) -> float:
    started = _REAL_CLOCKS["perf_counter"]()
    call()
    return _REAL_CLOCKS["perf_counter"]() - started

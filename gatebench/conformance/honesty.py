"""Checks that a time means what it says: nothing replayed, nothing left to do when a call returns."""

import threading
import time

import torch

from gatebench.conformance.calls import everything, seconds, timed_shape
from gatebench.conformance.kit import check, require
from gatebench.conformance.trial import Trial
from gatebench.conformance.values import close

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
    case = trial.case(shape=timed_shape(trial))
    bound = trial.bind(case)
    bound.without_gradients(trial.inputs(case, 0))
    known = trial.inputs(case, 0)
    fresh = [trial.inputs(case, index) for index in range(1, 1 + _REPEATS)]
    first = min(seconds(lambda inputs=inputs: bound.without_gradients(inputs)) for inputs in fresh)
    again = min(
        seconds(lambda: bound.without_gradients({name: value.clone() for name, value in known.items()}))
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
    first = everything(trial, bound, inputs)
    for _ in range(3):
        again = everything(trial, bound, inputs)
        for name, value in first.items():
            require(close(trial, again[name], value), f"{name} differs from call to call")
            same &= torch.equal(again[name], value)
    return "bit for bit" if same else "to rounding"


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
    case = trial.case(shape=timed_shape(trial))
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

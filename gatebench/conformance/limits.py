"""Checks of resources: memory that grows, another process, and times that cannot be true."""

import functools
import multiprocessing
from pathlib import Path
from typing import Any

import torch

from gatebench.conformance.calls import as_a_sequence, seconds, timed_shape
from gatebench.conformance.kit import CheckFailed, NotApplicable, check, require
from gatebench.conformance.trial import Trial
from gatebench.measure.caches import measure_ceilings
from gatebench.shape import Shape

_CALLS = 50
_WINDOWS = 3
_GROWTH_BYTES = 64 << 10  # per call: an allocator's own noise stays below
_SPAWN_S = 120.0
_TOLERANCE = 1.05  # of the machine's ceiling, as in a run


@functools.cache
def _ceilings() -> list[dict[str, float]]:
    return measure_ceilings()


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@check(
    "memory-does-not-grow",
    f"{_CALLS} calls leave no memory behind.",
    "A list that is appended to, a cache without a limit, a graph that is kept alive by its outputs.",
)
def memory_does_not_grow(trial: Trial) -> str:
    case = trial.case(shape=timed_shape(trial))
    bound = trial.bind(case)
    buffers = [trial.inputs(case, index) for index in range(4)]
    cuda = case.device == "cuda"

    def run(calls: int) -> None:
        for number in range(calls):
            inputs = buffers[number % 4]
            outputs = bound(inputs)
            if trial.differentiates:
                bound.gradients(outputs, inputs, {"output": torch.ones_like(outputs["output"])})

    run(_CALLS // 2)  # allocators and compilers settle
    grown = 0.0
    for _ in range(_WINDOWS):  # what leaks grows in each of them; an allocator that still settles does not
        before = torch.cuda.memory_allocated() if cuda else _resident_bytes()
        run(_CALLS)
        grown = ((torch.cuda.memory_allocated() if cuda else _resident_bytes()) - before) / _CALLS
        if grown < _GROWTH_BYTES:
            return f"{max(0.0, grown) / 1024:.1f} KiB a call"
    raise CheckFailed(f"{grown / 1024:.0f} KiB more after each of {_CALLS} calls")


@check(
    "survives-spawn",
    "It works in a process that multiprocessing spawns.",
    "State that is set up when the parent imports the file, or a lock held across the start.",
)
def survives_spawn(trial: Trial) -> None:
    if trial.device == "cuda":
        raise NotApplicable("on the CPU only")
    case = trial.case()
    expected = trial.bind(case).without_gradients(trial.inputs(case))["output"]
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=_child, args=(theirs, trial.entry.name, trial.plugins, case.to_json()))
    child.start()
    theirs.close()
    try:
        require(mine.poll(_SPAWN_S), f"no result from a spawned process within {_SPAWN_S:g} s")
        found = mine.recv()
    except EOFError:
        child.join()
        found = f"it ended with status {child.exitcode}"
    finally:
        child.kill()
        child.join()
        mine.close()
    if isinstance(found, str):
        raise CheckFailed(f"in a spawned process: {found}")
    output = torch.tensor(found, dtype=torch.float64)
    require(torch.allclose(output, expected.double(), atol=1e-2), "output differs in a spawned process")


def _child(pipe: Any, name: str, plugins: tuple[str, ...], case: dict[str, Any]) -> None:
    """Bind and call in a fresh process; send the output as nested lists, or what went wrong as text."""
    from gatebench.cases import Case
    from gatebench.gates import get
    from gatebench.registry import default_registry

    try:
        wanted = Case.from_json(case)
        registry = default_registry()
        for plugin in plugins:
            registry.add_file(Path(plugin))
        entry = registry.implementation(name, wanted.gate)
        assert entry is not None
        trial = Trial(entry, get(wanted.gate, **dict(wanted.gate_options)), wanted.device, wanted.threads)
        output = trial.bind(wanted).without_gradients(trial.inputs(wanted))["output"]
        pipe.send(output.double().tolist())
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


@check(
    "not-faster-than-the-machine",
    "A call does not move its compulsory bytes faster than the machine's memory can.",
    "A result that is not computed at all, or only when it is looked at.",
)
def not_faster_than_the_machine(trial: Trial) -> str:
    # Wide, so that moving the bytes takes longer than the call itself; few steps, so that recurrences end soon.
    shape = Shape(batch=8, seq_len=16 if trial.has_time else 256, input_size=512, hidden_size=512)
    case = trial.case(shape=as_a_sequence(trial, shape))
    cost = trial.gate.cost(case.shape, "forward", case.dtype)
    if cost is None:
        raise NotApplicable("the gate gives no cost")
    if trial.device == "cuda":
        raise NotApplicable("on the CPU only")
    bound = trial.bind(case)
    buffers = [trial.inputs(case, index) for index in range(4)]
    for inputs in buffers:
        bound.without_gradients(inputs)
    took = min(seconds(lambda inputs=inputs: bound.without_gradients(inputs)) for inputs in buffers * 5)
    ceiling = next(level["bytes_per_s"] for level in _ceilings() if cost.bytes_min <= level["bytes"])
    speed = cost.bytes_min / took
    require(speed <= _TOLERANCE * ceiling, f"{speed / 1e9:.1f} GB/s, and {ceiling / 1e9:.1f} GB/s is possible")
    return f"{100 * speed / ceiling:.1f} % of the ceiling"

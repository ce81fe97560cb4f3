"""Checks that an implementation leaves the process as it found it: clock, threads, dtype, precision, random state, ..."""

import gc
import os
import time
from collections.abc import Callable
from typing import Any

import torch

from gatebench.conformance.calls import everything
from gatebench.conformance.kit import CheckFailed, check
from gatebench.conformance.trial import Trial


def _difference(before: Any, after: Any) -> str:
    """Say how a setting changed; of a table only the entries that did."""
    if isinstance(before, dict):
        return ", ".join(key for key in {**before, **after} if before.get(key) != after.get(key)) + " changed"
    return f"was {before}, and is {after}"


def _call_all(trial: Trial) -> None:
    """Bind, call and differentiate: what a plugin does anywhere in there counts."""
    case = trial.case()
    everything(trial, trial.bind(case), trial.inputs(case))


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
    everything(trial, trial.bind(case), inputs)
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

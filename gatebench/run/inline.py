"""Measure one function from a script or notebook, in this process: no isolation, one block, marked so."""

import functools
import gc
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch

from gatebench import contract
from gatebench.catalogue import Catalogue
from gatebench.contract import Failure
from gatebench.errors import unknown
from gatebench.measure.catalogue import describe
from gatebench.measure.failures import classify
from gatebench.measure.service import Service
from gatebench.measure.subject import forget_draws
from gatebench.registry import Registry
from gatebench.run.execute import Request, make_header, make_plan, new_run_id
from gatebench.run.process import WorkerSettings
from gatebench.run.publish import publish
from gatebench.run.runner import Runner
from gatebench.shape import Shape
from gatebench.store.journal import Journal
from gatebench.store.read import Results, load
from gatebench.suites import SCHEMA, suite_from_data


def measure_inline(
    forward: Callable[..., Any],
    *,
    gate: str,
    shape: Shape,
    baseline: str = "native",
    mode: str = "forward",
    dtype: str = "float32",
    device: str = "auto",
    gate_options: Mapping[str, Any] | None = None,
    seed: int = 0,
    rounds: int = 10,
    sample_ms: float = 20.0,
    warmup_s: float = 0.3,
    store: str | Path | None = None,
) -> Results:
    """Verify and time forward(params, inputs) beside a baseline, in this process, and return Results.

    Rows are marked harness = "inline": without processes of their own the two share caches, threads and allocator,
    and one block gives no interval. The function is named `inline:<its name>`. Times in ns. With `store` the run is
    kept there. Raises UserError for unknown names; a wrong or failing function is a row with its status and reason.
    """
    name = f"inline:{getattr(forward, '__name__', 'function')}"
    registry = Registry()
    before = len(contract.noted)
    contract.implementation(name, gates=[gate])(forward)
    registry.add_implementation(contract.noted[before].value)
    if baseline not in registry.implementation_names():
        raise unknown("baseline", "implementation", baseline, registry.implementation_names())
    catalogue = Catalogue(**describe(registry, [name, baseline], ceilings=False))
    group = {
        "why": "measured inline", "gates": [gate], "implementations": [name, baseline], "modes": [mode],
        "dtypes": [dtype], "device": device, "threads": [torch.get_num_threads()], "options": dict(gate_options or {}), "shapes": [dict(shape.__dict__)],
    }  # fmt: skip
    measure = {"blocks": 1, "rounds": rounds, "sample_ms": sample_ms, "warmup_s": warmup_s}
    data = {"schema": SCHEMA, "name": "inline", "seed": seed, "measure": measure, "cases": [group]}
    request = Request(suite_from_data(data, "", "inline", Path()))
    plan = make_plan(request, catalogue)
    with tempfile.TemporaryDirectory() as scratch:
        kept = Path(store) if store is not None else Path(scratch)
        journal = Journal(kept, new_run_id())
        try:
            with process_as_it_was():
                Runner(plan, journal, start=_starter(registry)).run()
        except BaseException:
            journal.remove()  # one function in one process: there is nothing worth resuming
            raise
        folder = publish(kept, journal, "complete", {**make_header(request, plan), "harness": "inline"})
        results = load(folder)
        for table in ("measurements", "samples", "accuracy", "stability", "verdicts"):
            getattr(results, table)  # read now: a scratch folder is gone in a moment
    return results


@contextmanager
def process_as_it_was() -> Iterator[None]:
    """Put back what a worker sets for good in its own process: collector, TF32, threads, kept inputs."""
    collects, frozen = gc.isenabled(), gc.get_freeze_count()
    tf32 = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        forget_draws()
        if not frozen:
            gc.unfreeze()
        (gc.enable if collects else gc.disable)()
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = tf32
        torch.set_num_threads(threads)


def _starter(registry: Registry) -> Callable[[WorkerSettings, float], Any]:
    """Return what the runner starts in place of a worker process."""

    def start(settings: WorkerSettings, timeout_s: float) -> "InlineWorker":
        return InlineWorker(settings, registry)

    return start


class InlineWorker:
    """A worker without a process: the same verbs, answered by function calls; it cannot be stopped or limited."""

    alive = True
    import_ns = None
    greeting: ClassVar[dict[str, Any]] = {"availability": {"status": "ok"}}

    def __init__(self, settings: WorkerSettings, registry: Registry) -> None:
        self._settings, self._registry = settings, registry

    @functools.cached_property
    def _service(self) -> Service:
        """The service, made in the thread that asks first: torch's thread count belongs to the thread that sets it."""
        return Service(self._settings.implementation, [], self._settings.threads, self._registry)

    def request(self, verb: str, timeout_s: float, **args: Any) -> dict[str, Any]:
        """Answer a request; raises Failure as a worker's answer would."""
        try:
            return self._service.verbs()[verb](**args)
        except Failure:
            raise
        except Exception as error:  # the code under test may raise anything; it becomes the row's reason
            raise classify(error) from error

    def stop(self) -> None:
        """Do nothing: there is no process to stop."""

    def resume(self) -> None:
        """Do nothing: there is no process to resume."""

    def close(self) -> None:
        """Do nothing: there is no process to end."""

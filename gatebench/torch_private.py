"""The one file that uses private names of torch: compile counters and modes, memory events of the profiler."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class CompileCounters:
    """What torch.compile did in this process so far."""

    graphs: int
    graph_breaks: int
    cache_hits: int
    cache_misses: int

    def __sub__(self, earlier: "CompileCounters") -> "CompileCounters":
        return CompileCounters(
            self.graphs - earlier.graphs,
            self.graph_breaks - earlier.graph_breaks,
            self.cache_hits - earlier.cache_hits,
            self.cache_misses - earlier.cache_misses,
        )


def compile_counters() -> CompileCounters:
    """Read dynamo's and inductor's counters; torch 2.9 to 2.13 keep them in torch._dynamo.utils.counters."""
    from torch._dynamo.utils import counters

    autograd, inductor = counters["aot_autograd"], counters["inductor"]
    return CompileCounters(
        graphs=counters["stats"]["unique_graphs"],
        graph_breaks=sum(counters["graph_break"].values()),
        cache_hits=autograd["autograd_cache_hit"] + inductor["fxgraph_cache_hit"],
        cache_misses=inductor["fxgraph_cache_miss"],
    )


def mode_options(mode: str) -> dict[str, Any]:
    """Return what torch.compile's `mode` stands for, as its `options`: torch takes one or the other."""
    from torch._inductor import list_mode_options

    return dict(list_mode_options(mode))


def event_names(profile: "torch.autograd.profiler.profile") -> set[str]:
    """Return the names of all that a profile saw, without building torch's tree of events."""
    results: Any = profile.kineto_results
    return {event.name() for event in results.events()}


def memory_deltas(profile: "torch.autograd.profiler.profile") -> list[int]:
    """Return the bytes of each CPU allocation (positive) and release (negative) of a profile, in order of time."""
    results: Any = profile.kineto_results
    events: Iterable[Any] = results.events()
    found = [(event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"]
    return [size for _, size in sorted(found, key=lambda pair: pair[0])]

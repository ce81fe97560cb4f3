"""The callables with pyperf: python with_pyperf.py -o FILE; CALLABLES in the environment names some of them."""

import os

import pyperf
from speed.work import ALL, call_of

runner = pyperf.Runner()
for name in os.environ.get("CALLABLES", ",".join(ALL)).split(","):

    def timed(loops, name=name):
        call = call_of(name)
        call()  # what compiles does so here
        started = pyperf.perf_counter()
        for _ in range(loops):
            call()
        return pyperf.perf_counter() - started

    runner.bench_time_func(name, timed)

"""Inside the worker: clocks, the one sample loop, verify and its one tolerance table, memory, the profiler."""

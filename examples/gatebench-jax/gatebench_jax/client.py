"""JAX's CPU client: started once per process, with as many threads as the case has, which are counted afterwards."""

import functools
import os
from pathlib import Path

import jax

import gatebench

_POOL = "tf_XLAEigen"  # what Linux shows as the name of the threads that share out an operation


def claim_threads(count: int) -> None:
    """Let JAX compute with `count` threads; raises Unsupported where its client has another number already."""
    _start(count)
    if pool_threads() != count:
        raise gatebench.Unsupported(
            f"JAX's CPU client has a pool of {pool_threads()} in this process and keeps it, the case has {count} threads"
        )


@functools.cache
def _start(count: int) -> None:
    """Start the client. Once it runs, neither the count nor the platforms change any more.

    XLA takes the size of its pool from PJRT_NPROC when the client starts, and from nowhere else (DefaultThreadPoolSize
    in xla/pjrt/utils.cc): the variable is set for that moment alone. JAX_PLATFORMS stays with its owner too; JAX's own
    setting keeps a CUDA client from starting beside this one and taking most of the device's memory.
    """
    jax.config.update("jax_platforms", "cpu")
    before = os.environ.get("PJRT_NPROC")
    os.environ["PJRT_NPROC"] = str(count)
    try:
        jax.devices("cpu")
    finally:
        if before is None:
            del os.environ["PJRT_NPROC"]
        else:
            os.environ["PJRT_NPROC"] = before


def pool_threads() -> int:
    """Count the threads of XLA's pool in this process."""
    return sum(task.read_text().strip() == _POOL for task in Path("/proc/self/task").glob("*/comm"))

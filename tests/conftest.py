"""Settings of all tests. Threads of OpenMP wait for each other in a spin: on a busy machine one thread is far faster."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("COLUMNS", None)  # tables are as wide in every process of pytest, which sets it in some

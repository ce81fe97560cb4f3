"""Settings of all tests. Threads of OpenMP wait for each other in a spin: on a busy machine one thread is far faster."""

import os
import signal
import threading

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("COLUMNS", None)  # tables are as wide in every process of pytest, which sets it in some
# What a shell starts in the background ignores Ctrl-C, and so would all that tests start in order to interrupt it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

"""Threads with the smallest stacks allocate: in Python, and in C without a thread state."""

import ctypes
import sys
import threading

from judge import RAW_THREADS, begin, make, tell

#: An interpreter from 3.13 on needs more than that itself.
STACK_BYTES = 64 * 1024 if sys.version_info < (3, 13) else 128 * 1024

raw = ctypes.CDLL(RAW_THREADS)
raw.stack_used.restype = ctypes.c_long
begin()
threading.stack_size(STACK_BYTES)
for turn in range(5):
    thread = threading.Thread(target=make, args=(f"thread_{turn}",))
    thread.start()
    thread.join()
    assert raw.stack_used(ctypes.c_size_t(16 * 1024)) > 0
tell("at the end")

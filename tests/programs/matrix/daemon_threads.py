"""Daemon threads make and free blocks, in Python and in C without the GIL, when the interpreter ends."""

import ctypes
import sys
import threading

from judge import RAW_THREADS, begin, make, tell

raw = ctypes.CDLL(RAW_THREADS)
raw.rounds_so_far.restype = ctypes.c_long
sys.setswitchinterval(1e-5)
turns = threading.Semaphore(0)


def in_python():
    while True:
        kept = [str(number) * 50 for number in range(1000)]
        turns.release()
        del kept


def in_c(depth):
    if depth:
        in_c(depth - 1)
    else:
        raw.churn_for_ever()


begin()
make("kept")
for target, arguments in ((in_python, ()), (in_python, ()), (in_c, (20,)), (in_c, (20,))):
    threading.Thread(target=target, args=arguments, daemon=True).start()
for _ in range(20):
    turns.acquire()
while raw.rounds_so_far() < 2000:
    pass
make("beside_threads")
tell("at the end")

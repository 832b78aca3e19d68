"""Exit functions and finalizers make and free blocks while the interpreter ends."""

import atexit

from judge import begin, drop, look, make, tell

import heapsight


class Last:
    """Allocates when it is torn down with its module: nothing can be told any more then, and nothing may go wrong."""

    def __del__(self):
        kept = [bytes(1000) for _ in range(100)]
        heapsight.get_stats()
        heapsight.get_traced_memory()
        del kept


def first():
    drop("before", kept=7)
    make("exit_function")
    look("in an exit function")


def last():
    make("last_exit_function")
    tell("in the last exit function")


atexit.register(last)  # called after those that come later
atexit.register(first)
begin()
last_of_all = Last()
make("before")

"""Register exit functions that print, allocate, raise and register others."""

import atexit
import sys


class Divide:
    def __call__(self):
        1 / 0

    def __repr__(self):
        return "<divide>"


def last():
    sys.stderr.write("no line end")


atexit.register(last)
atexit.register(lambda: print("first registered", [bytes(50) for _ in range(3)]))
atexit.register(Divide())
atexit.register(lambda: atexit.register(print, "registered at exit"))
atexit.register(print, "last registered")
print("main is done")

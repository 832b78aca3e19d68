"""Recurse until Python stops it, at the same depth as ever, and to a great depth in a thread."""

import sys
import threading


def deepest(depth=1):
    try:
        return deepest(depth + 1)
    except RecursionError:
        return depth


def down(depth):
    return [depth, down(depth - 1)] if depth else []


print(deepest())
sys.setrecursionlimit(30_000)
threading.stack_size(512 << 20)
thread = threading.Thread(target=lambda: print(len(down(20_000))))
thread.start()
thread.join()


def forever():
    forever()


sys.setrecursionlimit(300)
forever()

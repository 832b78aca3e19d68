"""Two functions that call one another thousands of times."""

import sys

sys.setrecursionlimit(20_000)
kept = []


def even(depth):
    kept.append(bytes(100))
    if depth > 0:
        odd(depth - 1)


def odd(depth):
    kept.append(bytearray(60))
    if depth > 0:
        even(depth - 1)


even(4_000)

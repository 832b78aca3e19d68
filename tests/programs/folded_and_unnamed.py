"""Live blocks of several kinds without a file name, under the smallest budget: all statistics have the same sum.

Prints how often paths that were folded and paths without frames had live blocks at once.
"""

from __future__ import annotations

import ctypes
import random

import heapsight

functions = []
kept: list[bytes] = []
chance = random.Random(3)


def recurse(code: int, depth: int) -> None:
    block = bytes(3000 + depth)
    if chance.random() < 0.02:
        kept.append(block)
    if depth:
        functions[chance.randrange(8)](code, depth - 1)


for number in range(8):
    source = "\n" * number + "def f(c, d):\n  recurse(c, d)\n  recurse(c, d // 2)\nfunctions.append(f)"
    exec(compile(source, f"<{number}>", "exec"), globals())


def allocate_without_frames() -> None:
    """Allocate on a thread that Python does not know of."""
    malloc, size = ctypes.cast(ctypes.pythonapi.PyMem_RawMalloc, ctypes.c_void_p), ctypes.c_void_p(54_321)
    thread = ctypes.c_ulong()
    library = ctypes.CDLL(None)
    library.pthread_create(ctypes.byref(thread), None, malloc, size)
    library.pthread_join(thread, None)


def look() -> bool:
    snapshot = heapsight.Snapshot.create()
    expected = snapshot.traced_memory
    assert sum(place.size for lines in snapshot.stats.values() for place in lines.values()) == expected
    for key in ("filename", "line", "function", "traceback"):
        assert sum(row.size for row in snapshot.top_by(key).stats.values()) == expected, key
    paths = snapshot.top_by("traceback").stats
    return () in paths and any(path and path[0].filename is None for path in paths)


heapsight.set_traceback_limit(None)
together = 0
for seed in range(30):
    chance.seed(seed)
    heapsight.set_budget(1 << 16)
    heapsight.enable()
    allocate_without_frames()
    for turn in range(6):
        for _ in range(40):
            recurse(0, 9)
        if turn == 2:
            heapsight.set_budget(None)
        together += look()
    heapsight.disable()
    kept.clear()
print(together)

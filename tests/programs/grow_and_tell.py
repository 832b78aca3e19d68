"""Imports modules, then grows by blocks of a known size, and tells of each step when it is done.

    python grow_and_tell.py MIB MODULE ...

A line is the time since 1970-01-01 UTC in nanoseconds, the bytes that are held in blocks of this program's own, and what
was done. It is written at once: whoever kills the program has all that happened. The last module's function `work`, if
it has one, is called between the steps; modules of `tests/long/work` have.
"""

from __future__ import annotations

import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "long" / "work"))

BLOCK_BYTES = 1000
BLOCKS_IN_A_STEP = 1000

held: list[list[bytes]] = []


def tell(done: str) -> None:
    """Write a line."""
    size = len(held) * BLOCKS_IN_A_STEP * (BLOCK_BYTES + sys.getsizeof(b""))
    os.write(1, f"{time.time_ns()} {size} {done}\n".encode())


def grow() -> None:
    """Hold some more blocks."""
    held.append([bytes(BLOCK_BYTES) for _ in range(BLOCKS_IN_A_STEP)])  # the growth


def main() -> None:
    """Import, then grow."""
    mib, *modules = sys.argv[1:]
    work: Callable[[int], object] = int
    tell("start")
    for name in modules:
        module = importlib.import_module(name)
        work = getattr(module, "work", work)
        tell(name)
    for step in range(int(mib)):
        grow()
        work(step)
        tell("step")


main()

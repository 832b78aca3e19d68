"""Imports modules, then grows by blocks of a known size, and tells of each step when it is done.

    python grow_and_tell.py MIB MODULE ...

A line is the time since 1970-01-01 UTC in nanoseconds, the bytes that are held in blocks and lists of this program's
own, and what was done. It is written at once: whoever kills the program has all that happened. The last module's function `work`, if
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
held_bytes = 0


def tell(done: str) -> None:
    """Write a line."""
    os.write(1, f"{time.time_ns()} {held_bytes} {done}\n".encode())


def grow() -> None:
    """Hold some more blocks."""
    global held_bytes  # noqa: PLW0603
    held.append([bytes(BLOCK_BYTES) for _ in range(BLOCKS_IN_A_STEP)])  # the growth
    held_bytes += BLOCKS_IN_A_STEP * sys.getsizeof(held[-1][0]) + sys.getsizeof(held[-1])


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

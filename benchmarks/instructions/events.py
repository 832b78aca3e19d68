"""A fixed number of allocator events, to be counted under callgrind.

    python events.py MODE

MODE is ``off``, ``full`` (call paths), ``one`` (frame) or ``sampled``, where only what falls outside the sample
is looked at. heapsight is imported in every mode, so that the difference between a mode and ``off`` is what
tracing costs. The parts to count are between calls of ``os.getppid``: callgrind is told to begin a new part of its
output whenever the C library's function of that name is entered.
"""

import gc
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

MODES = ("off", "full", "one", "sampled")
NEVER_BYTES = 1 << 40
"""So long a sampling interval that no sample falls into a run: chance would move the counts."""

PASSES = 2
"""Everything is run twice and the second time counts: the first makes call paths and tables."""

KEPT: list[Any] = []


class Point:
    """An ordinary instance."""

    def __init__(self, x: float, y: float) -> None:
        self.x = x
        self.y = y


def floats() -> None:
    """Blocks of one size at one place."""
    kept: list[Any] = [None] * 30_000
    KEPT.append(kept)
    for number in range(30_000):
        kept[number] = number * 0.5


def temporary() -> None:
    """Blocks that are freed soon: an int for every step and one for every sum."""
    for number in range(1_000_000_000, 1_000_030_000):
        _ = number + 1


def list_growth() -> None:
    """Lists grown by appending: a realloc every few elements."""
    for _ in range(300):
        rows: list[None] = []
        for _ in range(1000):
            rows.append(None)


def containers() -> None:
    """Tuples, lists, dicts and instances, from four different lines."""
    kept: list[Any] = [None] * 20_000
    KEPT.append(kept)
    for number in range(0, 20_000, 4):
        kept[number] = (number, None)
        kept[number + 1] = [number]
        kept[number + 2] = {"number": number}
        kept[number + 3] = Point(number, 0.5)


def _at_depth(depth: int, work: Callable[[], None]) -> None:
    if depth:
        _at_depth(depth - 1, work)
    else:
        work()


def deep_loop() -> None:
    """Blocks of one size at one place, 50 frames deep."""
    _at_depth(50, floats)


def _chain(depth: int) -> Optional[list[Any]]:
    return [depth, _chain(depth - 1)] if depth else None


def recursion() -> None:
    """Down and up 50 frames, often; a list is made at every level on the way up."""
    for _ in range(200):
        KEPT.append(_chain(50))


@dataclass(frozen=True)
class Workload:
    """``objects``: what counts are divided by. ``keeps``: whether there is something to free afterwards."""

    run: Callable[[], None]
    objects: int
    keeps: bool

    @property
    def name(self) -> str:
        """What it is called in the baseline."""
        return self.run.__name__


WORKLOADS = (
    Workload(floats, 30_000, keeps=True),
    Workload(temporary, 60_000, keeps=False),
    Workload(list_growth, 300_000, keeps=False),
    Workload(containers, 20_000, keeps=True),
    Workload(deep_loop, 30_000, keeps=True),
    Workload(recursion, 10_000, keeps=True),
)


def main() -> None:
    """Switch on what is asked for, run everything, leave."""
    mode = sys.argv[1]
    import heapsight

    if mode != "off":
        heapsight.set_traceback_limit(1 if mode == "one" else None)
        heapsight.enable(sample_bytes=NEVER_BYTES if mode == "sampled" else None)
        if not heapsight.is_enabled():
            sys.exit(f"heapsight is not on in mode {mode}")
    gc.disable()
    for _ in range(PASSES):
        for workload in WORKLOADS:
            os.getppid()
            workload.run()
            os.getppid()
            KEPT.clear()
    os.getppid()
    # Not sys.exit(): the clean-up of the interpreter takes long under callgrind and is not looked at.
    os._exit(0)


if __name__ == "__main__":
    main()

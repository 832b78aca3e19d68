"""Compares every public result of heapsight.tracemalloc with that of `tracemalloc`.

``python tracemalloc_differential.py [--seed N] [--snapshots N] [--programs N] [--operations N]``. Random snapshots are given to both
modules, put together by hand; random programs are traced by both at once. Prints how much agreed; at the first difference it
stops, shows it, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import collections
import ctypes
import gc
import random
import sys
import sysconfig
import tempfile
import threading
import tracemalloc
from pathlib import Path
from typing import Any

from random_heap import Heap, Instance, Oops, Slotted
from random_program import FUNCTIONS, source
from tracemalloc_results import results
from two_tracers import UNUSUAL_FRAMES, retrace_switch

import heapsight
from heapsight import tracemalloc as drop_in

#: Depth of calls at which the functions of a program stop calling on.
DEPTH = 12
#: Keeps file names alive: see differential.py.
CODES: list[Any] = []
FILES = ("a.py", "b.pyc", "/lib/c.py", "é.py", "<unknown>", "<frozen x>", __file__, "")


class DifferError(Exception):
    """The two modules do not agree."""


def random_traces(rng: random.Random) -> list[Any]:
    """Return traces as the tracer makes them; some are one object."""
    paths = [
        tuple((rng.choice(FILES), rng.randrange(4)) for _ in range(rng.randint(1, 4))) for _ in range(rng.randint(1, 6))
    ]
    sizes = (0, 1, 7, 512, 99 * 1024, 5_000_000, 10_240, 1 << 33, 1 << 39)
    made = [
        (rng.choice((0, 0, 0, 5, 389_047)), rng.choice(sizes), path, len(path) + rng.randrange(3))
        for path in rng.choices(paths, k=rng.randint(0, 12))
    ]
    return rng.choices(made, k=rng.randint(0, 40)) if made else []


def compare_by_hand(seed: int, folder: Path) -> int:
    """Give both modules the same snapshots; return how many results agreed."""
    rng = random.Random(seed)
    new, old, limit = random_traces(rng), random_traces(rng), rng.randint(1, 5)
    if rng.random() < 0.1:
        # What no tracer makes, but a program may: numbers of other types, too few frames to cut.
        new.append((0, -5, (("a.py", 1),), 1))
        old.append((0, 1 << 70, (("a.py", 1.5),), 1))
    state = rng.getstate()
    both = []
    for module in (tracemalloc, drop_in):
        rng.setstate(state)
        both.append(results(module, new, old, limit, rng, folder))
    return agree(f"snapshots of seed {seed}", *both)


def agree(title: str, theirs: list[str], ours: list[str]) -> int:
    """Return how many results are equal; raise at the first that is not."""
    for their, our in zip(theirs, ours):
        if their != our:
            raise DifferError(f"{title}:\n  tracemalloc:  {their}\n  heapsight: {our}")
    if len(theirs) != len(ours):
        raise DifferError(f"{title}: {len(theirs)} results and {len(ours)}")
    return len(theirs)


class Tracers:
    """Both modules, on."""

    def __init__(self, limit: int) -> None:
        # Else blocks that heapsight's own code asks for are not traced, and some come back from a free list as the program's.
        heapsight.clear_filters()
        # The first start imports the rest of the package: `tracemalloc`, which is on by then, alone would know of that.
        heapsight.DisplayTop()
        heapsight.TakeSnapshot()
        tracemalloc.start(UNUSUAL_FRAMES)
        self.retrace = retrace_switch()
        self.clear_type_cache = ctypes.pythonapi.PyType_ClearCache
        tracemalloc.stop()
        tracemalloc.start(limit)
        drop_in.start(limit)
        self.retrace(False)
        # What is in these files exists for one of the two only, or between their snapshots.
        own = {__file__, tracemalloc.__file__, *(str(path) for path in Path(drop_in.__file__).parent.rglob("*.py"))}
        own.update(str(path) for path in Path(__file__).parent.glob("*.py"))
        self.filters = [(False, pattern) for pattern in sorted(own)]

    def snapshots(self) -> tuple[Any, Any]:
        """Take one with each."""
        gc.collect()
        self.clear_type_cache()  # it holds strings that the program made, until another lookup takes the place
        ours = drop_in.take_snapshot()
        self.retrace(True)
        theirs = tracemalloc.take_snapshot()
        self.retrace(False)
        return (
            theirs.filter_traces([tracemalloc.Filter(*each) for each in self.filters]),
            ours.filter_traces([drop_in.Filter(*each) for each in self.filters]),
        )

    def stop(self) -> None:
        """Switch both off, the one installed last first."""
        drop_in.stop()
        self.retrace(True)
        tracemalloc.stop()


def compare_program(seed: int, operations: int, tracers: Tracers, before: tuple[Any, Any]) -> tuple[int, Any]:
    """Run one program; return how many blocks agreed, and the snapshots at its end."""
    # `tracemalloc` does not trace what it makes snapshots of; heapsight does. Nothing of it may come back from a free list.
    gc.collect()
    heap = Heap(seed, operations)
    program: dict[str, Any] = {"heap": heap, "Instance": Instance, "Slotted": Slotted, "Oops": Oops}
    code = compile(source(seed), f"<random program {seed}>", "exec")
    CODES.append(code)
    exec(code, program)
    number = 0
    while heap.left > 0:
        number += 1
        try:
            program[f"f{number % FUNCTIONS}"](DEPTH)
        except Oops as error:
            heap.keep(error.args)
    heap.quiesce()
    now = tracers.snapshots()
    blocks = [collections.Counter(trace._trace for trace in snapshot.traces) for snapshot in now]
    missing = {"tracemalloc": blocks[0] - blocks[1], "heapsight": blocks[1] - blocks[0]}
    if any(missing.values()):
        known = [
            f"\n  {name} only: {n} x {trace}" for name, some in missing.items() for trace, n in some.most_common(9)
        ]
        raise DifferError(f"program {seed}:{''.join(known)}")
    for key_type in ("filename", "lineno", "traceback"):
        for cumulative in (False, True)[: 1 if key_type == "traceback" else 2]:
            title = f"program {seed} by {key_type}, cumulative={cumulative}"
            agree(title, *([str(each) for each in snapshot.statistics(key_type, cumulative)] for snapshot in now))
            pairs = zip(now, before)
            agree(title, *([repr(each) for each in new.compare_to(old, key_type, cumulative)] for new, old in pairs))
    heap.finish()
    return sum(blocks[0].values()), now


def compare_programs(seeds: range, operations: int) -> int:
    """Run the programs, traced by both; return how many blocks agreed."""
    agreed = 0
    for limit in (1, 4, 60):
        tracers = Tracers(limit)
        try:
            before = tracers.snapshots()
            for seed in seeds[limit % 3 :: 3]:
                blocks, before = compare_program(seed, operations, tracers, before)
                agreed += blocks
        finally:
            tracers.stop()
    return agreed


def main() -> int:
    """Compare; return the exit status."""
    parser = argparse.ArgumentParser(description="compare heapsight.tracemalloc with `tracemalloc`")
    parser.add_argument("--seed", type=int, default=1, help="the first seed (default: 1)")
    parser.add_argument(
        "--snapshots", type=int, default=1000, help="how many pairs put together by hand (default: 1000)"
    )
    parser.add_argument("--programs", type=int, default=60, help="how many programs (default: 60)")
    parser.add_argument("--operations", type=int, default=150, help="length of a program (default: 150)")
    options = parser.parse_args()
    sys.unraisablehook = lambda _: None  # generators that go on yielding while they are closed are part of the programs
    threading.stack_size(64 << 20)
    agreed = blocks = 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            for seed in range(options.seed, options.seed + options.snapshots):
                agreed += compare_by_hand(seed, Path(folder))
        if not sysconfig.get_config_var("Py_GIL_DISABLED"):  # tracemalloc is not exact there
            blocks = compare_programs(range(options.seed, options.seed + options.programs), options.operations)
    except DifferError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{agreed} results of {options.snapshots} snapshots agree, ")
    sys.stdout.write(f"{blocks} blocks of {options.programs} programs\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

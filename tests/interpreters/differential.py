"""Runs random programs under heapsight and tracemalloc at once, and compares them block by block.

``python differential.py [--frames N] [--seed N] [--programs N] [--operations N]``. Both trace the same process,
so every live block of the programs is compared by size and call path, whichever thread made it and however
often it moved. Prints how many blocks agreed. At the first program that shows a difference it stops, says how
to repeat that program alone, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import sys
import sysconfig
import threading
from types import CodeType
from typing import Any

from random_heap import Heap, Instance, Oops, Slotted
from random_program import FUNCTIONS, source
from two_tracers import TwoTracers

#: Depth of calls at which the functions of a program stop calling on.
DEPTH = 40
#: Keeps the file names alive: some versions of tracemalloc (3.13.18) wait for ever in clear_traces() when they hold
#: the last reference to one.
CODES: list[CodeType] = []
#: Differences shown in full.
SHOWN = 5


def run(seed: int, operations: int, tracers: TwoTracers) -> tuple[int, list[str]]:
    """Run one program; return how many blocks agreed in all, and the differences."""
    agreed = 0
    tracers.begin()
    heap = Heap(seed, operations)
    program: dict[str, Any] = {"heap": heap, "Instance": Instance, "Slotted": Slotted, "Oops": Oops}
    code = compile(source(seed), f"<random program {seed}>", "exec")
    CODES.append(code)
    exec(code, program)
    checkpoint = operations
    number = 0
    while heap.left > 0:
        checkpoint -= operations // 2
        while heap.left > max(checkpoint, 0):
            number += 1
            try:
                program[f"f{number % FUNCTIONS}"](DEPTH)
            except Oops as error:
                heap.keep(error.args)
        heap.quiesce()
        some, differences = tracers.compare()
        agreed += some
        if differences:
            return agreed, differences
    heap.finish()
    some, differences = tracers.compare()
    return agreed + some, differences


def main() -> int:
    """Run the programs; return the exit status."""
    parser = argparse.ArgumentParser(description="compare heapsight with tracemalloc on random programs")
    parser.add_argument("--frames", type=int, help="most recent frames to trace (default: all)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first program (default: 1)")
    parser.add_argument("--programs", type=int, default=10, help="how many programs (default: 10)")
    parser.add_argument("--operations", type=int, default=3_000, help="length of a program (default: 3000)")
    options = parser.parse_args()
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        sys.stdout.write("0 blocks compared: tracemalloc is not exact without the GIL\n")
        return 0

    # Generators that go on yielding while they are closed are part of the programs.
    sys.unraisablehook = lambda _: None
    # Deep enough for the programs; the threads' stacks must be, too.
    threading.stack_size(64 << 20)
    tracers = TwoTracers(options.frames)
    agreed = 0
    differences: list[str] = []
    for seed in range(options.seed, options.seed + options.programs):
        some, differences = run(seed, options.operations, tracers)
        agreed += some
        if differences:
            sys.stderr.write(f"program {seed}: {len(differences)} differences, {some} blocks agree\n")
            for each in differences[:SHOWN]:
                sys.stderr.write(f"{each}\n")
            frames = f" --frames {options.frames}" if options.frames else ""
            sys.stderr.write(
                f"again: python differential.py --seed {seed} --programs 1 --operations {options.operations}{frames}\n"
            )
            break
    tracers.stop()
    if differences:
        return 1
    version = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(f"{version}: {agreed} blocks of {options.programs} programs agree\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

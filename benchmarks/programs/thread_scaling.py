"""The same work in one thread, or in several at once.

    python thread_scaling.py RESULT MODE THREADS WORK LIBRARY

MODE ``objects`` makes Python objects (under the GIL, where there is one), ``raw`` calls PyMem_RawMalloc
without the GIL (through LIBRARY, see raw_blocks.c), ``hash`` digests buffers without the GIL and makes
objects in between. Every thread does WORK units, so perfect scaling is: as long as one thread alone.
"""

import ctypes
import hashlib
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.programs.probe import write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import write_result


def make_objects(units: int) -> None:
    """Tuples, lists, floats and dicts; a hundred units are live at a time."""
    kept: list[Any] = []
    for number in range(units):
        kept.append((number + 1000, [number * 0.5], {"key": number}))
        if len(kept) >= 100:
            kept.clear()


def digest_buffers(units: int) -> None:
    """hashlib releases the GIL for a buffer of this size; the digests are new objects."""
    buffer = bytes(65536)
    kept: list[str] = []
    for _ in range(units):
        kept.append(hashlib.sha256(buffer).hexdigest())
        if len(kept) >= 100:
            kept.clear()


def raw_blocks(library: str) -> Callable[[int], None]:
    """The C loop; one call for all the work, so that the GIL is not taken in between."""
    churn = ctypes.CDLL(library).churn
    churn.argtypes = [ctypes.c_long]
    churn.restype = None

    def work(units: int) -> None:
        churn(units)

    return work


def run(work: Callable[[int], None], threads: int, units: int) -> float:
    """Seconds from the moment all threads are ready until the last one is done."""
    ready = threading.Barrier(threads + 1)

    def body() -> None:
        ready.wait()
        work(units)

    team = [threading.Thread(target=body) for _ in range(threads)]
    for thread in team:
        thread.start()
    ready.wait()
    started = time.perf_counter()
    for thread in team:
        thread.join()
    return time.perf_counter() - started


def main() -> None:
    """Warm up, time, write the result."""
    result_path, mode, threads, units, library = sys.argv[1:6]
    works = {"objects": make_objects, "hash": digest_buffers}
    work = raw_blocks(library) if mode == "raw" else works[mode]
    run(work, int(threads), int(units) // 10 + 1)
    cpu_before = time.process_time()
    seconds = run(work, int(threads), int(units))
    cpu_seconds = time.process_time() - cpu_before
    values = {"seconds": seconds, "cpu_seconds": cpu_seconds, "threads": int(threads), "units": int(units)}
    write_result(result_path, {"values": values})


if __name__ == "__main__":
    main()

"""Makes many small live blocks, then asks the tracer about them.

    python block_scaling.py RESULT TRACER BLOCKS

Half of the blocks are one-element tuples, half the ints in them. TRACER is ``none``, ``tracemalloc``
or ``heapsight``: whose interface to use; it must already be on. Times are in seconds. A step that took
less than a second is repeated and its median kept.
"""

import gc
import importlib
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from benchmarks.programs.probe import memory_bytes, own_bytes, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import memory_bytes, own_bytes, write_result

SMALLEST_PAIR_BYTES = 28 + 48
"""An int and a one-element tuple: less than this per pair and the tracer did not see them all."""


def build(pairs: int) -> list[tuple[int]]:
    """``pairs`` tuples, each with an int of its own."""
    return [(number,) for number in range(1_000_000_000, 1_000_000_000 + pairs)]


def timed(step: Callable[[], Any], values: dict[str, float], name: str) -> Any:
    """Run a step, up to five times if it is short; keep the median time and the last result."""
    times: list[float] = []
    result = None
    while not times or (len(times) < 5 and sum(times) < 1.0):
        result = None
        started = time.perf_counter()
        result = step()
        times.append(time.perf_counter() - started)
    values[name] = median(times)
    return result


def tracemalloc_steps(values: dict[str, float], pairs: int) -> tuple[int, int]:
    """Snapshot, statistics and comparison with the standard module.

    Returns the bytes it traces and in how many lines two snapshots differ.
    """
    import tracemalloc

    traced_bytes, _ = tracemalloc.get_traced_memory()
    old = timed(tracemalloc.take_snapshot, values, "snapshot_with_traces_seconds")
    more = build(pairs // 100)
    new = tracemalloc.take_snapshot()
    del more
    timed(lambda: new.statistics("lineno"), values, "statistics_seconds")
    differences = timed(lambda: new.compare_to(old, "lineno"), values, "compare_seconds")
    return traced_bytes, len(differences)


def heapsight_steps(values: dict[str, float], pairs: int) -> tuple[int, Optional[int]]:
    """The same with heapsight, which can also take a snapshot without the block table.

    A build that has no snapshots yet is still measured for the rest; there is nothing to compare then.
    """
    heapsight: Any = importlib.import_module("heapsight")
    traced_bytes = heapsight.get_traced_memory()
    if not hasattr(heapsight, "Snapshot"):
        return traced_bytes, None
    old = timed(heapsight.Snapshot.create, values, "snapshot_seconds")
    timed(lambda: heapsight.Snapshot.create(with_traces=True), values, "snapshot_with_traces_seconds")
    more = build(pairs // 100)
    new = heapsight.Snapshot.create()
    del more
    # Once each, not `timed`: a snapshot may remember what it worked out, and a user waits for the first time.
    started = time.perf_counter()
    new.top_by("filename_lineno")
    values["statistics_seconds"] = time.perf_counter() - started
    started = time.perf_counter()
    differences = new.top_by("filename_lineno").compare_to(old.top_by("filename_lineno"))
    differences.sort()
    values["compare_seconds"] = time.perf_counter() - started
    return traced_bytes, len(differences.differences)


STEPS: dict[str, Callable[[dict[str, float], int], tuple[int, Optional[int]]]] = {
    "tracemalloc": tracemalloc_steps,
    "heapsight": heapsight_steps,
}


def main() -> None:
    """Build, measure, ask, free; write the result."""
    result_path, tracer, blocks = sys.argv[1], sys.argv[2], int(sys.argv[3])
    pairs = blocks // 2
    values: dict[str, float] = {"blocks": pairs * 2}
    # A collection scans all live objects, more of them the more there are: not what is measured here.
    gc.disable()
    build(1000)
    own_before_bytes = own_bytes(tracer)
    rss_before_bytes = memory_bytes("VmRSS")

    started = time.perf_counter()
    rows = build(pairs)
    values["build_seconds"] = time.perf_counter() - started
    values["rss_growth_bytes"] = memory_bytes("VmRSS") - rss_before_bytes
    values["own_growth_bytes"] = own_bytes(tracer) - own_before_bytes

    if tracer in STEPS:
        traced_bytes, differences = STEPS[tracer](values, pairs)
        if traced_bytes < pairs * SMALLEST_PAIR_BYTES:
            sys.exit(f"{tracer} saw only {traced_bytes} bytes in {pairs} pairs of blocks")
        if differences == 0:
            sys.exit(f"{tracer} found no difference between two snapshots that differ")
    values["peak_rss_bytes"] = memory_bytes("VmHWM")

    started = time.perf_counter()
    rows.clear()
    values["free_seconds"] = time.perf_counter() - started
    write_result(result_path, {"values": values})


if __name__ == "__main__":
    main()

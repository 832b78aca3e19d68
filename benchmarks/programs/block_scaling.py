"""Makes many small live blocks, then asks the tracer about them.

    python block_scaling.py RESULT TRACER BLOCKS

Half of the blocks are one-element tuples, half the ints in them. TRACER is ``none``, ``tracemalloc``
or ``heapsight``: whose interface to use; it must already be on. Times are in seconds. A step that took
less than a second is repeated and its median kept.
"""

import gc
import importlib
import io
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.programs.probe import memory_bytes, own_bytes, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import memory_bytes, own_bytes, write_result

GROUPINGS = ("filename", "filename_lineno", "function", "traceback", "domain", "address")

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


def once(step: Callable[[], Any], values: dict[str, float], name: str) -> Any:
    """Run a step once; keep its time and return its result."""
    started = time.perf_counter()
    result = step()
    values[name] = time.perf_counter() - started
    return result


def tracemalloc_steps(values: dict[str, float], pairs: int, scratch: str) -> tuple[int, int]:
    """Traces, snapshot, statistics and comparison with the standard module, and a file of it.

    Returns the bytes it traces and in how many lines two snapshots differ.
    """
    import _tracemalloc
    import tracemalloc

    traced_bytes, _ = tracemalloc.get_traced_memory()
    timed(_tracemalloc._get_traces, values, "get_traces_seconds")
    old = timed(tracemalloc.take_snapshot, values, "snapshot_with_traces_seconds")
    more = build(pairs // 100)
    new = tracemalloc.take_snapshot()
    del more
    timed(lambda: new.statistics("lineno"), values, "statistics_seconds")
    differences = timed(lambda: new.compare_to(old, "lineno"), values, "compare_seconds")
    file = os.path.join(scratch, "snapshot")
    once(lambda: new.dump(file), values, "write_seconds")
    once(lambda: tracemalloc.Snapshot.load(file), values, "load_seconds")
    os.remove(file)
    return traced_bytes, len(differences)


def heapsight_steps(values: dict[str, float], pairs: int, scratch: str) -> tuple[int, int]:
    """The same with heapsight, which can also take a snapshot without the block table."""
    heapsight: Any = importlib.import_module("heapsight")
    traced_bytes = heapsight.get_traced_memory()
    timed(heapsight.get_traces, values, "get_traces_seconds")
    old = timed(heapsight.Snapshot.create, values, "snapshot_seconds")
    old_blocks = timed(lambda: heapsight.Snapshot.create(with_traces=True), values, "snapshot_with_traces_seconds")
    more = build(pairs // 100)
    new = heapsight.Snapshot.create()
    new_blocks = heapsight.Snapshot.create(with_traces=True)
    del more
    # Once each, not `timed`: a snapshot may remember what it worked out, and a user waits for the first time.
    once(lambda: new.top_by("filename_lineno"), values, "statistics_seconds")
    differences = once(
        lambda: new.top_by("filename_lineno").compare_to(old.top_by("filename_lineno")).differences,
        values,
        "compare_seconds",
    )
    values["top_seconds"] = max(top_seconds(heapsight, old_blocks, new_blocks, key) for key in GROUPINGS)
    file = os.path.join(scratch, "snapshot")
    once(lambda: new_blocks.write(file), values, "write_seconds")
    loaded = once(lambda: heapsight.Snapshot.load(file), values, "load_seconds")
    os.remove(file)
    filters = [heapsight.Filter(True, "*/block_scaling.py"), heapsight.Filter(False, "*/site-packages/*")]
    once(lambda: loaded.apply_filters(filters), values, "filter_seconds")
    return traced_bytes, len(differences)


def top_seconds(heapsight: Any, old: Any, new: Any, key: str) -> float:
    """How long a user waits for the ten lines that changed most, with their sums, as text."""
    display = heapsight.DisplayTop()
    text = io.StringIO()
    started = time.perf_counter()
    display.display_top_diff(new.top_by(key).compare_to(old.top_by(key)), file=text)
    taken = time.perf_counter() - started
    if "\n#1: " not in text.getvalue():
        sys.exit(f"heapsight shows nothing by {key}")
    return taken


STEPS: dict[str, Callable[[dict[str, float], int, str], tuple[int, int]]] = {
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
        traced_bytes, differences = STEPS[tracer](values, pairs, os.path.dirname(result_path))
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

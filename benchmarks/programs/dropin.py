"""Makes many small live blocks, then asks tracemalloc, the standard module or heapsight's, everything that takes long.

    python dropin.py RESULT MODULE BLOCKS

MODULE is ``tracemalloc`` or ``heapsight.tracemalloc``. Half of the blocks are one-element tuples, half the ints in them. Times are in
seconds, each step is done once and anew: what one remembers of an earlier question must not help. Memory of a snapshot
is what the process grows by while it is taken.
"""

import gc
import importlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.programs.probe import memory_bytes, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import memory_bytes, write_result

SMALLEST_PAIR_BYTES = 28 + 48
"""An int and a one-element tuple: less than this per pair and the tracer did not see them all."""


def build(pairs: int) -> list[tuple[int]]:
    """``pairs`` tuples, each with an int of its own."""
    return [(number,) for number in range(1_000_000_000, 1_000_000_000 + pairs)]


def timed(step: Callable[[], Any], values: dict[str, float], name: str) -> Any:
    """Run a step once; add its time."""
    started = time.perf_counter()
    result = step()
    values[name] = time.perf_counter() - started
    return result


def ask(module: Any, values: dict[str, float], pairs: int, folder: str) -> str:
    """Every step; returns what is wrong with the answers, empty if nothing."""
    rss_before_bytes = memory_bytes("VmRSS")
    old = timed(module.take_snapshot, values, "take_snapshot_seconds")
    values["snapshot_bytes"] = memory_bytes("VmRSS") - rss_before_bytes
    more = build(pairs // 100)
    new = module.take_snapshot()
    by_line = timed(lambda: new.statistics("lineno"), values, "statistics_seconds")
    by_path = timed(lambda: new.statistics("traceback"), values, "statistics_traceback_seconds")
    cumulative = timed(lambda: new.statistics("filename", True), values, "statistics_cumulative_seconds")
    differences = timed(lambda: new.compare_to(old, "lineno"), values, "compare_seconds")
    path = os.path.join(folder, "snapshot")
    timed(lambda: new.dump(path), values, "dump_seconds")
    values["dump_bytes"] = os.path.getsize(path)
    loaded = timed(lambda: module.Snapshot.load(path), values, "load_seconds")
    if len(new.traces) < 2 * (pairs + len(more)) or len(loaded.traces) != len(new.traces):
        return f"{len(new.traces)} traces, {len(loaded.traces)} of them in the file"
    if by_line[0].size < pairs * SMALLEST_PAIR_BYTES or not by_path or not cumulative:
        return f"the largest line has only {by_line[0].size} bytes"
    return "" if differences[0].count_diff >= 2 * len(more) else f"the biggest change is {differences[0]}"


def main() -> None:
    """Build, ask; write the result."""
    result_path, module_name, blocks = sys.argv[1], sys.argv[2], int(sys.argv[3])
    module = importlib.import_module(module_name)
    pairs = blocks // 2
    values: dict[str, float] = {"blocks": pairs * 2}
    # A collection scans all live objects, more of them the more there are: not what is measured here.
    gc.disable()
    module.start()
    started = time.perf_counter()
    rows = build(pairs)
    values["build_seconds"] = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        wrong = ask(module, values, len(rows), folder)
    module.stop()
    if wrong:
        sys.exit(f"{module_name}: {wrong}")
    write_result(result_path, {"values": values})


if __name__ == "__main__":
    main()

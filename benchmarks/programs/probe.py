"""What the measured programs say about their own process."""

import json
import sys
from typing import Any


def memory_bytes(name: str) -> int:
    """A line of /proc/self/status in bytes (VmRSS, VmHWM), or 0 where there is none."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(name + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def own_bytes(tracer: str) -> int:
    """What a tracer says it holds itself; 0 for "none"."""
    if tracer == "tracemalloc":
        import tracemalloc

        return tracemalloc.get_tracemalloc_memory()
    if tracer == "heapsight":
        import heapsight

        return heapsight.get_tracemalloc_size()
    return 0


def evidence() -> dict[str, Any]:
    """Which tracers are on in this process. Call it after all measuring: it imports modules."""
    found: dict[str, Any] = {"memray": "memray" in sys.modules}
    import tracemalloc

    if tracemalloc.is_tracing():
        found["tracemalloc"] = {
            "limit": tracemalloc.get_traceback_limit(),
            "peak_bytes": tracemalloc.get_traced_memory()[1],
            "own_bytes": own_bytes("tracemalloc"),
        }
    try:
        import heapsight
    except ImportError:
        return found
    if heapsight.is_enabled():
        found["heapsight"] = {
            "limit": heapsight.get_traceback_limit(),
            "peak_bytes": heapsight.get_traced_peak(),
            "own_bytes": own_bytes("heapsight"),
        }
    return found


def write_result(path: str, result: dict[str, Any]) -> None:
    """Write the answer for the parent process, with the evidence added."""
    result["evidence"] = evidence()
    with open(path, "w", encoding="utf-8") as out:
        json.dump(result, out)

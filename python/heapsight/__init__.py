"""heapsight: where the memory of a Python program is, by the call path that allocated it."""

from heapsight._heapsight import (
    __version__,
    clear_traces,
    disable,
    enable,
    get_object_address,
    get_traceback_limit,
    get_traced_memory,
    get_traced_peak,
    get_tracemalloc_size,
    is_enabled,
    reset_peak,
    set_traceback_limit,
)

__all__ = [
    "__version__",
    "clear_traces",
    "disable",
    "enable",
    "get_object_address",
    "get_traceback_limit",
    "get_traced_memory",
    "get_traced_peak",
    "get_tracemalloc_size",
    "is_enabled",
    "reset_peak",
    "set_traceback_limit",
]

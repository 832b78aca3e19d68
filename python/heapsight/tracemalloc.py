"""heapsight's drop-in for `tracemalloc`: ``import heapsight.tracemalloc as tracemalloc``.

Every name of `tracemalloc` is here and means the same; docs/how-to/replace-tracemalloc.md says what differs. Snapshots are
tables in Rust: sums and differences are computed there, and traces become Python objects when somebody looks at them.
The parts are in heapsight._tracemalloc.
"""

import sys

from heapsight import _heapsight
from heapsight._lazy import load as _load

_functions = _heapsight.tracemalloc_functions
_get_object_traceback = _functions._get_object_traceback
_get_traces = _functions._get_traces
clear_traces = _functions.clear_traces
get_traceback_limit = _functions.get_traceback_limit
get_traced_memory = _functions.get_traced_memory
get_tracemalloc_memory = _functions.get_tracemalloc_memory
is_tracing = _functions.is_tracing
reset_peak = _functions.reset_peak
start = _functions.start
stop = _functions.stop

__all__ = [
    "BaseFilter",
    "DomainFilter",
    "Filter",
    "Frame",
    "Snapshot",
    "Statistic",
    "StatisticDiff",
    "Trace",
    "Traceback",
    "clear_traces",
    "get_object_traceback",
    "get_traceback_limit",
    "get_traced_memory",
    "get_tracemalloc_memory",
    "install",
    "is_tracing",
    "reset_peak",
    "start",
    "stop",
    "take_snapshot",
    "uninstall",
]


#: Where the classes are, and the modules that programs look for here since they are in `tracemalloc`.
_HOMES = {
    "BaseFilter": "_tracemalloc.filters",
    "DomainFilter": "_tracemalloc.filters",
    "Filter": "_tracemalloc.filters",
    "Frame": "_tracemalloc.frames",
    "Snapshot": "_tracemalloc.snapshot",
    "Statistic": "_tracemalloc.statistic",
    "StatisticDiff": "_tracemalloc.statistic",
    "Trace": "_tracemalloc.frames",
    "Traceback": "_tracemalloc.frames",
    "_Traces": "_tracemalloc.traces",
}
_IMPORTED_BY_TRACEMALLOC = ("fnmatch", "linecache", "os", "pickle")


def __getattr__(name):
    if name in _HOMES:
        value = _load(_HOMES[name], name)
    elif name == "_format_size":
        value = _load("_tracemalloc.size", "size_text")
    elif name in _IMPORTED_BY_TRACEMALLOC:
        value = __import__(name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _class(name):
    return globals().get(name) or __getattr__(name)


def __dir__():
    return sorted({*globals(), *__all__})


def get_object_traceback(obj):
    """Return the Traceback of where the object was allocated, or None when that is not traced."""
    frames = _get_object_traceback(obj)
    return None if frames is None else _class("Traceback")(frames)


def take_snapshot():
    """Return a Snapshot of all traced blocks.

    Raises RuntimeError when tracing is off.
    """
    if not is_tracing():
        raise RuntimeError("the tracemalloc module must be tracing memory allocations to take a snapshot")
    # A test may have put something else in the place of the function.
    lazy = _get_traces is _functions._get_traces
    return _class("Snapshot")(_heapsight.take_trace_table() if lazy else _get_traces(), get_traceback_limit())


def install():
    """Put this module in the place of `tracemalloc`, for the whole program: ``import tracemalloc`` gives this one from now on.

    If `tracemalloc` is tracing, tracing goes on here with the same limit; blocks from before are not known. What has
    imported `tracemalloc` before keeps it. Does nothing the second time.
    """
    from heapsight._tracemalloc import replace

    replace.install(sys.modules[__name__])


def uninstall():
    """Undo install(): ``import tracemalloc`` gives the interpreter's own module again. Tracing goes on as it is."""
    from heapsight._tracemalloc import replace

    replace.uninstall()


if "_heapsight_startup" not in sys.modules:
    # Now, so that a program that traces later does not see these imports. A program that is traced from start-up
    # gets them at their first use.
    __getattr__("Snapshot")

"""What is traced right now.

These wrap functions of the same names: objects made here are made by heapsight's own code, which the default filter leaves out.
Annotations are quoted: ``from __future__ import annotations`` would show in the ``sys.modules`` of a traced program.
"""

from heapsight import _heapsight, _lazy
from heapsight._heapsight import Trace, TraceStats

__all__ = [
    "add_exclude_filter",
    "add_include_filter",
    "enable",
    "get_object_trace",
    "get_process_memory",
    "get_stats",
    "get_trace",
    "get_traces",
    "process_report",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heapsight import _metrics, _process


def enable(*, sample_bytes: "int | None" = None, clear_free_lists: bool = False, native: bool = False) -> None:
    """Start tracing. Does nothing when tracing is on already.

    ``sample_bytes`` traces a sample, one in about so many bytes.

    ``native`` traces what is asked of malloc, mmap and their relatives as well. That is seen only in a process which was started with
    ``libheapsight_preload.so`` of this package in ``LD_PRELOAD`` (``heapsight run --native`` sees to it); RuntimeError in another one.

    CPython keeps the memory of small objects (lists, tuples, dictionaries, floats, …) for the next ones of their types: such an
    object is no allocation, so one that gets memory from before tracing has no trace (`get_object_trace` is None).
    ``clear_free_lists`` empties those lists by a full collection, also when tracing is on already. (No version empties that of
    `MemoryError`, and those up to 3.13 keep one slice.) What is freed later of objects from before tracing, or of code that a
    filter excludes, is kept for others as ever.

    >>> import heapsight
    >>> heapsight.enable(clear_free_lists=True)
    >>> heapsight.get_object_trace([]) is None
    False
    >>> heapsight.disable()
    """
    _heapsight.enable(sample_bytes, native)
    if clear_free_lists:
        import gc

        gc.collect()


def get_traces() -> "dict[int, Trace]":
    """Return the trace of every live traced block, by address; an empty dictionary when tracing is off.

    Time and memory grow with the number of blocks. Frames become objects when a trace's ``traceback`` is read.

    >>> import heapsight, sys
    >>> heapsight.enable()
    >>> kept = bytes(4000)
    >>> any(trace.size == sys.getsizeof(kept) for trace in heapsight.get_traces().values())
    True
    >>> heapsight.disable()
    """
    return _heapsight.get_traces()


def get_stats() -> "dict[str | None, dict[int | None, TraceStats]]":
    """Return file name to line number to statistics over live blocks, by the most recent frame.

    What no Python code allocated is under None; an empty dictionary when tracing is off. Time grows with the number of
    distinct lines, not with the number of blocks.

    >>> import heapsight
    >>> heapsight.enable()
    >>> kept = [bytearray(4000) for _ in range(10)]
    >>> sum(stats.size for lines in heapsight.get_stats().values() for stats in lines.values()) > 40_000
    True
    >>> heapsight.disable()
    """
    return _heapsight.get_stats()


def get_trace(address: int) -> "Trace | None":
    """Return the trace of the block at exactly this address, or None when there is none.

    >>> import heapsight
    >>> heapsight.get_trace(8) is None
    True
    """
    return _heapsight.get_trace(address)


def get_object_trace(obj: object) -> "Trace | None":
    """Return the trace of the block that holds the object, or None when it is not traced.

    CPython takes small objects (lists, tuples, floats, …) from free lists: then the trace is that of the code that first asked
    for the memory, or None if that was before tracing began. `enable` can clear those lists.

    >>> import heapsight, sys
    >>> heapsight.enable()
    >>> kept = bytes(4000)
    >>> heapsight.get_object_trace(kept).size == sys.getsizeof(kept)
    True
    >>> heapsight.disable()
    """
    return _heapsight.get_object_trace(obj)


def get_process_memory() -> "_metrics.ProcessMemory | None":
    """Return the resident and virtual memory of this process in bytes, or None where the platform has no way to tell.

    >>> import heapsight
    >>> memory = heapsight.get_process_memory()
    >>> memory is None or 0 < memory.rss < memory.vms
    True
    """
    memory = _heapsight.process_memory()
    return None if memory is None else _lazy.load("_metrics", "ProcessMemory")(*memory)


def process_report() -> "_process.ProcessReport":
    """Return where the resident memory of this process is. Works whether tracing is on or off, and takes time by live blocks.

    Each resident byte is in one part. Traced and live: ``python``, ``native_malloc``, ``native_mmap``, ``native_shared`` (the last three
    with ``heapsight run --native``). Live and not traced: ``python_untraced``, ``malloc_untraced``, ``shared_untraced``. Free, and kept:
    ``arenas_free`` (pymalloc's), ``malloc_free``. And ``overhead`` (headers and rounding of allocators), ``stacks``, ``libraries`` (code
    and data), ``files`` (other mapped files), ``heapsight``, ``other``.

    OSError where the system does not tell of a process's mappings.

    >>> import heapsight
    >>> report = heapsight.process_report()
    >>> abs(sum(report.parts.values()) - report.resident) < report.resident / 50
    True
    """
    report: _process.ProcessReport = _lazy.load("_process", "report")()
    return report


def add_include_filter(filename: str, lineno: "int | None" = None, traceback: bool = False) -> None:
    """Trace from now on what is allocated in files that match, and nothing that no include filter matches.

    Arguments as those of `Filter`.

    >>> import heapsight
    >>> heapsight.add_include_filter("*/app/*")
    >>> heapsight.get_filters()[-1]
    Filter(True, '*/app/*')
    >>> heapsight.clear_filters()
    """
    _heapsight.add_filter(_heapsight.Filter(True, filename, lineno, traceback))


def add_exclude_filter(filename: str, lineno: "int | None" = None, traceback: bool = False) -> None:
    """Trace from now on nothing that is allocated in files that match.

    Arguments as those of `Filter`.

    >>> import heapsight
    >>> heapsight.add_exclude_filter("<frozen importlib*>", traceback=True)
    >>> heapsight.get_filters()[-1]
    Filter(False, '<frozen importlib*>', traceback=True)
    >>> heapsight.clear_filters()
    """
    _heapsight.add_filter(_heapsight.Filter(False, filename, lineno, traceback))

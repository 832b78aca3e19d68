"""Figures beside the traced memory: of the process, of the interpreter, of the program's own."""

from __future__ import annotations

import gc
import sys
import typing
from collections import abc

from heapsight import _heapsight
from heapsight._heapsight import shown

__all__ = ["Metric", "ProcessMemory", "metrics_of", "standard_metrics"]

FORMATS = ("int", "size", "percent")


class ProcessMemory(typing.NamedTuple):
    """Memory of a process as the system counts it, in bytes: resident (``rss``) and virtual (``vms``)."""

    rss: int
    vms: int


class _Metric(typing.NamedTuple):
    name: str
    value: float
    format: str


class Metric(_Metric):
    """A named figure that displays show: ``value`` in ``format``, which is ``'int'``, ``'size'`` (bytes) or ``'percent'`` (1.0 = 100 %).

    >>> Metric("cache.hits", 0.93, "percent")
    Metric(name='cache.hits', value=0.93, format='percent')
    """

    __slots__ = ()

    def __new__(cls, name: str, value: float, format: str = "int") -> Metric:  # noqa: A002, PYI034 - the name is fixed; Self is newer than 3.9
        """Refuse what cannot be shown."""
        if not isinstance(name, str):
            raise TypeError(f"name must be a string, not {shown(name)} ({type(name).__name__})")
        if not _is_number(value):
            raise TypeError(f"the value of {shown(name)} must be a number, not {shown(value)} ({type(value).__name__})")
        if not _can_be_shown(value):
            raise OverflowError(
                f"the value of {shown(name)} has {value.bit_length()} bits, which is more than a float holds"  # type: ignore[attr-defined]
            )
        if format not in FORMATS:
            raise ValueError(f"format must be one of 'int', 'size', 'percent', not {shown(format)}")
        return super().__new__(cls, name, value, format)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _can_be_shown(value: float) -> bool:
    try:
        float(value)
    except OverflowError:
        return False
    return True


def metrics_of(user_data: typing.Any) -> dict[str, Metric]:
    """Return the metrics that user data holds, by name, if it is a mapping: what is a metric or a number under a text."""
    if not isinstance(user_data, abc.Mapping):
        return {}
    metrics = {}
    for name, value in user_data.items():
        if isinstance(value, Metric):
            metrics[value.name] = value
        elif isinstance(name, str) and _is_number(value) and _can_be_shown(value):
            metrics[name] = Metric(name, value, "int")
    return metrics


def standard_metrics() -> dict[str, Metric]:
    """Return figures of this process and interpreter, ready for ``user_data_callback``.

    Objects known to the collector and its collections per generation, process memory, traced memory and its peak, memory of the
    tracer, interned strings (Python 3.12 and newer), bytes of source text that ``linecache`` holds and compiled patterns that ``re`` holds.
    Counting the collector's objects takes time in proportion to their number.

    >>> sorted(standard_metrics())[:2]
    ['gc.collections.0', 'gc.collections.1']
    """
    metrics = [Metric("gc.objects", len(gc.get_objects()), "int")]
    for generation, counts in enumerate(gc.get_stats()):
        metrics.append(Metric(f"gc.collections.{generation}", counts["collections"], "int"))
    memory = _heapsight.process_memory()
    if memory is not None:
        metrics.append(Metric("process_memory.rss", memory[0], "size"))
        metrics.append(Metric("process_memory.vms", memory[1], "size"))
    metrics.append(Metric("traced_memory.size", _heapsight.get_traced_memory(), "size"))
    metrics.append(Metric("traced_memory.peak", _heapsight.get_traced_peak(), "size"))
    metrics.append(Metric("tracemalloc_size", _heapsight.get_tracemalloc_size(), "size"))
    interned = getattr(sys, "getunicodeinternedsize", None)
    if interned is not None:
        metrics.append(Metric("interned_strings", interned(), "int"))
    metrics.append(Metric("linecache.size", _linecache_bytes(), "size"))
    metrics.append(Metric("re.cache", len(getattr(sys.modules.get("re"), "_cache", ())), "int"))
    return {metric.name: metric for metric in metrics}


def _linecache_bytes() -> int:
    """Return the bytes of text in linecache. An entry that is still to be read has only a function to read it."""
    cache = getattr(sys.modules.get("linecache"), "cache", {})
    return sum(entry[0] for entry in list(cache.values()) if len(entry) > 1)

"""Snapshots, and the pickles that they are written to and read from."""

import pickle
from collections import abc as _abc

from heapsight._tracemalloc import filters as filtering
from heapsight._tracemalloc import sums
from heapsight._tracemalloc.filters import BaseFilter, DomainFilter, Filter
from heapsight._tracemalloc.frames import Frame, Trace, Traceback
from heapsight._tracemalloc.home import public
from heapsight._tracemalloc.statistic import Statistic, StatisticDiff
from heapsight._tracemalloc.traces import _Traces

__all__ = ["Snapshot"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as _Any


@public
class Snapshot:
    """The traces of all blocks at one moment: ``traces``, and ``traceback_limit``, how many frames were kept of each."""

    def __init__(self, traces: "_Any", traceback_limit: int) -> None:
        self.traces = _Traces(traces)
        self.traceback_limit = traceback_limit

    def dump(self, filename: "_Any") -> None:
        """Write the snapshot to a file, which `tracemalloc` reads as well."""
        with open(filename, "wb") as file:  # noqa: PTH123 - as `tracemalloc` takes names, descriptors too
            pickle.dump(_as_tracemalloc(self), file, pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def load(filename: "_Any") -> "_Any":
        """Read a snapshot that this module or `tracemalloc` wrote. As with any pickle: only from files that you trust."""
        with open(filename, "rb") as file:  # noqa: PTH123
            return _Unpickler(file).load()

    def filter_traces(self, filters: "_Any") -> "Snapshot":
        """Return a new snapshot with the traces that at least one inclusive filter (if there is any) and every exclusive one keeps."""
        if not isinstance(filters, _abc.Iterable):
            raise TypeError(f"filters must be a list of filters, not {type(filters).__name__}")
        traces = filtering.filtered(self.traces, filters)
        return Snapshot(traces, self.traceback_limit)

    def _group_by(self, key_type: str, cumulative: bool) -> "dict[Traceback, Statistic]":
        sums.check(key_type, cumulative)
        rows = sums.statistics(self.traces, key_type, cumulative)
        groups = {}
        for frames, size, count in rows:
            traceback = Traceback(frames)
            groups[traceback] = Statistic(traceback, size, count)
        return groups

    def statistics(self, key_type: str, cumulative: bool = False) -> "list[Statistic]":
        """Return the sums by 'traceback', 'filename' or 'lineno' as a list of Statistic, the largest first.

        With cumulative, which goes with the last two, a block counts under every frame of its traceback.
        """
        sums.check(key_type, cumulative)
        rows = sums.statistics(self.traces, key_type, cumulative)
        return [Statistic(Traceback(frames), size, count) for frames, size, count in rows]

    def compare_to(self, old_snapshot: "_Any", key_type: str, cumulative: bool = False) -> "list[StatisticDiff]":
        """Return what has changed since an older snapshot as a list of StatisticDiff, the biggest change first."""
        sums.check(key_type, cumulative)
        rows = sums.differences(self, old_snapshot, key_type, cumulative)
        return [StatisticDiff(Traceback(frames), *figures) for frames, *figures in rows]


#: The classes that pickles of `tracemalloc` name.
_PICKLED: "dict[str, type]" = {
    each.__name__: each
    for each in (Snapshot, _Traces, Trace, Traceback, Frame, Statistic, StatisticDiff, BaseFilter, Filter, DomainFilter)
}


class _Unpickler(pickle.Unpickler):
    """Makes objects of these classes from files that `tracemalloc` wrote."""

    def find_class(self, module: str, name: str) -> "_Any":
        if module == "tracemalloc" and name in _PICKLED:
            return _PICKLED[name]
        return super().find_class(module, name)


def _as_tracemalloc(snapshot: Snapshot) -> "_Any":
    """Return the snapshot as an object whose pickle `tracemalloc` reads."""
    import tracemalloc

    original: _Any = tracemalloc
    if type(snapshot) is not Snapshot or original.Snapshot is Snapshot:
        return snapshot
    twin = original.Snapshot.__new__(original.Snapshot)
    twin.__dict__.update(snapshot.__dict__)
    if type(twin.traces) is _Traces:
        traces = original._Traces.__new__(original._Traces)
        traces.__dict__.update(twin.traces.__getstate__())
        twin.traces = traces
    return twin

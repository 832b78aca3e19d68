"""The standard module ``tracemalloc``, on heapsight's engine: ``import heapsight.tracemalloc as tracemalloc``.

Every name of the standard module is here and means the same; docs/how-to/replace-tracemalloc.md says what differs. Snapshots are
tables in Rust: sums and differences are computed there, and traces become Python objects when somebody looks at them.
"""

import linecache
import pickle
import sys
from collections.abc import Iterable, Sequence
from functools import total_ordering

from heapsight import _heapsight, _standard_filters, _standard_sums
from heapsight._standard_filters import BaseFilter, DomainFilter, Filter
from heapsight._standard_text import size_text as _format_size

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


@total_ordering
class Frame:
    """One line of a traceback: ``filename`` and ``lineno``. Sorts by them; ``str()`` is ``filename:lineno``."""

    __slots__ = ("_frame",)

    def __init__(self, frame):
        self._frame = frame

    @property
    def filename(self):
        """Name of the file."""
        return self._frame[0]

    @property
    def lineno(self):
        """Number of the line, 0 when unknown."""
        return self._frame[1]

    def __eq__(self, other):
        return self._frame == other._frame if isinstance(other, Frame) else NotImplemented

    def __lt__(self, other):
        return self._frame < other._frame if isinstance(other, Frame) else NotImplemented

    def __hash__(self):
        return hash(self._frame)

    def __str__(self):
        filename, lineno = self.filename, self.lineno
        return f"{filename!s}:{lineno!s}"

    def __repr__(self):
        return f"<Frame filename={self.filename!r} lineno={self.lineno!r}>"


@total_ordering
class Traceback(Sequence):
    """The frames that allocated a block, the oldest first. Made from the tracer's tuples, which have the most recent first."""

    __slots__ = ("_frames", "_total_nframe")

    def __init__(self, frames, total_nframe=None):
        self._frames = tuple(reversed(frames))
        self._total_nframe = total_nframe

    @property
    def total_nframe(self):
        """How many frames there were before they were cut to the limit; None when nobody knows."""
        return self._total_nframe

    def __len__(self):
        return len(self._frames)

    def __getitem__(self, index):
        found = self._frames[index]
        return tuple(map(Frame, found)) if isinstance(index, slice) else Frame(found)

    def __contains__(self, frame):
        return frame._frame in self._frames

    def __eq__(self, other):
        return self._frames == other._frames if isinstance(other, Traceback) else NotImplemented

    def __lt__(self, other):
        return self._frames < other._frames if isinstance(other, Traceback) else NotImplemented

    def __hash__(self):
        return hash(self._frames)

    def __str__(self):
        return str(self[0])

    def __repr__(self):
        known = "" if self._total_nframe is None else f" total_nframe={self._total_nframe}"
        return f"<Traceback {tuple(self)!r}{known}>"

    def format(self, limit=None, most_recent_first=False):
        """Return lines of text: file and line of each frame, and the source where it can be read.

        A positive limit keeps the most recent frames, a negative one the oldest.
        """
        kept = slice(None) if limit is None else slice(-limit, None) if limit > 0 else slice(limit)
        frames = list(self[kept])
        if most_recent_first:
            frames.reverse()
        lines = []
        for frame in frames:
            lines.append(f'  File "{frame.filename!s}", line {frame.lineno!s}')
            source = linecache.getline(frame.filename, frame.lineno).strip()
            if source:
                lines.append(f"    {source}")
        return lines


class Trace:
    """One memory block: ``domain``, ``size`` in bytes, ``traceback``."""

    __slots__ = ("_trace",)

    def __init__(self, trace):
        self._trace = trace

    @property
    def domain(self):
        """Who gave the block: 0 for Python's own allocators."""
        return self._trace[0]

    @property
    def size(self):
        """Size in bytes."""
        return self._trace[1]

    @property
    def traceback(self):
        """Where it was allocated."""
        return Traceback(*self._trace[2:])

    def __eq__(self, other):
        return self._trace == other._trace if isinstance(other, Trace) else NotImplemented

    def __hash__(self):
        return hash(self._trace)

    def __str__(self):
        return f"{self.traceback}: {_format_size(self.size, False)}"

    def __repr__(self):
        return f"<Trace domain={self.domain!s} size={_format_size(self.size, False)}, traceback={self.traceback!r}>"


class Statistic:
    """The blocks with one ``traceback``: their ``size`` in bytes and ``count``."""

    __slots__ = ("count", "size", "traceback")

    def __init__(self, traceback, size, count):
        self.traceback = traceback
        self.size = size
        self.count = count

    def _values(self):
        return self.traceback, self.size, self.count

    def _sort_key(self):
        return self.size, self.count, self.traceback

    def __eq__(self, other):
        return self._values() == other._values() if isinstance(other, Statistic) else NotImplemented

    def __hash__(self):
        return hash(self._values())

    def __str__(self):
        text = f"{self.traceback!s}: size={_format_size(self.size, False)}, count={int(self.count)}"
        return text + _average(self.size, self.count)

    def __repr__(self):
        return f"<Statistic traceback={self.traceback!r} size={int(self.size)} count={int(self.count)}>"


class StatisticDiff:
    """How the blocks with one ``traceback`` have changed: ``size`` and ``count`` now, ``size_diff`` and ``count_diff`` since."""

    __slots__ = ("count", "count_diff", "size", "size_diff", "traceback")

    def __init__(self, traceback, size, size_diff, count, count_diff):
        self.traceback = traceback
        self.size = size
        self.size_diff = size_diff
        self.count = count
        self.count_diff = count_diff

    def _values(self):
        return self.traceback, self.size, self.size_diff, self.count, self.count_diff

    def _sort_key(self):
        return abs(self.size_diff), self.size, abs(self.count_diff), self.count, self.traceback

    def __eq__(self, other):
        return self._values() == other._values() if isinstance(other, StatisticDiff) else NotImplemented

    def __hash__(self):
        return hash(self._values())

    def __str__(self):
        size = f"{_format_size(self.size, False)} ({_format_size(self.size_diff, True)})"
        text = f"{self.traceback!s}: size={size}, count={int(self.count)} ({int(self.count_diff):+})"
        return text + _average(self.size, self.count)

    def __repr__(self):
        size = f"{int(self.size)} ({int(self.size_diff):+})"
        return f"<StatisticDiff traceback={self.traceback!r} size={size} count={int(self.count)} ({int(self.count_diff):+})>"


def _average(size, count):
    return f", average={_format_size(size / count, False)}" if count else ""


class _Traces(Sequence):
    """The traces of a snapshot: a table in Rust, or whatever sequence of tuples it was made from."""

    def __init__(self, traces):
        if type(traces) is _heapsight.TraceTable:
            self._table = traces
        else:
            self._traces = traces

    def __getattr__(self, name):
        # Only for what is not there: the tuples, until somebody wants them. From then on they are what counts, for they can be changed.
        if name != "_traces" or not {"_table", "_loaded"} & self.__dict__.keys():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._traces = self._rows()
        self.__dict__.pop("_table", None)
        self.__dict__.pop("_loaded", None)
        return self._traces

    def _as_table(self):
        """Return the traces as a table; None when they are of a kind that only Python knows how to treat."""
        if "_loaded" in self.__dict__:
            # From a file: nobody else has this list, so that the table can take its place.
            table = _heapsight.TraceTable.of(self._loaded)
            if table is None:
                return None
            self._table = table
            del self._loaded
        table = self.__dict__.get("_table")
        return _heapsight.TraceTable.of(self._traces) if table is None else table

    def _rows(self):
        """Return the tuples without keeping them."""
        table = self.__dict__.get("_table")
        if table is not None:
            return table.to_list()
        return self._loaded if "_loaded" in self.__dict__ else self._traces

    def __len__(self):
        table = self.__dict__.get("_table")
        return len(self._rows() if table is None else table)

    def __getitem__(self, index):
        table = self.__dict__.get("_table")
        if table is None:
            found = self._rows()[index]
        elif isinstance(index, slice):
            found = table.select(range(len(table))[index])
        else:
            found = table[_standard_sums.position(index, len(table))]
        return tuple(map(Trace, found)) if isinstance(index, slice) else Trace(found)

    def __iter__(self):
        return map(Trace, iter(self._rows()))

    def __reversed__(self):
        return map(Trace, reversed(self._rows()))

    def __contains__(self, trace):
        table = self.__dict__.get("_table")
        return trace._trace in (self._rows() if table is None else table.distinct())

    def __eq__(self, other):
        if not isinstance(other, _Traces):
            return NotImplemented
        mine, theirs = self.__dict__.get("_table"), other.__dict__.get("_table")
        if mine is not None and theirs is not None:
            return mine.same_as(theirs)
        return self._rows() == other._rows()

    __hash__ = None

    def __repr__(self):
        return f"<Traces len={len(self)}>"

    def __getstate__(self):
        state = {name: value for name, value in self.__dict__.items() if name not in ("_table", "_loaded")}
        state.setdefault("_traces", self._rows())
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._loaded = self.__dict__.pop("_traces")


class Snapshot:
    """The traces of all blocks at one moment: ``traces``, and ``traceback_limit``, how many frames were kept of each."""

    def __init__(self, traces, traceback_limit):
        self.traces = _Traces(traces)
        self.traceback_limit = traceback_limit

    def dump(self, filename):
        """Write the snapshot to a file, which the standard module reads as well."""
        with open(filename, "wb") as file:  # noqa: PTH123 - as the standard module takes names, descriptors too
            pickle.dump(_as_standard(self), file, pickle.HIGHEST_PROTOCOL)

    @staticmethod
    def load(filename):
        """Read a snapshot that this or the standard module wrote. As with any pickle: only from files that you trust."""
        with open(filename, "rb") as file:  # noqa: PTH123
            return _Unpickler(file).load()

    def filter_traces(self, filters):
        """Return a new snapshot with the traces that at least one inclusive filter (if there is any) and every exclusive one keeps."""
        if not isinstance(filters, Iterable):
            raise TypeError(f"filters must be a list of filters, not {type(filters).__name__}")
        traces = _standard_filters.filtered(self.traces, filters)
        return Snapshot(traces, self.traceback_limit)

    def _group_by(self, key_type, cumulative):
        _standard_sums.check(key_type, cumulative)
        rows = _standard_sums.statistics(self.traces, key_type, cumulative)
        groups = {}
        for frames, size, count in rows:
            traceback = Traceback(frames)
            groups[traceback] = Statistic(traceback, size, count)
        return groups

    def statistics(self, key_type, cumulative=False):
        """Return the sums by 'traceback', 'filename' or 'lineno' as a list of Statistic, the largest first.

        With cumulative, which goes with the last two, a block counts under every frame of its traceback.
        """
        _standard_sums.check(key_type, cumulative)
        rows = _standard_sums.statistics(self.traces, key_type, cumulative)
        return [Statistic(Traceback(frames), size, count) for frames, size, count in rows]

    def compare_to(self, old_snapshot, key_type, cumulative=False):
        """Return what has changed since an older snapshot as a list of StatisticDiff, the biggest change first."""
        _standard_sums.check(key_type, cumulative)
        rows = _standard_sums.differences(self, old_snapshot, key_type, cumulative)
        return [StatisticDiff(Traceback(frames), *figures) for frames, *figures in rows]


def get_object_traceback(obj):
    """Return the Traceback of where the object was allocated, or None when that is not traced."""
    frames = _get_object_traceback(obj)
    return None if frames is None else Traceback(frames)


def take_snapshot():
    """Return a Snapshot of all traced blocks.

    Raises RuntimeError when tracing is off.
    """
    if not is_tracing():
        raise RuntimeError("the tracemalloc module must be tracing memory allocations to take a snapshot")
    # A test may have put something else in the place of the function.
    lazy = _get_traces is _functions._get_traces
    return Snapshot(_heapsight.take_trace_table() if lazy else _get_traces(), get_traceback_limit())


#: What pickles of the standard module name, and what it is here.
_PICKLED = {
    each.__name__: each
    for each in (Snapshot, _Traces, Trace, Traceback, Frame, Statistic, StatisticDiff, BaseFilter, Filter, DomainFilter)
}


class _Unpickler(pickle.Unpickler):
    """Makes objects of this module from files of the standard one."""

    def find_class(self, module, name):
        if module == "tracemalloc" and name in _PICKLED:
            return _PICKLED[name]
        return super().find_class(module, name)


def _as_standard(snapshot):
    """Return the snapshot as an object whose pickle the standard module reads."""
    import tracemalloc as standard

    if type(snapshot) is not Snapshot or standard.Snapshot is Snapshot:
        return snapshot
    twin = standard.Snapshot.__new__(standard.Snapshot)
    twin.__dict__.update(snapshot.__dict__)
    if type(twin.traces) is _Traces:
        traces = standard._Traces.__new__(standard._Traces)
        traces.__dict__.update(twin.traces.__getstate__())
        twin.traces = traces
    return twin


def install():
    """Put this module in the place of the standard one, for the whole program: ``import tracemalloc`` gives this one from now on.

    If the standard module is tracing, tracing goes on here with the same limit; blocks from before are not known. What has
    imported the standard module before keeps it. Does nothing the second time.
    """
    from heapsight import _replace

    _replace.install(sys.modules[__name__], _PICKLED.values())


def uninstall():
    """Undo install(): ``import tracemalloc`` gives the standard module again. Tracing goes on as it is."""
    from heapsight import _replace

    _replace.uninstall(_PICKLED.values())

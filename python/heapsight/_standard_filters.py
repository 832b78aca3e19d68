"""The filters of the standard module."""

import fnmatch
import os

from heapsight import _heapsight


class BaseFilter:
    """What all filters have: ``inclusive``, whether they say what to keep or what to drop."""

    def __init__(self, inclusive):
        self.inclusive = inclusive

    def _match(self, trace):
        """Tell whether the filter lets the trace stay."""
        raise NotImplementedError


class Filter(BaseFilter):
    """Keeps or drops by file name and line, of the most recent frame or, with ``all_frames``, of any."""

    def __init__(self, inclusive, filename_pattern, lineno=None, all_frames=False, domain=None):
        super().__init__(inclusive)
        self._filename_pattern = _normalized(filename_pattern)
        self.lineno = lineno
        self.all_frames = all_frames
        self.domain = domain

    @property
    def filename_pattern(self):
        """The pattern: ``*``, ``?`` and ``[]`` mean what they mean to fnmatch."""
        return self._filename_pattern

    def _match_frame_impl(self, filename, lineno):
        if not fnmatch.fnmatch(_normalized(filename), self._filename_pattern):
            return False
        return self.lineno is None or lineno == self.lineno

    def _match_frame(self, filename, lineno):
        return self._match_frame_impl(filename, lineno) ^ (not self.inclusive)

    def _match_traceback(self, traceback):
        if not self.all_frames:
            return self._match_frame(*traceback[0])
        found = any(self._match_frame_impl(filename, lineno) for filename, lineno in traceback)
        return self.inclusive if found else not self.inclusive

    def _match(self, trace):
        domain, _size, traceback, *_total = trace
        by_frames = self._match_traceback(traceback)
        if self.domain is None:
            return by_frames
        if self.inclusive:
            return by_frames and domain == self.domain
        return by_frames or domain != self.domain


class DomainFilter(BaseFilter):
    """Keeps or drops by ``domain``."""

    def __init__(self, inclusive, domain):
        super().__init__(inclusive)
        self._domain = domain

    @property
    def domain(self):
        """Number of the domain."""
        return self._domain

    def _match(self, trace):
        return (trace[0] == self.domain) ^ (not self.inclusive)


def _normalized(filename):
    filename = os.path.normcase(filename)
    return filename[:-1] if filename.endswith(".pyc") else filename


def filtered(traces, filters):
    """Return the traces of a snapshot that the filters let stay: a table, or a list of tuples."""
    if not filters:
        table = traces._as_table()
        return traces._rows().copy() if table is None else table
    inclusive, exclusive = [], []
    for each in filters:
        (inclusive if each.inclusive else exclusive).append(each)

    def keep(trace):
        if inclusive and not any(each._match(trace) for each in inclusive):
            return False
        return all(each._match(trace) for each in exclusive)

    # A filter of another kind may not be a function of the trace alone: it sees every one.
    pure = all(type(each) in (Filter, DomainFilter) for each in (*inclusive, *exclusive))
    table = traces._as_table() if pure else None
    if type(table) is _heapsight.TraceTable:
        return table.filtered(keep)
    return [trace for trace in traces._rows() if keep(trace)]

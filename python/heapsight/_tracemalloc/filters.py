"""The filters of snapshots."""

import fnmatch
import os

from heapsight import _heapsight
from heapsight._tracemalloc.home import public

__all__ = ["BaseFilter", "DomainFilter", "Filter", "filtered"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable as _Iterable
    from collections.abc import Sequence as _Sequence
    from typing import Any as _Any

    from heapsight._tracemalloc.traces import _Traces


@public
class BaseFilter:
    """What all filters have: ``inclusive``, whether they say what to keep or what to drop."""

    def __init__(self, inclusive: bool) -> None:
        self.inclusive = inclusive

    def _match(self, trace: "_Any") -> bool:
        """Tell whether the filter lets the trace stay."""
        raise NotImplementedError


@public
class Filter(BaseFilter):
    """Keeps or drops by file name and line, of the most recent frame or, with ``all_frames``, of any."""

    def __init__(
        self,
        inclusive: bool,
        filename_pattern: str,
        lineno: "int | None" = None,
        all_frames: bool = False,
        domain: "int | None" = None,
    ) -> None:
        super().__init__(inclusive)
        self._filename_pattern = _normalized(filename_pattern)
        self.lineno = lineno
        self.all_frames = all_frames
        self.domain = domain

    @property
    def filename_pattern(self) -> str:
        """The pattern: ``*``, ``?`` and ``[]`` mean what they mean to fnmatch."""
        return self._filename_pattern

    def _match_frame_impl(self, filename: str, lineno: int) -> bool:
        if not fnmatch.fnmatch(_normalized(filename), self._filename_pattern):
            return False
        return self.lineno is None or lineno == self.lineno

    def _match_frame(self, filename: str, lineno: int) -> bool:
        return self._match_frame_impl(filename, lineno) ^ (not self.inclusive)

    def _match_traceback(self, traceback: "_Sequence[tuple[str, int]]") -> bool:
        if not self.all_frames:
            return self._match_frame(*traceback[0])
        found = any(self._match_frame_impl(filename, lineno) for filename, lineno in traceback)
        return self.inclusive if found else not self.inclusive

    def _match(self, trace: "_Any") -> bool:
        domain, _size, traceback, *_total = trace
        by_frames = self._match_traceback(traceback)
        if self.domain is None:
            return by_frames
        if self.inclusive:
            return by_frames and domain == self.domain
        return by_frames or domain != self.domain


@public
class DomainFilter(BaseFilter):
    """Keeps or drops by ``domain``."""

    def __init__(self, inclusive: bool, domain: int) -> None:
        super().__init__(inclusive)
        self._domain = domain

    @property
    def domain(self) -> int:
        """Number of the domain."""
        return self._domain

    def _match(self, trace: "_Any") -> bool:
        domain: int = trace[0]
        return (domain == self.domain) ^ (not self.inclusive)


def _normalized(filename: str) -> str:
    filename = os.path.normcase(filename)
    return filename[:-1] if filename.endswith(".pyc") else filename


def filtered(traces: "_Traces", filters: "_Iterable[BaseFilter]") -> "_Any":
    """Return the traces of a snapshot that the filters let stay: a table, or a list of tuples."""
    if not filters:
        table = traces._as_table()
        return traces._rows().copy() if table is None else table
    inclusive: list[BaseFilter] = []
    exclusive: list[BaseFilter] = []
    for each in filters:
        (inclusive if each.inclusive else exclusive).append(each)

    def keep(trace: "_Any") -> bool:
        if inclusive and not any(each._match(trace) for each in inclusive):
            return False
        return all(each._match(trace) for each in exclusive)

    # A filter of another kind may not be a function of the trace alone: it sees every one.
    pure = all(type(each) in (Filter, DomainFilter) for each in (*inclusive, *exclusive))
    table = traces._as_table() if pure else None
    if type(table) is _heapsight.TraceTable:
        return table.filtered(keep)
    return [trace for trace in traces._rows() if keep(trace)]

"""The traces of a snapshot, as a sequence that makes a Python object only when one is read."""

from collections import abc as _abc
from operator import index as _as_integer

from heapsight import _heapsight
from heapsight._tracemalloc.frames import Trace
from heapsight._tracemalloc.home import public

__all__ = ["_Traces"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator as _Iterator
    from typing import Any as _Any


@public
class _Traces(_abc.Sequence):  # type: ignore[type-arg]
    """The traces of a snapshot: a table in Rust, or whatever sequence of tuples it was made from."""

    def __init__(self, traces: "_Any") -> None:
        if type(traces) is _heapsight.TraceTable:
            self._table = traces
        else:
            self._traces = traces

    def __getattr__(self, name: str) -> "_Any":
        # Only for what is not there: the tuples, until somebody wants them. From then on they are what counts, for they can be changed.
        if name != "_traces" or not {"_table", "_loaded"} & self.__dict__.keys():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        self._traces = self._rows()
        self.__dict__.pop("_table", None)
        self.__dict__.pop("_loaded", None)
        return self._traces

    def _as_table(self) -> "_Any":
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

    def _rows(self) -> "_Any":
        """Return the tuples without keeping them."""
        table = self.__dict__.get("_table")
        if table is not None:
            return table.to_list()
        return self._loaded if "_loaded" in self.__dict__ else self._traces

    def __len__(self) -> int:
        table = self.__dict__.get("_table")
        return len(self._rows() if table is None else table)

    def __getitem__(self, index: "_Any") -> "_Any":
        table = self.__dict__.get("_table")
        if table is None:
            found = self._rows()[index]
        elif isinstance(index, slice):
            found = table.select(range(len(table))[index])
        else:
            found = table[_position(index, len(table))]
        return tuple(map(Trace, found)) if isinstance(index, slice) else Trace(found)

    def __iter__(self) -> "_Iterator[Trace]":
        return map(Trace, iter(self._rows()))

    def __reversed__(self) -> "_Iterator[Trace]":
        return map(Trace, reversed(self._rows()))

    def __contains__(self, trace: "_Any") -> bool:
        table = self.__dict__.get("_table")
        return trace._trace in (self._rows() if table is None else table.distinct())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Traces):
            return NotImplemented
        mine, theirs = self.__dict__.get("_table"), other.__dict__.get("_table")
        if mine is not None and theirs is not None:
            return bool(mine.same_as(theirs))
        return bool(self._rows() == other._rows())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Traces len={len(self)}>"

    def __getstate__(self) -> "dict[str, _Any]":
        state = {name: value for name, value in self.__dict__.items() if name not in ("_table", "_loaded")}
        state.setdefault("_traces", self._rows())
        return state

    def __setstate__(self, state: "dict[str, _Any]") -> None:
        self.__dict__.update(state)
        self._loaded = self.__dict__.pop("_traces")


def _position(index: "_Any", length: int) -> int:
    """Return the index counted from the front; raise what a list would raise for a wrong one."""
    try:
        found = _as_integer(index)
    except TypeError:
        raise TypeError(f"list indices must be integers or slices, not {type(index).__name__}") from None
    if not -length <= found < length:
        raise IndexError("list index out of range")
    return found % length

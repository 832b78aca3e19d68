"""Sums of blocks, and how they have changed."""

from heapsight._tracemalloc.home import public
from heapsight._tracemalloc.size import size_text

__all__ = ["Statistic", "StatisticDiff"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from heapsight._tracemalloc.frames import Traceback as _Traceback


@public
class Statistic:
    """The blocks with one ``traceback``: their ``size`` in bytes and ``count``."""

    __slots__ = ("count", "size", "traceback")

    def __init__(self, traceback: "_Traceback", size: int, count: int) -> None:
        self.traceback = traceback
        self.size = size
        self.count = count

    def _values(self) -> "tuple[_Traceback | int, ...]":
        return self.traceback, self.size, self.count

    def _sort_key(self) -> "tuple[_Traceback | int, ...]":
        return self.size, self.count, self.traceback

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, Statistic) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __str__(self) -> str:
        text = f"{self.traceback!s}: size={size_text(self.size, False)}, count={int(self.count)}"
        return text + _average(self.size, self.count)

    def __repr__(self) -> str:
        return f"<Statistic traceback={self.traceback!r} size={int(self.size)} count={int(self.count)}>"


@public
class StatisticDiff:
    """How the blocks with one ``traceback`` have changed: ``size`` and ``count`` now, ``size_diff`` and ``count_diff`` since."""

    __slots__ = ("count", "count_diff", "size", "size_diff", "traceback")

    def __init__(self, traceback: "_Traceback", size: int, size_diff: int, count: int, count_diff: int) -> None:
        self.traceback = traceback
        self.size = size
        self.size_diff = size_diff
        self.count = count
        self.count_diff = count_diff

    def _values(self) -> "tuple[_Traceback | int, ...]":
        return self.traceback, self.size, self.size_diff, self.count, self.count_diff

    def _sort_key(self) -> "tuple[_Traceback | int, ...]":
        return abs(self.size_diff), self.size, abs(self.count_diff), self.count, self.traceback

    def __eq__(self, other: object) -> bool:
        return self._values() == other._values() if isinstance(other, StatisticDiff) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._values())

    def __str__(self) -> str:
        size = f"{size_text(self.size, False)} ({size_text(self.size_diff, True)})"
        text = f"{self.traceback!s}: size={size}, count={int(self.count)} ({int(self.count_diff):+})"
        return text + _average(self.size, self.count)

    def __repr__(self) -> str:
        size = f"{int(self.size)} ({int(self.size_diff):+})"
        return f"<StatisticDiff traceback={self.traceback!r} size={size} count={int(self.count)} ({int(self.count_diff):+})>"


def _average(size: int, count: int) -> str:
    return f", average={size_text(size / count, False)}" if count else ""

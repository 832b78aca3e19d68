"""Statistics by group, and how they differ from earlier ones."""

from __future__ import annotations

import typing
from datetime import datetime

from heapsight import _heapsight
from heapsight._heapsight import TraceStats, shown
from heapsight._metrics import ProcessMemory
from heapsight._slotted import Slotted

__all__ = ["GroupBy", "GroupedStats", "StatsDiff", "check_group_by"]

#: What statistics can be grouped by.
GroupBy = typing.Literal["filename", "filename_lineno", "line", "function", "traceback", "address", "domain", "thread"]

#: (size difference, size, count difference, count, key)
Difference = tuple[int, int, int, int, typing.Any]


class GroupedStats(Slotted):
    """Memory by group: ``stats`` is a dictionary from keys to `TraceStats`.

    What a key is depends on ``group_by``: a file name, (file name, line number), an address, a tuple of `Frame`, (file name, function
    name), a domain or a thread; what is unknown is None. ``cumulative`` says whether a block counts for every frame of its call path.
    ``timestamp``, ``process_memory`` and ``tracemalloc_size`` (bytes) are those of the snapshot, or None.

    Statistics made by `Snapshot.top_by` stay tables of the engine until ``stats`` is read.

    >>> new = GroupedStats({"a.py": TraceStats(300, 3)}, "filename")
    >>> old = GroupedStats({"a.py": TraceStats(100, 1), "b.py": TraceStats(50, 1)}, "filename")
    >>> new.compare_to(old).differences
    [(200, 300, 2, 3, 'a.py'), (-50, 0, -1, 0, 'b.py')]
    """

    __slots__ = ("_native", "_stats", "cumulative", "group_by", "process_memory", "timestamp", "tracemalloc_size")

    def __init__(
        self,
        stats: dict[typing.Any, TraceStats],
        group_by: GroupBy,
        cumulative: bool = False,
        timestamp: datetime | None = None,
        process_memory: ProcessMemory | None = None,
        tracemalloc_size: int | None = None,
    ) -> None:
        _check("stats", stats, dict)
        for key, entry in stats.items():  # noqa: B007
            _check("an entry of stats", entry, TraceStats)
        check_group_by(group_by)
        _check("timestamp", timestamp, datetime, or_none=True)
        _check("process_memory", process_memory, ProcessMemory, or_none=True)
        _check("tracemalloc_size", tracemalloc_size, int, or_none=True)
        self._native: _heapsight.Grouped | None = None
        self._stats: dict[typing.Any, TraceStats] | None = stats
        self.group_by: GroupBy = group_by
        self.cumulative = cumulative
        self.timestamp = timestamp
        self.process_memory = process_memory
        self.tracemalloc_size = tracemalloc_size

    @classmethod
    def _of_native(
        cls, native: _heapsight.Grouped, group_by: GroupBy, cumulative: bool, **others: typing.Any
    ) -> GroupedStats:
        grouped = cls({}, group_by, cumulative, **others)
        grouped._native = native
        grouped._stats = None
        return grouped

    @property
    def stats(self) -> dict[typing.Any, TraceStats]:
        """Statistics by key, the largest first when they come from a snapshot."""
        if self._stats is None:
            assert self._native is not None  # noqa: S101 - one of the two is always there
            self._stats = self._native.to_dict()
        return self._stats

    def compare_to(self, old_stats: GroupedStats | None = None) -> StatsDiff:
        """Return how these statistics differ from older ones, the biggest change first.

        A key only in the older ones appears with size and count 0. Without older ones all differences are 0. Raises
        `ValueError` when the two are not grouped alike.
        """
        if old_stats is not None:
            self._check_comparable(old_stats)
        # What was read may have been changed since: then the dictionaries count.
        sides = (self,) if old_stats is None else (self, old_stats)
        if self._native is not None and all(side._stats is None for side in sides):
            native = self._native.compare(None if old_stats is None else old_stats._native)
            if native is not None:
                return StatsDiff._made(native, None, old_stats, self)
        differences = _differences(self.stats, None if old_stats is None else old_stats.stats)
        diff = StatsDiff._made(None, differences, old_stats, self)
        diff.sort()
        return diff

    def _check_comparable(self, old_stats: GroupedStats) -> None:
        _check("old_stats", old_stats, GroupedStats)
        mine, theirs = self._grouping(), old_stats._grouping()
        if mine != theirs:
            raise ValueError(f"statistics grouped by {theirs} cannot be compared with statistics grouped by {mine}")

    def _grouping(self) -> str:
        name = "filename_lineno" if self.group_by == "line" else self.group_by
        return f"{name} (cumulative)" if self.cumulative else name

    def __getstate__(self) -> tuple[dict[str, typing.Any] | None, dict[str, typing.Any]]:
        """Return what the attributes hold: the engine's tables stay in this process."""
        plain, slots = super().__getstate__()
        return plain, {**slots, "_native": None, "_stats": self.stats}

    def __repr__(self) -> str:
        cumulative = " cumulative" if self.cumulative else ""
        when = "" if self.timestamp is None else f" at {self.timestamp:%Y-%m-%d %H:%M:%S}"
        return f"<GroupedStats by {self.group_by}{cumulative}{when}>"


def check_group_by(group_by: str) -> None:
    """Raise `ValueError` that lists the choices when it is none of them."""
    choices = _heapsight.group_by_choices()
    if group_by not in choices:
        raise ValueError(f"group_by must be one of {', '.join(map(repr, choices))}, not {shown(group_by)}")


def _check(name: str, value: object, kind: type, *, or_none: bool = False) -> None:
    """Raise `TypeError` unless the value is of this kind."""
    if not isinstance(value, kind) and not (or_none and value is None):
        wanted = f"{kind.__name__} or None" if or_none else kind.__name__
        raise TypeError(f"{name} must be {wanted}, not {shown(value)} ({type(value).__name__})")


def _differences(new: dict[typing.Any, TraceStats], old: dict[typing.Any, TraceStats] | None) -> list[Difference]:
    if old is None:
        return [(0, stats.size, 0, stats.count, key) for key, stats in new.items()]
    nothing = TraceStats(0, 0)
    differences = []
    for key, stats in new.items():
        before = old.get(key, nothing)
        differences.append((stats.size - before.size, stats.size, stats.count - before.count, stats.count, key))
    gone = ((key, before) for key, before in old.items() if key not in new)
    differences.extend((-before.size, 0, -before.count, 0, key) for key, before in gone)
    return differences


class StatsDiff(Slotted):
    """How statistics differ from older ones.

    ``differences`` is a list of (size difference, size, count difference, count, key), sizes in bytes; ``old_stats`` (or None) and
    ``new_stats`` are what was compared.

    >>> diff = StatsDiff([(1, 10, 1, 1, "a.py"), (-5, 0, -1, 0, "b.py")], None, GroupedStats({}, "filename"))
    >>> diff.sort()
    >>> diff.differences[0]
    (-5, 0, -1, 0, 'b.py')
    """

    __slots__ = ("_differences", "_native", "new_stats", "old_stats")

    def __init__(self, differences: list[Difference], old_stats: GroupedStats | None, new_stats: GroupedStats) -> None:
        _check("differences", differences, list)
        for row in differences:
            if not isinstance(row, tuple) or len(row) != 5 or not all(isinstance(figure, int) for figure in row[:4]):
                raise TypeError(
                    f"a difference must be (int, int, int, int, key), not {shown(row)} ({type(row).__name__})"
                )
        _check("old_stats", old_stats, GroupedStats, or_none=True)
        _check("new_stats", new_stats, GroupedStats)
        self._native: _heapsight.Differences | None = None
        self._differences: list[Difference] | None = differences
        self.old_stats = old_stats
        self.new_stats = new_stats

    @classmethod
    def _made(
        cls,
        native: _heapsight.Differences | None,
        differences: list[Difference] | None,
        old_stats: GroupedStats | None,
        new_stats: GroupedStats,
    ) -> StatsDiff:
        """Return the differences that one of the first two holds, which are known to be sound."""
        diff = cls([], old_stats, new_stats)
        diff._native = native
        diff._differences = differences
        return diff

    @property
    def differences(self) -> list[Difference]:
        """All differences."""
        if self._differences is None:
            assert self._native is not None  # noqa: S101 - one of the two is always there
            self._differences = self._native.to_list()
        return self._differences

    def sort(self) -> None:
        """Sort: by size difference (whatever its sign), size, count difference, count, all largest first, then by key.

        Unknown file names and line numbers count as ``""`` and 0. What `GroupedStats.compare_to` returns is sorted already.
        """
        if self._differences is not None:
            self._differences.sort(key=_order)

    def _head(
        self, count: int, imports_apart: bool = False
    ) -> tuple[list[Difference], int, Figures, Figures | None, Figures]:
        """Return the first differences, how many others there are, their sums, those of imports, and the sums of all.

        Imports are in none of the others if they are to be apart, and None if there are none.
        """
        if self._differences is None and self._native is not None:
            return self._native.head(count, imports_apart)
        rows, imports = self.differences, []
        if imports_apart:
            group_by = self.new_stats.group_by
            is_import = [_heapsight.is_import_key(row[4], group_by) for row in rows]
            imports = [row for row, apart in zip(rows, is_import) if apart]
            rows = [row for row, apart in zip(rows, is_import) if not apart]
        head, rest = rows[:count], rows[count:]
        return head, len(rest), _sums(rest), _sums(imports) if imports else None, _sums(self.differences)

    def __getstate__(self) -> tuple[dict[str, typing.Any] | None, dict[str, typing.Any]]:
        """Return what the attributes hold: the engine's tables stay in this process."""
        plain, slots = super().__getstate__()
        return plain, {**slots, "_native": None, "_differences": self.differences}

    def __repr__(self) -> str:
        return f"<StatsDiff by {self.new_stats.group_by}: {len(self.differences)} differences>"


Figures = tuple[int, int, int, int]


def _sums(differences: list[Difference]) -> Figures:
    columns = (0, 0, 0, 0)
    for row in differences:
        columns = (columns[0] + row[0], columns[1] + row[1], columns[2] + row[2], columns[3] + row[3])
    return columns


def _order(difference: Difference) -> tuple[typing.Any, ...]:
    size_diff, size, count_diff, count, key = difference
    return (-abs(size_diff), -size, -abs(count_diff), -count, _key_order(key))


def _key_order(key: typing.Any) -> typing.Any:
    """Return the key with "" and 0 for what is unknown: of a pair only the second can be a number."""
    if key is None:
        return ""
    if isinstance(key, tuple) and len(key) == 2 and not isinstance(key[0], _heapsight.Frame):
        first, second = key
        return ("" if first is None else first, *_number_or_text(second))
    return key


def _number_or_text(value: object) -> tuple[object, object]:
    if value is None:
        return (0, "")
    return (value, "") if isinstance(value, int) else (0, value)

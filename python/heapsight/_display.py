"""The top of a snapshot as lines of text."""

from __future__ import annotations

import os
import sys
import typing
from collections import abc

from heapsight import _heapsight
from heapsight._metrics import Metric, ProcessMemory
from heapsight._slotted import Slotted
from heapsight._snapshot import Snapshot
from heapsight._statistics import GroupBy, GroupedStats, StatsDiff, check_group_by

__all__ = ["DisplayTop", "DisplayTopTask"]


class DisplayTop(Slotted):
    """Writes top lists, each compared with one shown before.

    Attributes: ``color`` (None: colours if the file is a terminal and ``NO_COLOR`` is unset), ``compare_with_previous`` (True: with the
    list shown last; False: with the first), ``filename_parts`` (3: further parts of a file name become ``...``), ``show_average``,
    ``show_count``, ``show_size`` (True), and ``previous_top_stats``, the `GroupedStats` that the next list is compared with (None).

    >>> display = DisplayTop()
    >>> display.display_top_stats(GroupedStats({("app.py", 7): _heapsight.TraceStats(2048, 2)}, "line"))
    Top 1 allocations per filename and line number
    #1: app.py:7: size=2048 B, count=2, average=1024 B
    Total: size=2048 B, count=2, average=1024 B
    """

    __slots__ = (
        "_previous_metrics",
        "color",
        "compare_with_previous",
        "filename_parts",
        "previous_top_stats",
        "show_average",
        "show_count",
        "show_size",
    )

    def __init__(self) -> None:
        self.color: bool | None = None
        self.compare_with_previous = True
        self.filename_parts = 3
        self.show_average = True
        self.show_count = True
        self.show_size = True
        self.previous_top_stats: GroupedStats | None = None
        self._previous_metrics: dict[str, Metric] = {}

    def display_snapshot(
        self,
        snapshot: Snapshot,
        count: int = 10,
        group_by: GroupBy = "filename_lineno",
        cumulative: bool = False,
        file: typing.TextIO | None = None,
    ) -> None:
        """Write the ``count`` biggest groups of a snapshot, and its metrics, to ``file`` (None: standard output).

        Memory of the import system is one line below them; `display_top_stats` shows every group.
        If the grouping differs from that of the previous list, there is nothing to compare with.
        """
        _at_least_1("count", count)
        top_stats = snapshot.top_by(group_by, cumulative)
        previous = self.previous_top_stats
        if previous is not None and previous._grouping() != top_stats._grouping():
            self.previous_top_stats = None
        self._display_next(top_stats, snapshot.metrics, count, file, imports_apart=True)

    def display_top_stats(self, top_stats: GroupedStats, count: int = 10, file: typing.TextIO | None = None) -> None:
        """Write the ``count`` biggest groups, compared with ``previous_top_stats``."""
        _at_least_1("count", count)
        self._display_next(top_stats, {}, count, file, imports_apart=False)

    def display_top_diff(self, top_diff: StatsDiff, count: int = 10, file: typing.TextIO | None = None) -> None:
        """Write the ``count`` first differences, in the order they have."""
        _at_least_1("count", count)
        self._write(top_diff, count, file, {}, {}, imports_apart=False)

    def _display_next(
        self,
        top_stats: GroupedStats,
        metrics: dict[str, Metric],
        count: int,
        file: typing.TextIO | None,
        *,
        imports_apart: bool,
    ) -> None:
        diff = top_stats.compare_to(self.previous_top_stats)
        self._write(diff, count, file, metrics, self._previous_metrics, imports_apart=imports_apart)
        if self.compare_with_previous or self.previous_top_stats is None:
            self.previous_top_stats = top_stats
            self._previous_metrics = metrics

    def _write(
        self,
        diff: StatsDiff,
        count: int,
        file: typing.TextIO | None,
        metrics: dict[str, Metric],
        old_metrics: dict[str, Metric],
        *,
        imports_apart: bool,
    ) -> None:
        file = sys.stdout if file is None else file
        if file is None:  # as of a program without a terminal; print() says nothing either
            return
        new, old = diff.new_stats, diff.old_stats
        rows, others, rest, imports, total = diff._head(count, imports_apart)
        all_metrics = {**_process_metrics(new.process_memory), **metrics}
        all_old = {**_process_metrics(None if old is None else old.process_memory), **old_metrics}
        text = _heapsight.render_top(
            (self._colors(file), _at_least_1("filename_parts", self.filename_parts), *self._columns()),
            (_time(new), old is not None, None if old is None else _time(old), new.group_by, new.cumulative),
            rows,
            (others, rest),
            imports,
            total,
            [
                (metric.name, metric.value, _old_value(metric, None if old is None else all_old), metric.format)
                for metric in all_metrics.values()
            ],
        )
        _write_text(file, text)

    def _columns(self) -> tuple[bool, bool, bool]:
        return bool(self.show_size), bool(self.show_count), bool(self.show_average)

    def _colors(self, file: typing.TextIO) -> bool:
        if self.color is not None:
            return bool(self.color)
        return not os.environ.get("NO_COLOR") and bool(getattr(file, "isatty", bool)())


def _process_metrics(memory: ProcessMemory | None) -> dict[str, Metric]:
    return {} if memory is None else {"process_memory.rss": Metric("process_memory.rss", memory.rss, "size")}


def _old_value(metric: Metric, old: dict[str, Metric] | None) -> float | None:
    before = None if old is None else old.get(metric.name)
    return None if before is None else before.value


def _time(stats: GroupedStats) -> str | None:
    return None if stats.timestamp is None else f"{stats.timestamp:%Y-%m-%d %H:%M:%S}"


def _at_least_1(name: str, value: int) -> int:
    """Return the value if it is a number of things that can be shown."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {_heapsight.shown(value)} ({type(value).__name__})")
    if not 1 <= value <= sys.maxsize:
        raise ValueError(f"{name} must be from 1 to {sys.maxsize}, not {_heapsight.shown(value)}")
    return value


def _write_text(file: typing.TextIO, text: str) -> None:
    try:
        file.write(text)
    except UnicodeEncodeError as error:  # a name that the file's encoding does not have
        file.write(text.encode(error.encoding, "backslashreplace").decode(error.encoding))
    flush = getattr(file, "flush", None)  # all that print() asks for is write()
    if flush is not None:
        flush()


class DisplayTopTask(Slotted):
    """Writes a top list every few seconds.

    Attributes: ``count``, ``group_by``, ``cumulative``, ``file``, ``user_data_callback`` as given, and ``display_top``, the `DisplayTop`
    that writes.

    >>> import heapsight
    >>> task = DisplayTopTask(5, group_by="filename")
    >>> task.start(10)
    >>> task.stop()
    >>> heapsight.disable()
    """

    __slots__ = ("count", "cumulative", "display_top", "file", "group_by", "user_data_callback")

    def __init__(
        self,
        count: int = 10,
        group_by: GroupBy = "filename_lineno",
        cumulative: bool = False,
        file: typing.TextIO | None = None,
        user_data_callback: abc.Callable[[], typing.Any] | None = None,
    ) -> None:
        _at_least_1("count", count)
        check_group_by(group_by)
        self.count = count
        self.group_by: GroupBy = group_by
        self.cumulative = cumulative
        self.file: typing.TextIO | None = sys.stdout if file is None else file
        self.user_data_callback = user_data_callback
        self.display_top = DisplayTop()

    def display(self) -> Snapshot:
        """Take a snapshot, write its top list, and return it."""
        with_traces = self.group_by == "address"
        snapshot = Snapshot.create(with_traces=with_traces, user_data_callback=self.user_data_callback)
        self.display_top.display_snapshot(snapshot, self.count, self.group_by, self.cumulative, self.file)
        return snapshot

    def start(self, delay: float) -> None:
        """Call `display` every ``delay`` seconds, in the place of whatever the timer called before. Enables tracing if it is off."""
        _heapsight.start_timer(delay, self.display)

    def stop(self) -> None:
        """Stop the timer."""
        _heapsight.stop_timer()

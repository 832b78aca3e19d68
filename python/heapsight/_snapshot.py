"""Snapshots: everything that is traced at one moment."""

from __future__ import annotations

import os
import stat
import typing
from collections import abc
from datetime import datetime, timedelta, timezone

from heapsight import _heapsight
from heapsight._heapsight import Filter, Trace, TraceStats
from heapsight._metrics import Metric, ProcessMemory, metrics_of
from heapsight._note import Note
from heapsight._statistics import GroupBy, GroupedStats, check_group_by

__all__ = ["FileName", "Snapshot", "is_special"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

FileName = typing.Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]
Moment = typing.Union[str, float]


class Snapshot:
    """What is traced at one moment. Made by `Snapshot.create` and `Snapshot.load`.

    It holds the engine's tables; ``stats`` and ``traces`` become Python objects when they are first read.

    >>> import heapsight
    >>> heapsight.enable()
    >>> kept = [bytearray(1000) for _ in range(100)]
    >>> snapshot = heapsight.Snapshot.create()
    >>> snapshot.traced_memory > 100_000
    True
    >>> heapsight.disable()
    """

    __slots__ = (
        "_data",
        "_stats",
        "_traces",
        "_with_stats",
        "incomplete",
        "metrics",
        "pid",
        "process_memory",
        "timestamp",
        "traceback_limit",
        "traced_memory",
        "traced_peak",
        "tracemalloc_size",
        "user_data",
    )

    pid: int
    """Process id."""
    timestamp: datetime
    """When it was taken, in local time with its offset."""
    traceback_limit: int
    """Frames kept of each call path; 65535 for all."""
    process_memory: ProcessMemory | None
    """Memory of the process in bytes, None where it is not known."""
    tracemalloc_size: int
    """Bytes that the tracer itself held."""
    traced_memory: int
    """Bytes in live traced blocks."""
    traced_peak: int
    """Highest traced memory so far, in bytes."""
    metrics: dict[str, Metric]
    """The metrics among the user data, by name."""
    user_data: typing.Any
    """What ``user_data_callback`` returned."""
    incomplete: str | None
    """What is wrong with the file that it was loaded from, if not all of it could be read; else None."""
    _data: _heapsight.SnapshotData
    _with_stats: bool
    _stats: dict[str | None, dict[int | None, TraceStats]] | None
    _traces: dict[int, Trace] | None

    def __init__(self) -> None:
        raise TypeError("a snapshot is made by Snapshot.create() or Snapshot.load(filename)")

    @classmethod
    def create(
        cls,
        *,
        with_traces: bool = False,
        with_stats: bool = True,
        user_data_callback: abc.Callable[[], typing.Any] | None = None,
    ) -> Snapshot:
        """Take a snapshot of what is traced now.

        ``with_traces`` keeps every single block, with address and size; ``with_stats`` allows ``stats``. The result of
        ``user_data_callback``, called once, becomes ``user_data``. Raises `RuntimeError` when tracing is off, and `ValueError` when neither
        traces nor statistics are wanted.
        """
        if not with_traces and not with_stats:
            raise ValueError(
                "with_traces=False and with_stats=False leave nothing to put into a snapshot: set one to True"
            )
        if user_data_callback is not None and not callable(user_data_callback):
            raise TypeError(f"user_data_callback must be callable or None, not {_heapsight.shown(user_data_callback)}")
        now = (datetime.now(timezone.utc) - _EPOCH) // timedelta(microseconds=1)
        data = _heapsight.take_snapshot(now * 1000, bool(with_traces))
        memory = _heapsight.process_memory()
        user_data = None if user_data_callback is None else user_data_callback()
        return cls._make(
            data,
            with_stats=with_stats,
            process_memory=None if memory is None else ProcessMemory(*memory),
            traceback_limit=_heapsight.get_traceback_limit(),
            metrics=metrics_of(user_data),
            user_data=user_data,
            incomplete=None,
        )

    @classmethod
    def _make(cls, data: _heapsight.SnapshotData, *, with_stats: bool, **attributes: typing.Any) -> Snapshot:
        snapshot = object.__new__(cls)
        snapshot._data = data
        snapshot._with_stats = with_stats
        snapshot._stats = None
        snapshot._traces = None
        snapshot.pid = data.pid
        snapshot.timestamp = (_EPOCH + timedelta(microseconds=data.unix_ns // 1000)).astimezone()
        snapshot.traced_memory, snapshot.traced_peak, snapshot.tracemalloc_size = data.totals
        for name, value in attributes.items():
            setattr(snapshot, name, value)
        return snapshot

    @property
    def stats(self) -> dict[str | None, dict[int | None, TraceStats]] | None:
        """File name to line number to statistics, by the most recent frame; None when made with ``with_stats=False``."""
        if self._stats is None and self._with_stats:
            self._stats = self._data.stats()
        return self._stats

    @property
    def traces(self) -> dict[int, Trace] | None:
        """Address to trace for every block; None when made without traces."""
        if self._traces is None:
            self._traces = self._data.traces()
        return self._traces

    def apply_filters(self, filters: abc.Iterable[Filter]) -> None:
        """Drop what the filters drop, in place, from ``stats``, ``traces`` and everything computed from now on.

        ``traced_memory``, ``traced_peak`` and the metrics stay those of the whole process.
        """
        self._data.apply_filters(filters)
        self._stats = None
        self._traces = None

    def top_by(self, group_by: GroupBy, cumulative: bool = False) -> GroupedStats:
        """Return statistics by ``'filename'``, ``'filename_lineno'`` (or ``'line'``), ``'address'``, ``'traceback'``, ``'function'``,
        ``'domain'`` or ``'thread'``.

        ``cumulative`` counts a block once for each distinct key on its call path, not only for the most recent frame; it has no effect
        where a block has one key. Raises `ValueError` for another grouping, and for ``'address'`` when the snapshot has no traces.
        """  # noqa: D205 - the choices belong into the first sentence
        check_group_by(group_by)
        cumulative = bool(cumulative) and self.traceback_limit > 1 and group_by != "address"
        return GroupedStats._of_native(
            self._data.group(group_by, cumulative),
            group_by,
            cumulative,
            timestamp=self.timestamp,
            process_memory=self.process_memory,
            tracemalloc_size=self.tracemalloc_size,
        )

    def write(self, filename: FileName) -> None:
        """Write the snapshot to a file, whole or not at all.

        An existing file is replaced and keeps its mode and owner; links to it stay. What is no ordinary file, such as a pipe or
        ``/dev/null``, is written to.

        User data may hold None, numbers, texts, bytes, lists, tuples, sets, dictionaries, `datetime` objects and `Metric`; they
        come back as they were (a subclass as the type that it is based on). With anything else nothing is written, and
        the `TypeError` or `ValueError` says where it is. Raises `OSError` when the file cannot be written.
        """
        self._write(filename)

    def _write(self, filename: FileName, *, replace: bool = True) -> None:
        path = os.fsdecode(filename)
        note = self._note(self.user_data)
        if replace and is_special(path):
            _write_through(path, self._data.to_bytes(self._rss(), note))
        else:
            self._data.write(path, self._rss(), note, replace)

    def _rss(self) -> int:
        return 0 if self.process_memory is None else self.process_memory.rss

    def _note(self, user_data: typing.Any) -> str:
        note = Note(
            self.traceback_limit, self.process_memory, self._with_stats, self.metrics, user_data, self.incomplete
        )
        return note.write()

    @classmethod
    def load(cls, filename: FileName, traces: bool = True, *, at: Moment | tuple[Moment, Moment] = "end") -> Snapshot:
        """Read a snapshot that `write` wrote, a moment of a recording, or a pickle of `tracemalloc`'s ``Snapshot.dump``.

        Nothing in the file is ever executed. ``traces=False`` leaves single blocks out; `tracemalloc`'s snapshots know no
        addresses, so they have no traces. Raises `OSError` when the file cannot be read, and `ValueError` when it is something else.

        Of a file that is damaged or cut short what can be read is loaded, and ``incomplete`` says what is wrong; when nothing can be,
        that is a `ValueError`.

        ``at`` is the moment: ``'start'``, ``'peak'``, ``'end'``, seconds since the start of tracing, or a text such as ``'300ms'``
        or ``'2m'``, as on the command line. A tuple of two moments gives what happened between them: ``stats`` are then what was
        gained. At other moments than the end of a recording single blocks may not be known.
        """
        path = os.fsdecode(filename)
        content = _read_pipe(path) if _is_pipe(path) else None
        data = _heapsight.load_snapshot(path, content, bool(traces), at)
        try:
            return cls._loaded(data)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    @classmethod
    def _loaded(cls, data: _heapsight.SnapshotData) -> Snapshot:
        without_note = Note(
            data.traceback_limit,
            ProcessMemory(data.rss_bytes, 0) if data.rss_bytes else None,
            incomplete=data.incomplete,
        )
        note = without_note.read(data.note)
        return cls._make(
            data,
            with_stats=note.with_stats,
            process_memory=note.process_memory,
            traceback_limit=note.traceback_limit,
            metrics=dict(note.metrics),
            user_data=note.user_data,
            incomplete=data.incomplete or note.incomplete,
        )

    def __reduce__(self) -> tuple[typing.Any, ...]:
        """Pickle the tables as a file would have them, and user data as itself."""
        return (_from_pickle, (self._data.to_bytes(self._rss(), self._note(None)), self.user_data))

    def __repr__(self) -> str:
        return (
            f"<Snapshot of process {self.pid} at {self.timestamp:%Y-%m-%d %H:%M:%S}: {self.traced_memory} bytes traced>"
        )


def _from_pickle(data: bytes, user_data: typing.Any) -> Snapshot:
    snapshot = Snapshot._loaded(_heapsight.snapshot_from_bytes(data))
    snapshot.user_data = user_data
    return snapshot


def is_special(path: str) -> bool:
    """Tell whether there is something that is neither a file nor a directory."""
    mode = _mode(path)
    return mode is not None and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _is_pipe(path: str) -> bool:
    mode = _mode(path)
    return mode is not None and stat.S_ISFIFO(mode)


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode  # noqa: PTH116 - a path of bytes is none for pathlib
    except OSError:
        return None


def _write_through(path: str, data: bytes) -> None:
    """Write to what is there. In Python, so that Ctrl-C ends the wait for somebody who reads a pipe."""
    rest = memoryview(data)
    with open(path, "wb", buffering=0) as file:  # noqa: PTH123 - a path of bytes is none for pathlib
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            error.filename = path
            raise


def _read_pipe(path: str) -> bytes:
    """Read all. In Python, so that Ctrl-C ends the wait for somebody who writes."""
    with open(path, "rb") as file:  # noqa: PTH123 - as above
        return file.read()

"""Snapshots: everything that is traced at one moment."""

from __future__ import annotations

import json
import os
import typing
import warnings
from collections import abc
from datetime import datetime, timedelta, timezone

from heapsight import _heapsight
from heapsight._heapsight import Filter, Trace, TraceStats
from heapsight._metrics import Metric, ProcessMemory, metrics_of
from heapsight._statistics import GroupBy, GroupedStats, check_group_by

__all__ = ["Snapshot"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_METRIC_TAG = "$metric"

FileName = typing.Union[str, "os.PathLike[str]"]
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
            raise TypeError(f"user_data_callback must be callable or None, not {user_data_callback!r}")
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
        """Write the snapshot to a file, whole or not at all; an existing file is replaced.

        User data is kept if JSON can hold it, else left out with a `RuntimeWarning`; metrics are always kept.
        Raises `OSError` when the file cannot be written.
        """
        memory = self.process_memory
        self._data.write(os.fspath(filename), 0 if memory is None else memory.rss, self._note(self.user_data))

    def _note(self, user_data: typing.Any) -> str:
        memory = self.process_memory
        # Infinity and not-a-number are no JSON.
        metrics = [metric for metric in self.metrics.values() if metric.value - metric.value == 0]
        note = {
            "traceback_limit": self.traceback_limit,
            "rss": None if memory is None else memory.rss,
            "vms": None if memory is None else memory.vms,
            "with_stats": self._with_stats,
            "metrics": [metric._asdict() for metric in metrics],
            "user_data": None,
        }
        try:
            return json.dumps({**note, "user_data": _tagged(user_data)}, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            warnings.warn(f"the snapshot's user data is left out of the file: {error}", RuntimeWarning, stacklevel=3)
        return json.dumps(note, allow_nan=False)

    @classmethod
    def load(
        cls, filename: FileName, traces: bool = True, *, at: Moment | tuple[Moment, Moment] = "end"
    ) -> Snapshot:
        """Read a snapshot that `write` wrote, a moment of a recording, or a pickle of the standard module's ``Snapshot.dump``.

        Nothing in the file is ever executed. ``traces=False`` leaves single blocks out; the standard module's snapshots know no
        addresses, so they have no traces. Raises `OSError` when the file cannot be read, and `ValueError` when it is something else.

        ``at`` is the moment: ``'start'``, ``'peak'``, ``'end'``, seconds since the start of tracing, or a text such as ``'300ms'``
        or ``'2m'``, as on the command line. A tuple of two moments gives what happened between them: ``stats`` are then what was
        gained. At other moments than the end of a recording single blocks may not be known.
        """
        return cls._loaded(_heapsight.load_snapshot(os.fspath(filename), bool(traces), at))

    @classmethod
    def _loaded(cls, data: _heapsight.SnapshotData) -> Snapshot:
        note = _parsed(data.note)
        rss, vms = note.get("rss", data.rss_bytes or None), note.get("vms")
        listed = note.get("metrics", [])
        return cls._make(
            data,
            with_stats=bool(note.get("with_stats", True)),
            process_memory=None if rss is None else ProcessMemory(rss, 0 if vms is None else vms),
            traceback_limit=note.get("traceback_limit", data.traceback_limit),
            metrics={entry["name"]: Metric(**entry) for entry in listed},
            user_data=_untagged(note.get("user_data")),
        )

    def __reduce__(self) -> tuple[typing.Any, ...]:
        """Pickle the tables as a file would have them, and user data as itself."""
        memory = self.process_memory
        data = self._data.to_bytes(0 if memory is None else memory.rss, self._note(None))
        return (_from_pickle, (data, self.user_data))

    def __repr__(self) -> str:
        return (
            f"<Snapshot of process {self.pid} at {self.timestamp:%Y-%m-%d %H:%M:%S}: {self.traced_memory} bytes traced>"
        )


def _from_pickle(data: bytes, user_data: typing.Any) -> Snapshot:
    snapshot = Snapshot._loaded(_heapsight.snapshot_from_bytes(data))
    snapshot.user_data = user_data
    return snapshot


def _tagged(value: typing.Any) -> typing.Any:
    """Return the value as JSON can hold it and give it back unchanged; raise `TypeError` otherwise."""
    if isinstance(value, Metric):
        return {_METRIC_TAG: list(value)}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if type(value) is list:
        return [_tagged(item) for item in value]
    if type(value) is dict:
        if any(type(key) is not str or key == _METRIC_TAG for key in value):
            raise TypeError("a dictionary's keys must be strings")
        return {key: _tagged(item) for key, item in value.items()}
    raise TypeError(f"it holds {type(value).__name__} objects")


def _untagged(value: typing.Any) -> typing.Any:
    if isinstance(value, list):
        return [_untagged(item) for item in value]
    if isinstance(value, dict):
        if _METRIC_TAG in value:
            return Metric(*value[_METRIC_TAG])
        return {key: _untagged(item) for key, item in value.items()}
    return value


def _parsed(note: str | None) -> dict[str, typing.Any]:
    if note is None:
        return {}
    try:
        parsed = json.loads(note)
    except (ValueError, RecursionError):
        raise ValueError("the snapshot's note is damaged: it is not JSON") from None
    if not isinstance(parsed, dict):
        raise ValueError("the snapshot's note is damaged: it is no JSON object")
    return parsed

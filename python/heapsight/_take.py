"""Snapshots written to files every few seconds."""

from __future__ import annotations

import os
import typing
from collections import abc

from heapsight import _heapsight
from heapsight._snapshot import Snapshot

__all__ = ["TakeSnapshot"]


class TakeSnapshot:
    """Takes snapshots and writes each to a file of its own.

    Attributes: ``filename_template`` (``"heapsight-$pid-$counter.heapsight"``; ``$pid``, ``$timestamp`` and ``$counter``, four digits from
    0001, are replaced), ``with_traces`` (False), ``with_stats`` (True) and ``user_data_callback`` (None) as for `Snapshot.create`.

    >>> take = TakeSnapshot()
    >>> take.with_traces = True
    >>> take.filename_template = "out/heapsight-$pid-$counter.heapsight"
    """

    __slots__ = ("_counter", "filename_template", "user_data_callback", "with_stats", "with_traces")

    def __init__(self) -> None:
        self.filename_template = "heapsight-$pid-$counter.heapsight"
        self.with_traces = False
        self.with_stats = True
        self.user_data_callback: abc.Callable[[], typing.Any] | None = None
        self._counter = 1

    def take_snapshot(self) -> tuple[Snapshot, str]:
        """Take a snapshot, write it, and return it with the name of its file.

        Raises `OSError` when it cannot be written; nothing of the file is left then. Called by the timer, that goes to
        ``sys.unraisablehook``, and the next one is tried as if nothing had happened.
        """
        snapshot = Snapshot.create(
            with_traces=self.with_traces, with_stats=self.with_stats, user_data_callback=self.user_data_callback
        )
        filename = self._filename(snapshot)
        snapshot.write(filename)
        self._counter += 1
        return snapshot, filename

    def _filename(self, snapshot: Snapshot) -> str:
        name = os.fspath(self.filename_template)
        for variable, value in (
            ("$pid", str(snapshot.pid)),
            ("$timestamp", f"{snapshot.timestamp:%Y-%m-%d-%H%M%S}"),
            ("$counter", f"{self._counter:04}"),
        ):
            name = name.replace(variable, value)
        return name

    def start(self, delay: float) -> None:
        """Call `take_snapshot` every ``delay`` seconds, in the place of whatever the timer called before. Enables tracing if it is off."""
        _heapsight.start_timer(delay, self.take_snapshot)

    def stop(self) -> None:
        """Stop the timer."""
        _heapsight.stop_timer()

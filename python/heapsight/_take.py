"""Snapshots written to files every few seconds."""

from __future__ import annotations

import os
import typing
from collections import abc

from heapsight import _heapsight
from heapsight._slotted import Slotted
from heapsight._snapshot import FileName, Snapshot, is_special

__all__ = ["TakeSnapshot"]


class TakeSnapshot(Slotted):
    """Takes snapshots and writes each to a file of its own.

    Attributes: ``filename_template`` (``"heapsight-$pid-$counter.heapsight"``; ``$pid``, ``$timestamp`` and ``$counter``, four
    digits from 0001, are replaced), ``with_traces`` (False), ``with_stats`` (True) and ``user_data_callback`` (None) as
    for `Snapshot.create`.

    No file that is there already is replaced. A name with ``$counter`` gets the next number that is free; any other name must
    be new. One exception: a template without ``$counter`` and ``$timestamp`` names the latest snapshot, and each takes
    the place of the one that this object wrote before.

    >>> take = TakeSnapshot()
    >>> take.with_traces = True
    >>> take.filename_template = "out/heapsight-$pid-$counter.heapsight"
    """

    __slots__ = ("_counter", "_latest", "filename_template", "user_data_callback", "with_stats", "with_traces")

    def __init__(self) -> None:
        self.filename_template: FileName = "heapsight-$pid-$counter.heapsight"
        self.with_traces = False
        self.with_stats = True
        self.user_data_callback: abc.Callable[[], typing.Any] | None = None
        self._counter = 1
        #: The process and the name of the file that the next snapshot may replace.
        self._latest: tuple[int, str] | None = None

    def take_snapshot(self) -> tuple[Snapshot, str]:
        """Take a snapshot, write it, and return it with the name of its file. May be called by several threads.

        Raises `OSError` when it cannot be written, `FileExistsError` when that would replace a file of somebody else's; nothing is
        left of the new file then. Called by the timer, that goes to ``sys.unraisablehook``, and the next one is tried as if nothing
        had happened.
        """
        snapshot = Snapshot.create(
            with_traces=self.with_traces, with_stats=self.with_stats, user_data_callback=self.user_data_callback
        )
        template = os.fsdecode(self.filename_template)
        for variable, value in (("$pid", f"{snapshot.pid}"), ("$timestamp", f"{snapshot.timestamp:%Y-%m-%d-%H%M%S}")):
            template = template.replace(variable, value)
        if "$counter" in template:
            return snapshot, self._write_next(snapshot, template)
        self._write_named(snapshot, template)
        return snapshot, template

    def _write_next(self, snapshot: Snapshot, template: str) -> str:
        """Write to the first name that is free, counting on from the last one, and return it."""
        number = self._counter
        while True:
            name = template.replace("$counter", f"{number:04}")
            number += 1
            # What another thread or process writes meanwhile is noticed at the end.
            if not os.path.lexists(name):
                try:
                    snapshot._write(name, replace=False)
                except FileExistsError:
                    continue
                self._counter = max(self._counter, number)
                return name

    def _write_named(self, snapshot: Snapshot, name: str) -> None:
        latest = (snapshot.pid, os.path.realpath(name))
        is_latest = "$timestamp" not in os.fsdecode(self.filename_template)
        try:
            snapshot._write(name, replace=is_latest and (self._latest == latest or is_special(name)))
        except FileExistsError as error:
            if not is_latest or self._latest != latest:  # by another thread, just now
                advice = "File exists and is not replaced: put $counter or $pid into filename_template"
                raise FileExistsError(error.errno, advice, name) from None
            snapshot._write(name)
        if is_latest:
            self._latest = latest

    def start(self, delay: float) -> None:
        """Call `take_snapshot` every ``delay`` seconds, in the place of whatever the timer called before. Enables tracing if it is off."""
        _heapsight.start_timer(delay, self.take_snapshot)

    def stop(self) -> None:
        """Stop the timer."""
        _heapsight.stop_timer()

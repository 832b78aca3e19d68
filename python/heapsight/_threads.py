"""Names of threads, for recordings that keep threads apart."""

from __future__ import annotations

import threading

from heapsight import _heapsight


def follow_names() -> None:
    """Have every thread that `threading` starts from now on tell the recording its name, before it does anything."""
    thread: type[object] = threading.Thread
    original = getattr(thread, "_set_native_id", None)
    if original is None:
        return  # no such step in this version: threads keep the names that the system has of them

    def _set_native_id(self: threading.Thread) -> None:
        original(self)
        name = getattr(self, "_name", None)
        # A dummy stands for a thread that something else has started: its own name says more.
        if isinstance(name, str) and not isinstance(self, threading._DummyThread):
            _heapsight.name_thread(name)

    thread._set_native_id = _set_native_id  # type: ignore[attr-defined]

"""Call heapsight while there is no memory: each call works, or raises MemoryError. Prints what happened.

Arguments: `limits` and what to call (each limit in a process of its own), or `objects` and a mode of tracing.
"""

from __future__ import annotations

import collections
import faulthandler
import io
import json
import os
import pickle
import resource
import sys
import tempfile
from collections.abc import Callable

import heapsight
from heapsight import tracemalloc as drop_in

FINE, NO_MEMORY, WRONG = 0, 3, 4
LIMITS = 40
STEP = 1 << 20
LISTS = 100_000
SAVED = tempfile.NamedTemporaryFile()
FAILURES = 400

#: CPython crashes itself when there is no memory for a function that is being defined; the rest of heapsight's package
#: is imported when tracing begins.
DEFINITION_MAY_CRASH = sys.version_info[:2] in ((3, 12), (3, 13))


class Instance:
    """An object with several blocks."""

    def __init__(self) -> None:
        self.numbers = [1, 2, 3]
        self.text = {1: 2}


def ask_for_traces() -> None:
    heapsight.get_traces()
    heapsight.get_stats()


def take_snapshot() -> None:
    snapshot = heapsight.Snapshot.create(with_traces=True)
    snapshot.top_by("traceback")
    snapshot.top_by("address")
    _ = snapshot.traces


def write_snapshot() -> None:
    with tempfile.TemporaryDirectory() as folder:
        heapsight.Snapshot.create(with_traces=True).write(os.path.join(folder, "snapshot"))


def take_tracemalloc_snapshot() -> None:
    snapshot = drop_in.take_snapshot()
    list(snapshot.traces)
    snapshot.statistics("traceback")


def load_snapshot() -> None:
    snapshot = heapsight.Snapshot.load(SAVED.name)
    _ = snapshot.traces


def unpickle_snapshot() -> None:
    pickle.loads(pickle.dumps(heapsight.Snapshot.create(with_traces=True)))


def compare_tracemalloc_snapshots() -> None:
    one, other = drop_in.take_snapshot(), drop_in.take_snapshot()
    other.compare_to(one, "traceback")
    other.filter_traces([drop_in.Filter(False, "nowhere.py")]).statistics("lineno", cumulative=True)


def display() -> None:
    snapshot = heapsight.Snapshot.create(with_traces=True)
    heapsight.DisplayTop().display_snapshot(snapshot, 1000, "address", file=io.StringIO())


CALLS: dict[str, Callable[[], None]] = {
    function.__name__: function
    for function in (
        ask_for_traces,
        take_snapshot,
        write_snapshot,
        load_snapshot,
        unpickle_snapshot,
        take_tracemalloc_snapshot,
        compare_tracemalloc_snapshots,
        display,
    )
}


def status_under_limit(call: Callable[[], None], room: int) -> int:
    """Return the status of a child that makes the call with so many bytes left."""
    child = os.fork()
    if child == 0:
        with open("/proc/self/statm") as file:
            in_use = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + room,) * 2)
        try:
            call()
            os._exit(FINE)
        except MemoryError:
            os._exit(NO_MEMORY)
        except BaseException as error:
            os.write(2, repr(error)[:300].encode() + b"\n")
            os._exit(WRONG)
    status = os.waitpid(child, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def call_under_limits(name: str) -> None:
    heapsight.enable()
    kept = [[index] * (index % 200 + 1) for index in range(LISTS)]
    heapsight.Snapshot.create(with_traces=True).write(SAVED.name)
    CALLS[name]()  # what is made at the first use
    statuses = collections.Counter(status_under_limit(CALLS[name], limit * STEP) for limit in range(LIMITS))
    assert len(kept) == LISTS
    print(json.dumps(dict(statuses)))


def nested(depth: int) -> list[object]:
    return [Instance(), depth and nested(depth - 1)]


def call_everything(index: int) -> None:
    kept = nested(index % 30)
    heapsight.get_traces()
    heapsight.get_stats()
    heapsight.get_traced_memory()
    heapsight.Snapshot.create(with_traces=True).top_by("traceback")
    heapsight.get_object_trace(kept)
    heapsight.set_budget(1 << 16)
    heapsight.get_filters()
    repr(heapsight.Trace(index, [heapsight.Frame("file.py", index)]))
    heapsight.reset_peak()
    heapsight.clear_traces()
    if not DEFINITION_MAY_CRASH:
        heapsight.set_traceback_limit(1 if index % 2 else None)
        if index % 3 == 0:
            heapsight.disable()
            heapsight.enable()


def call_without_objects(sample_bytes: int | None) -> None:
    import _testcapi

    heapsight.enable(sample_bytes=sample_bytes)
    call_everything(0)
    sys.unraisablehook = lambda _: None
    wrong: list[str] = []
    refused = 0
    set_nomemory, remove_mem_hooks = _testcapi.set_nomemory, _testcapi.remove_mem_hooks
    for index in range(1, FAILURES):
        heapsight.enable(sample_bytes=sample_bytes)
        # The first so many objects can be made, then a few cannot.
        stop = index + 1 + index % 3 * 5
        try:
            try:
                set_nomemory(index, stop)
                call_everything(index)
            finally:
                remove_mem_hooks()
        except MemoryError:
            refused += 1
        except BaseException as error:
            wrong.append(repr(error)[:300])
    print(json.dumps({"refused": refused, "wrong": wrong}))


if __name__ == "__main__":
    faulthandler.enable()
    what, argument = sys.argv[1:]
    if what == "limits":
        call_under_limits(argument)
    else:
        call_without_objects(int(argument) or None)

"""Blocks that extension modules report themselves: `PyTraceMalloc_Track` and `PyTraceMalloc_Untrack` of the interpreter.

The twin of CPython's TestCAPI, with the same two C functions; and numpy, which reports the data of its arrays.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
import threading
import tracemalloc as standard
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Start

import heapsight
from heapsight import tracemalloc as drop_in

pytestmark = [
    pytest.mark.skipif(
        bool(sysconfig.get_config_var("Py_GIL_DISABLED")), reason="calls are not redirected in free-threaded builds"
    ),
    pytest.mark.skipif(os.uname().machine != "x86_64", reason="calls are redirected on x86-64 only"),
]

DOMAIN = 5
NOT_TRACING = -2


def c_functions(kind: Any) -> tuple[Any, Any]:
    """Return the interpreter's own functions, to be called with the GIL (PyDLL) or without (CDLL)."""
    library = kind(None)
    track, untrack = library.PyTraceMalloc_Track, library.PyTraceMalloc_Untrack
    track.argtypes, untrack.argtypes = (
        [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t],
        [ctypes.c_uint, ctypes.c_size_t],
    )
    return track, untrack


WITH_GIL = pytest.mark.parametrize("kind", [ctypes.PyDLL, ctypes.CDLL], ids=["with the GIL", "without the GIL"])


@pytest.fixture(autouse=True)
def off() -> Iterator[None]:
    """Leave both tracers off."""
    yield
    drop_in.stop()
    standard.stop()


def sizes(domain: int = DOMAIN) -> list[int]:
    """Return the sizes of the blocks of a domain."""
    snapshot = drop_in.take_snapshot().filter_traces([drop_in.DomainFilter(True, domain)])
    return sorted(trace.size for trace in snapshot.traces)


@WITH_GIL
def test_a_block_is_known_from_track_to_untrack(kind: Any) -> None:
    track, untrack = c_functions(kind)
    drop_in.start(5)
    before = drop_in.get_traced_memory()[0]
    assert track(DOMAIN, 0x1000, 10_000_000) == 0
    assert sizes() == [10_000_000]
    assert 10_000_000 <= drop_in.get_traced_memory()[0] - before < 10_100_000
    [trace] = (trace for trace in drop_in.take_snapshot().traces if trace.domain == DOMAIN)
    assert trace.traceback[-1].filename == __file__
    assert 1 <= len(trace.traceback) <= 5
    assert untrack(DOMAIN, 0x1000) == 0
    assert sizes() == []
    assert drop_in.get_traced_memory()[0] < before + 100_000
    assert drop_in.get_traced_memory()[1] >= before + 10_000_000
    assert untrack(DOMAIN, 0x1000) == 0


@WITH_GIL
def test_tracking_again_replaces_size_and_traceback(kind: Any) -> None:
    track, _ = c_functions(kind)
    drop_in.start()
    track(DOMAIN, 0x1000, 10)
    track(DOMAIN, 0x1000, 20)
    track(DOMAIN + 1, 0x1000, 30)
    assert sizes() == [20]
    assert sizes(DOMAIN + 1) == [30]
    line = sys._getframe().f_lineno - 4
    [trace] = (trace for trace in drop_in.take_snapshot().traces if trace.domain == DOMAIN)
    assert trace.traceback[0].lineno == line


def test_clear_traces_forgets_them_and_stop_too() -> None:
    track, untrack = c_functions(ctypes.PyDLL)
    drop_in.start()
    track(DOMAIN, 0x1000, 10)
    drop_in.clear_traces()
    assert sizes() == []
    assert untrack(DOMAIN, 0x1000) == 0
    track(DOMAIN, 0x1000, 10)
    drop_in.stop()
    drop_in.start()
    assert sizes() == []


@pytest.mark.usefixtures("untraced")
def test_whoever_starts_tracing_the_blocks_are_seen() -> None:
    track, _ = c_functions(ctypes.PyDLL)
    drop_in.start()
    drop_in.stop()
    heapsight.enable()
    assert track(DOMAIN, 0x1000, 10) == 0
    heapsight.set_traceback_limit(3)
    assert sizes() == []
    assert track(DOMAIN, 0x1000, 20) == 0
    assert sizes() == [20]
    assert any(trace.size == 20 for trace in heapsight.get_traces().values())


def test_while_nothing_is_traced_both_functions_say_so() -> None:
    track, untrack = c_functions(ctypes.PyDLL)
    assert (track(DOMAIN, 0x1000, 10), untrack(DOMAIN, 0x1000)) == (NOT_TRACING, NOT_TRACING)
    drop_in.start()
    drop_in.stop()
    assert (track(DOMAIN, 0x1000, 10), untrack(DOMAIN, 0x1000)) == (NOT_TRACING, NOT_TRACING)


def test_after_stop_the_calls_reach_the_standard_module_again() -> None:
    track, _ = c_functions(ctypes.PyDLL)
    drop_in.start()
    drop_in.stop()
    standard.start()
    assert track(DOMAIN, 0x1000, 10) == 0
    snapshot = standard.take_snapshot().filter_traces([standard.DomainFilter(True, DOMAIN)])
    assert [trace.size for trace in snapshot.traces] == [10]


def test_a_block_of_pythons_own_allocators_may_be_described_anew_and_its_end_is_seen() -> None:
    track, untrack = c_functions(ctypes.PyDLL)
    drop_in.start()
    held = [bytes(1000)]
    track(0, id(held[0]), 123_456)
    assert 123_456 in sizes(0)
    held.clear()
    assert 123_456 not in sizes(0)
    held.append(bytes(1000))
    size = sys.getsizeof(held[0])
    assert size in sizes(0)
    untrack(0, id(held[0]))
    assert drop_in.get_object_traceback(held[0]) is None
    held.clear()


def test_a_domain_number_that_is_too_large_is_refused() -> None:
    track, _ = c_functions(ctypes.PyDLL)
    drop_in.start()
    assert track(2**32 - 1, 0x1000, 10) == -1
    assert sizes(2**32 - 1) == []


def test_threads_that_track_at_the_same_time_lose_nothing() -> None:
    track, untrack = c_functions(ctypes.CDLL)
    drop_in.start()

    def work(base: int) -> None:
        for number in range(1000):
            track(DOMAIN, base + number * 16, 100)
        for number in range(500):
            untrack(DOMAIN, base + number * 16)

    threads = [threading.Thread(target=work, args=(base << 32,)) for base in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sizes() == [100] * 2000


def test_no_memory_is_ever_writable_and_executable() -> None:
    drop_in.start()
    permissions = {line.split()[1] for line in Path("/proc/self/maps").read_text().splitlines()}
    assert not {each for each in permissions if "w" in each and "x" in each}


NUMPY = """
import sys
import heapsight.tracemalloc as tracemalloc
if "first" in sys.argv:
    import numpy
tracemalloc.start(3)
import numpy
before = tracemalloc.get_traced_memory()[0]
kept = numpy.zeros((1000, 1000))
gone = numpy.zeros(500_000)
assert tracemalloc.get_traced_memory()[0] - before > 12_000_000
arrays = [tracemalloc.DomainFilter(True, 389047)]
snapshot = tracemalloc.take_snapshot().filter_traces(arrays)
print(*[f"{each.traceback[0].lineno} {each.size} {each.count}" for each in snapshot.statistics("lineno")[:2]])
del gone
snapshot = tracemalloc.take_snapshot().filter_traces(arrays)
print(max(trace.size for trace in snapshot.traces), sum(trace.size > 100_000 for trace in snapshot.traces))
assert str(snapshot.statistics("lineno")[0]).startswith("<string>:9: size=7812 KiB, count=1")
"""


@pytest.mark.parametrize("when", ["first", "later"])
def test_arrays_of_numpy_are_seen_imported_before_or_after(when: str) -> None:
    pytest.importorskip("numpy")
    outcome = Start(["-c", NUMPY, when]).plain()
    assert outcome.errors == ""
    assert outcome.text == "9 8000000 1 10 4000000 1\n8000000 1\n"

"""Blocks that extension modules report themselves: `PyTraceMalloc_Track` and `PyTraceMalloc_Untrack` of the interpreter.

The twin of CPython's TestCAPI, with the same two C functions; and numpy, which reports the data of its arrays.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Start, clean_environment

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
    tracemalloc.stop()


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
    assert abs(drop_in.get_traced_memory()[0] - before - 10_000_000) < 100_000
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


def test_after_stop_the_calls_reach_tracemalloc_again() -> None:
    track, _ = c_functions(ctypes.PyDLL)
    drop_in.start()
    drop_in.stop()
    tracemalloc.start()
    assert track(DOMAIN, 0x1000, 10) == 0
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, DOMAIN)])
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


CODE_BYTES = 16


def code() -> list[bytes]:
    """Return the first bytes of the interpreter's functions."""
    return [
        ctypes.string_at(ctypes.cast(each, ctypes.c_void_p).value or 0, CODE_BYTES)
        for each in c_functions(ctypes.PyDLL)
    ]


def named_pages() -> dict[int, tuple[str, int, str]]:
    """Return file, place in it, and permissions of every page of the interpreter's code, as the kernel tells them."""
    pages = {}
    page_bytes = os.sysconf("SC_PAGESIZE")
    place = ctypes.cast(c_functions(ctypes.PyDLL)[0], ctypes.c_void_p).value or 0
    regions = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, permissions, offset, _, _, *path = line.split(maxsplit=5)
        start, end = (int(each, 16) for each in span.split("-"))
        regions.append((start, end, permissions, int(offset, 16), path[0] if path else ""))
    [file] = (region[4] for region in regions if region[0] <= place < region[1])
    for first, last, allowed, begins_at, name in regions:
        if name == file and "x" in allowed:
            for address in range(first, last, page_bytes):
                pages[address] = (name, begins_at + address - first, allowed)
    return pages


def test_every_page_of_the_interpreter_keeps_its_file_and_its_place_in_it() -> None:
    before, plain = named_pages(), code()
    assert "python" in next(iter(before.values()))[0]
    for _ in range(3):
        drop_in.start()
        assert code() != plain
        assert named_pages() == before
        drop_in.stop()
        assert code() == plain
        assert named_pages() == before


def test_the_functions_are_left_alone_on_request() -> None:
    track, _ = c_functions(ctypes.PyDLL)
    plain = code()
    drop_in.start(extension_blocks=False)
    assert code() == plain
    assert track(DOMAIN, 0x1000, 10) == NOT_TRACING
    assert sizes() == []
    drop_in.stop()
    heapsight.enable()
    assert code() == plain, "what was asked for holds for whoever starts tracing next"
    heapsight.disable()
    drop_in.start()
    assert code() != plain


@pytest.mark.parametrize("value", [0, 1, "no"])
def test_a_wrong_request_is_named_before_anything_changes(value: Any) -> None:
    with pytest.raises(TypeError, match=repr(value)):
        drop_in.start(extension_blocks=value)
    assert not drop_in.is_tracing()


#: Tells whether the functions are as they were.
LEFT_ALONE = """
import ctypes, sys
place = ctypes.cast(ctypes.pythonapi.PyTraceMalloc_Track, ctypes.c_void_p).value
jump = ctypes.string_at(place, 2) == b"\\x48\\xb8" and ctypes.string_at(place + 10, 2) == b"\\xff\\xe0"
print("changed" if jump else "left alone")
"""


@pytest.mark.parametrize(
    ("start", "flags", "variable", "expected"),
    [
        ("", ["-X", "heapsight"], None, "left alone"),
        ("import heapsight; heapsight.enable()", [], None, "left alone"),
        ("import heapsight.tracemalloc", ["-X", "heapsight"], None, "left alone"),
        ("from heapsight import tracemalloc; tracemalloc.start()", [], None, "changed"),
        ("from heapsight import tracemalloc; tracemalloc.start()", [], "", "changed"),
        ("from heapsight import tracemalloc; tracemalloc.start()", [], "1", "changed"),
        ("from heapsight import tracemalloc; tracemalloc.start()", [], "0", "left alone"),
        ("from heapsight import tracemalloc; tracemalloc.start()", ["-E"], "0", "changed"),
        ("from heapsight import tracemalloc; tracemalloc.start(extension_blocks=True)", [], "0", "changed"),
        ("from heapsight import tracemalloc; tracemalloc.start(extension_blocks=False)", [], "1", "left alone"),
        ("", ["-X", "heapsight-replace", "-X", "heapsight"], None, "changed"),
        ("", ["-X", "heapsight-replace", "-X", "heapsight"], "0", "left alone"),
    ],
)
def test_code_is_changed_for_the_drop_in_alone_and_not_when_switched_off(
    start: str, flags: list[str], variable: str | None, expected: str
) -> None:
    environment = {} if variable is None else {"PYTHONHEAPSIGHT_EXTENSION_BLOCKS": variable}
    outcome = Start(["-c", f"{start}\n{LEFT_ALONE}"], flags=flags, environment=environment).plain()
    assert (outcome.status, outcome.text, outcome.errors) == (0, f"{expected}\n", "")


@pytest.mark.parametrize(
    ("options", "variable", "expected"),
    [
        ((), "1", "left alone"),
        (("--replace-tracemalloc",), "1", "changed"),
        (("--replace-tracemalloc",), "0", "left alone"),
    ],
)
def test_a_recording_changes_code_for_the_drop_in_alone(
    options: tuple[str, ...], variable: str, expected: str, capture: Path
) -> None:
    start = Start(["-c", LEFT_ALONE], environment={"PYTHONHEAPSIGHT_EXTENSION_BLOCKS": variable})
    outcome = start.traced(capture, "--quiet", *options)
    assert (outcome.status, outcome.text, outcome.errors) == (0, f"{expected}\n", "")


def test_a_wrong_value_in_the_environment_is_a_warning_that_names_it() -> None:
    code = "from heapsight import tracemalloc; tracemalloc.start(); print(tracemalloc.is_tracing())"
    outcome = Start(["-c", code], environment={"PYTHONHEAPSIGHT_EXTENSION_BLOCKS": "off"}).plain()
    assert (outcome.status, outcome.text) == (0, "True\n")
    assert "RuntimeWarning: PYTHONHEAPSIGHT_EXTENSION_BLOCKS" in outcome.errors
    assert '"off"' in outcome.errors


DEBUGGED = """
import ctypes
from heapsight import tracemalloc
tracemalloc.start()
track = ctypes.pythonapi.PyTraceMalloc_Track
track.argtypes = [ctypes.c_uint, ctypes.c_size_t, ctypes.c_size_t]
track(5, 4096, 10)
"""


@pytest.mark.skipif(shutil.which("gdb") is None, reason="needs gdb")
def test_a_debugger_names_the_functions(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(DEBUGGED)
    commands = [
        "set pagination off",
        "set breakpoint pending on",
        "set debuginfod enabled off",
        "break heapsight_tracer::tracemalloc::extension::track",
        "run",
        "set language c",
        "info symbol &PyTraceMalloc_Track",
        "info symbol (char *) &PyTraceMalloc_Track + 10",
        "backtrace",
        "kill",
    ]
    words = [word for command in commands for word in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "-q", "-nx", "-batch", *words, "--args", sys.executable, tmp_path / "program.py"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=100,
    )
    if "Breakpoint 1, " not in done.stdout:
        pytest.skip(f"gdb does not run programs here, or this wheel has no symbols: {done.stderr[-200:]}")
    assert re.search(r"^PyTraceMalloc_Track in section \.text", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^PyTraceMalloc_Track \+ 10 in section \.text", done.stdout, re.MULTILINE), done.stdout
    assert "extension::track" in done.stdout
    # Names that a stripped interpreter has, too.
    assert "PyEval_EvalCode" in done.stdout
    assert re.search(r"\b(Py_BytesMain|Py_RunMain)\b", done.stdout), done.stdout


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

"""Runs heapsight and tracemalloc on the same blocks, and compares what they say of each.

tracemalloc must be started first: the tables it keeps then come from the allocators as they were, where
heapsight, installed over it, does not see them. Blocks that are made in this file are left out: they exist
for one of the two only.
"""

from __future__ import annotations

import _tracemalloc
import collections
import ctypes
import gc
import re
import struct
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import heapsight
from heapsight import _testing

Lines = tuple[tuple[str, int], ...]

#: tracemalloc's own word for all frames.
MOST_FRAMES = 65_535
#: A limit that stands out among other numbers.
UNUSUAL_FRAMES = 54_321
NO_FRAME: Lines = (("<unknown>", 0),)


def retrace_switch() -> Callable[[bool], None]:
    """Return a function that lets tracemalloc look at objects that come from a free list, or not.

    An object that CPython takes from a free list is no allocation. tracemalloc gives its block the new call path
    nevertheless, heapsight keeps the one of the allocation: that difference is known, and would hide others.
    tracemalloc must be on, with `UNUSUAL_FRAMES`.
    """
    if sys.version_info >= (3, 13):
        return lambda _on: None
    # "initialised, tracing, limit": while tracing is 0 the hooks go on and everything else holds still.
    if sys.version_info >= (3, 12):
        runtime = ctypes.addressof(ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime"))
        memory = ctypes.string_at(runtime, 100_000)
        pattern = struct.pack("3i", 1, 1, UNUSUAL_FRAMES)
        found = [each.start() for each in re.finditer(re.escape(pattern), memory)]
        assert len(found) == 1, f"{len(found)} places look like tracemalloc's settings"
        settings = (ctypes.c_int * 3).from_address(runtime + found[0])
    else:
        settings = (ctypes.c_int * 3).in_dll(ctypes.pythonapi, "_Py_tracemalloc_config")
        assert list(settings) == [1, 1, UNUSUAL_FRAMES]

    def switch(on: bool) -> None:
        settings[1] = on

    return switch


class TwoTracers:
    """Both tracers, on."""

    def __init__(self, frames: int | None) -> None:
        tracemalloc.start(UNUSUAL_FRAMES)
        self.retrace = retrace_switch()
        tracemalloc.stop()
        tracemalloc.start(frames or MOST_FRAMES)
        if sys.version_info >= (3, 13):
            # The same for good: there is a function for it.
            ctypes.pythonapi.PyRefTracer_SetTracer(None, None)
        self.traceback = ctypes.pythonapi._PyTraceMalloc_GetTraceback
        self.traceback.argtypes = [ctypes.c_uint, ctypes.c_size_t]
        self.traceback.restype = ctypes.py_object
        self.clear_type_cache = ctypes.pythonapi.PyType_ClearCache
        heapsight.set_traceback_limit(frames)
        heapsight.enable()
        self.retrace(False)

    def begin(self) -> None:
        """Forget everything; what is allocated from now on is compared."""
        self.retrace(True)
        tracemalloc.clear_traces()
        heapsight.clear_traces()
        self.retrace(False)

    def stop(self) -> None:
        """Switch both off, the one installed last first."""
        heapsight.disable()
        self.retrace(True)
        tracemalloc.stop()

    def compare(self) -> tuple[int, list[str]]:
        """Return how many blocks agree, and what is to be said of the others."""
        collector = gc.isenabled()
        gc.disable()
        # As long as tracemalloc answers it also looks at free lists: a full collection empties them.
        gc.collect()
        # The cache of attribute lookups holds names, strings that a program made among them, until another lookup takes the place:
        # one of those below, say, so that a block would be gone before both were asked.
        self.clear_type_cache()
        found: list[tuple[Any, Lines | None]] = []
        self.retrace(True)
        traces, blocks = _tracemalloc._get_traces(), _testing.get_blocks()
        for block in blocks:
            if not self._is_own(block[3]):
                found.append((block, self.traceback(0, block[0])))
        self.retrace(False)
        if collector:
            gc.enable()
        return self._compare(traces, found)

    def _compare(self, traces: Any, found: list[tuple[Any, Lines | None]]) -> tuple[int, list[str]]:
        agreed = 0
        differences = []
        ours: collections.Counter[tuple[int, Lines]] = collections.Counter()
        for (address, size, domain, frames), theirs in found:
            # A block without a Python frame has one frame of a kind for tracemalloc.
            lines: Lines = tuple([(filename, line) for filename, line, _name in frames]) or NO_FRAME
            ours[size, lines] += 1
            if theirs == lines:
                agreed += 1
            else:
                block = f"{size} bytes at {address:#x}, domain {domain}"
                differences.append(f"{block}:\n{difference(theirs, lines)}")
        # tracemalloc tells sizes without addresses; so sizes are compared for each call path.
        them: collections.Counter[tuple[int, Lines]] = collections.Counter()
        for _domain, size, lines, *_total in traces:
            if not self._is_own(lines):
                them[size, lines] += 1
        for (size, lines), count in sorted((them - ours).items()):
            differences.append(f"{count} x {size} bytes known to tracemalloc only:\n{difference(lines, None)}")
        for (size, lines), count in sorted((ours - them).items()):
            differences.append(f"{count} x {size} bytes known to heapsight only:\n{difference(None, lines)}")
        return agreed, differences

    def _is_own(self, frames: Sequence[tuple[Any, ...]]) -> bool:
        return bool(frames) and frames[0][0] == __file__


def difference(theirs: Lines | None, ours: Lines | None) -> str:
    """Show two paths from shortly before the first place where they differ."""
    common = 0
    if theirs and ours:
        while common < min(len(theirs), len(ours)) and theirs[common] == ours[common]:
            common += 1
    first = max(0, common - 1)
    text = []
    for title, lines in (("tracemalloc", theirs), ("heapsight", ours)):
        shown = "unknown" if lines is None else f"{len(lines)} frames, from #{first}: {lines[first : first + 6]}"
        text.append(f"    {title}: {shown}")
    return "\n".join(text)

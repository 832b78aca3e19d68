"""Runs CPython's own tests of tracemalloc, test.test_tracemalloc, against heapsight's drop-in.

Prints "N tests passed" and exits with 0 when all of the four classes did; with 77 when this interpreter came without
its tests. Not run are:

* TestCommandLine: `-X tracemalloc` and PYTHONTRACEMALLOC switch the interpreter's own tracer on, in C, before any module is
  there. The twin for heapsight's switches is tests/python/test_tracemalloc_switch.py.
* TestCAPI: reads the interpreter's own C tables through _testcapi. The twin, with the same C functions, is
  tests/python/test_tracemalloc_extension.py.
* test_new_reference before 3.13: an object that comes from a free list is no allocation, and there the interpreter
  tells only its own tracer of it.
"""

from __future__ import annotations

import importlib
import sys
import unittest

import heapsight.tracemalloc

CLASSES = ("TestTraceback", "TestTracemallocEnabled", "TestSnapshot", "TestFilters")
NO_TESTS = 77
# Of objects that come from a free list the interpreter tells since 3.13; before, their blocks keep the path of the allocation.
NEEDS_REF_TRACER = "test_new_reference"


def main() -> int:
    """Run the tests; return the exit status."""
    heapsight.tracemalloc.install()
    try:
        test_tracemalloc = importlib.import_module("test.test_tracemalloc")
    except ImportError:
        sys.stdout.write("this interpreter has no test.test_tracemalloc\n")
        return NO_TESTS
    names = [
        f"test.test_tracemalloc.{name}.{test}"
        for name in CLASSES
        for test in unittest.defaultTestLoader.getTestCaseNames(getattr(test_tracemalloc, name))
        if sys.version_info >= (3, 13) or test != NEEDS_REF_TRACER
    ]
    # By the front door: a test looks at how deep the stack is.
    result = unittest.main(module=None, argv=["unittest", *names], exit=False).result
    if not result.wasSuccessful() or result.skipped:
        sys.stdout.write(f"{result.skipped}\n")
        return 1
    sys.stdout.write(f"{result.testsRun} tests passed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Trace CPython's own regression tests: a snapshot with every block, every ten seconds.

    python examples/regrtest_snapshots.py out                   # some forty test files: three to four minutes
    python examples/regrtest_snapshots.py out test_list test_dict

runs the tests in this process, writes ``out/heapsight-PID-COUNTER.heapsight`` files and ends with the status of the tests. Then

    python -m heapsight --traceback out/heapsight-1564-0001.heapsight
    python -m heapsight out/heapsight-1564-*.heapsight
    python -m heapsight --first out/heapsight-1564-0001.heapsight out/heapsight-1564-0021.heapsight

show the biggest blocks of one, how each differs from the one before, and the last from the first: docs/how-to/watch-a-long-run.md
has what one sees. The tests give the same results as without tracing. Needs a Python that has its ``test`` package.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import heapsight

TESTS = [
    "test_ast",
    "test_decimal",
    "test_json",
    "test_list",
    "test_dict",
    "test_set",
    "test_collections",
    "test_descr",
    "test_typing",
    "test_itertools",
    "test_re",
    "test_datetime",
    "test_pickle",
    "test_io",
    "test_unicode",
    "test_buffer",
    "test_statistics",
    "test_random",
    "test_tarfile",
    "test_zipfile",
    "test_email",
    "test_asyncio",
    "test_threading",
    "test_weakref",
    "test_functools",
    "test_hashlib",
    "test_inspect",
    "test_unittest",
    "test_xml_etree",
    "test_csv",
    "test_sqlite3",
    "test_lzma",
    "test_generators",
    "test_coroutines",
    "test_long",
    "test_sort",
]
SECONDS_BETWEEN = 10
FRAMES = 25


def main() -> int:
    """Run the tests under the task, and take one more snapshot when they are done."""
    if len(sys.argv) < 2:
        print("usage: regrtest_snapshots.py FOLDER [TEST ...]", file=sys.stderr)
        return 2
    try:
        regrtest = import_module("test.libregrtest.main").main
    except ImportError:
        print(f"{sys.executable} lacks CPython's test package (Debian: libpython3-testsuite)", file=sys.stderr)
        return 2
    folder, *tests = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    heapsight.set_traceback_limit(FRAMES)
    take = heapsight.TakeSnapshot()
    take.with_traces = True
    take.filename_template = str(Path(folder, "heapsight-$pid-$counter.heapsight"))
    take.user_data_callback = heapsight.standard_metrics
    take.start(SECONDS_BETWEEN)
    sys.argv[1:] = []
    status = 0
    try:
        regrtest(tests=tests or TESTS)
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    take.stop()
    if heapsight.is_enabled():
        _, last = take.take_snapshot()
        print(f"last snapshot: {last}")
    return status


if __name__ == "__main__":
    sys.exit(main())

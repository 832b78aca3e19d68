"""The interpreter ends while daemon threads are inside of heapsight: it ends as it would without them."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import Outcome, program

#: Where a thread is when the interpreter ends is chance; each of these ended badly in most of six runs.
RUNS = 20

CALLS = [
    "apply_filters",
    "compare",
    "create",
    "display",
    "fire_timer",
    "index",
    "load",
    "read",
    "replace_timer",
    "set_limit",
    "switch",
    "tracemalloc_functions",
    "write",
]


def run(call: str, capture: Path | None = None) -> Outcome:
    """Run the program, and remove what it leaves behind."""
    start = program("daemon_threads_in_heapsight.py", call)
    done = start.plain() if capture is None else start.traced(capture, "--quiet")
    folder = done.text.splitlines()[0]
    shutil.rmtree(folder, ignore_errors=True)
    return Outcome(done.status, done.stdout.replace(folder.encode(), b"folder"), done.stderr)


@pytest.mark.parametrize("call", CALLS)
def test_daemon_threads_in_any_call_let_the_interpreter_end(call: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(run, [call] * RUNS))
    assert outcomes == [Outcome(0, b"folder\n", b"")] * RUNS


@pytest.mark.parametrize("call", ["index", "write"])
def test_daemon_threads_in_a_recorded_program_let_it_end_too(call: str, tmp_path: Path) -> None:
    captures = [tmp_path / f"{number}.heapsight" for number in range(RUNS)]
    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(run, [call] * RUNS, captures))
    assert outcomes == [Outcome(0, b"folder\n", b"")] * RUNS

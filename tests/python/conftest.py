"""Shared fixtures."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import PROGRAMS

import heapsight

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # As in a job that a shell started in the background. Every program that the tests run would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Where a run's capture file goes."""
    return tmp_path / "run.heapsight"


@pytest.fixture
def untraced() -> Iterator[None]:
    """Leave tracing off, with the default limit, before and after a test that switches it on."""
    heapsight.disable()
    heapsight.set_traceback_limit(1)
    yield
    heapsight.disable()
    heapsight.set_traceback_limit(1)


@pytest.fixture(scope="session")
def raw_threads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a library whose threads allocate raw memory without the GIL."""
    compiler = shutil.which("cc")
    assert compiler is not None, "a C compiler is needed to build heapsight, and to test it"
    library = tmp_path_factory.mktemp("raw") / "raw_threads.so"
    source = PROGRAMS / "raw_threads.c"
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-pthread", "-o", library, source], check=True)
    return library

"""Shared fixtures."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import heapsight
from heapsight import _testing

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
    assert _testing.audit() == []
    heapsight.disable()
    heapsight.set_traceback_limit(1)

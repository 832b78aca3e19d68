"""Shared fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import heapsight


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

"""What every test is held to: at its end, and at the end of every program that it traces, the tracer's tables add up."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from heapsight import _testing

#: A program audits itself then: what does not add up is a line on standard error.
os.environ["HEAPSIGHT_AUDIT"] = "1"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Iterator[None]:
    """Fail a test at whose end what is still traced does not add up."""
    yield
    assert _testing.audit() == []

"""Memory runs out in heapsight's own functions: the program gets MemoryError, and nothing else happens to it."""

from __future__ import annotations

import importlib.util
import json
import sys

import pytest
from harness import program

pytestmark = pytest.mark.skipif(
    hasattr(sys, "gettotalrefcount"), reason="a debug build's own assertions fail without memory"
)

PROGRAM = "memory_error_in_calls.py"
#: Exit statuses of its children.
FINE, NO_MEMORY = "0", "3"


@pytest.mark.parametrize(
    "call",
    [
        "ask_for_traces",
        "take_snapshot",
        "write_snapshot",
        "load_snapshot",
        "unpickle_snapshot",
        "take_tracemalloc_snapshot",
        "compare_tracemalloc_snapshots",
        "display",
    ],
)
def test_call_under_a_limit_on_addresses_works_or_raises_memory_error(call: str) -> None:
    outcome = program(PROGRAM, "limits", call).plain()
    assert outcome.status == 0, outcome.errors
    statuses = json.loads(outcome.text)
    assert set(statuses) <= {FINE, NO_MEMORY}, (statuses, outcome.errors)
    assert NO_MEMORY in statuses


@pytest.mark.skipif(importlib.util.find_spec("_testcapi") is None, reason="this Python has no _testcapi")
@pytest.mark.parametrize("sample_bytes", [0, 100])
def test_object_that_cannot_be_made_is_a_memory_error(sample_bytes: int) -> None:
    outcome = program(PROGRAM, "objects", str(sample_bytes)).plain()
    assert outcome.status == 0, outcome.errors
    result = json.loads(outcome.text)
    assert result["wrong"] == []
    assert result["refused"] > 100

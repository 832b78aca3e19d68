"""The first real use: CPython's own regression tests with snapshots."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import ROOT, clean_environment

from heapsight import Snapshot

TESTS = ["test_list", "test_dict", "test_set"]

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(f"test.{name}") is None for name in ("libregrtest", *TESTS)),
    reason="this Python lacks CPython's test package, or part of it",
)


def results(*command: str | Path) -> list[str]:
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, env=clean_environment(), timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(
        r"^(All \d+ tests OK|Total tests: .*|Result: .*|.*(?:failed|skipped):)", done.stdout, re.MULTILINE
    )


def test_same_results_traced_and_untraced_and_a_snapshot_with_traces(tmp_path: Path) -> None:
    traced = results(sys.executable, ROOT / "examples" / "regrtest_snapshots.py", tmp_path / "out", *TESTS)
    assert traced == results(sys.executable, "-m", "test", *TESTS)
    assert traced
    [file] = (tmp_path / "out").iterdir()
    assert re.fullmatch(r"heapsight-\d+-0001\.heapsight", file.name)
    snapshot = Snapshot.load(file)
    assert snapshot.traces
    assert snapshot.traceback_limit == 25
    assert max(len(trace.traceback) for trace in snapshot.traces.values()) == 25
    assert snapshot.metrics["gc.objects"].value > 0

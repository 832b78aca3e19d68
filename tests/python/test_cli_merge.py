"""`heapsight merge`: several processes as one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness import Start, heapsight


def record(script: Path, capture: Path) -> None:
    """Record a run of the script."""
    done = Start([script]).traced(capture, "--quiet", "--tick=5")
    assert (done.status, done.errors) == (0, "")


def stats(capture: Path) -> Any:
    """Return what `heapsight stats` says of a capture."""
    done = heapsight("stats", "--json", capture)
    assert (done.status, done.errors) == (0, "")
    return json.loads(done.text)


def test_one_process_alone_stays_what_it_is(tmp_path: Path) -> None:
    script = tmp_path / "alone.py"
    script.write_text("a = [bytes(1000) for _ in range(3000)]\ndel a\nb = [bytes(1000) for _ in range(500)]\n")
    record(script, tmp_path / "one.heapsight")
    done = heapsight("merge", "-q", "-o", tmp_path / "merged.heapsight", tmp_path / "one.heapsight")
    assert (done.status, done.errors, done.text) == (0, "", "")
    one, merged = stats(tmp_path / "one.heapsight"), stats(tmp_path / "merged.heapsight")
    for key in ("metrics", "peak", "duration_ns", "is_complete", "highest_rss_bytes"):
        assert merged[key] == one[key], key


def test_figures_of_two_processes_add_up(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text("kept = [bytes(1000) for _ in range(3000)]\n")
    parts = [tmp_path / f"{index}.heapsight" for index in range(2)]
    for part in parts:
        record(script, part)
    merged = tmp_path / "merged.heapsight"
    done = heapsight("merge", "-o", merged, *parts, "-n1")
    assert (done.status, done.errors) == (0, "")
    assert "worker.py:1" in done.text
    assert "and 1 more process" in done.text
    each = [stats(part)["metrics"] for part in parts]
    total = stats(merged)["metrics"]
    assert total["allocated"]["bytes"] == sum(one["allocated"]["bytes"] for one in each)
    # They ran one after the other: the first had ended when the second was at its peak.
    highest = max(one["peak"]["bytes"] for one in each)
    assert highest <= total["peak"]["bytes"] < highest * 1.5


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text("pass\n")
    capture = tmp_path / "a.heapsight"
    record(script, capture)
    before = capture.read_bytes()
    done = heapsight("merge", "-o", capture, capture)
    assert done.status == 2
    assert "--force" in done.errors
    assert capture.read_bytes() == before


def test_what_is_missing_at_the_end_of_a_file_is_said(tmp_path: Path) -> None:
    script = tmp_path / "a.py"
    script.write_text("kept = [bytes(1000) for _ in range(1000)]\n")
    capture = tmp_path / "a.heapsight"
    record(script, capture)
    capture.write_bytes(capture.read_bytes()[:-5])
    done = heapsight("merge", "-q", "-o", tmp_path / "m.heapsight", capture)
    assert done.status == 0
    [line] = done.errors.splitlines()
    assert "unreadable from byte" in line
    assert "true up to the last complete tick" in line

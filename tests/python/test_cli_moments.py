"""`--at`, `--range`, `heapsight diff` and `Snapshot.load(at=…)`: any moment of a recording, from one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import Start, heapsight

from heapsight import Filter, Snapshot

#: Holds 1 MB, then 4 MB, then 2 MB, with a line of its own for each; each step waits until the recorder has seen it.
STEPS = """
import os, time

def seen():
    # The file grows with the first tick that has something to tell.
    before = os.stat(CAPTURE).st_size
    mark = bytes(700)
    while os.stat(CAPTURE).st_size == before:
        mark = bytes(700)

first = [bytes(1000) for _ in range(1000)]
seen()
second = [bytes(1000) for _ in range(3000)]
seen()
del second
third = [bytes(1000) for _ in range(1000)]
seen()
"""


#: Allocates 20 calls deep.
DEEP = """
def recurse(depth):
    return bytes(10_000) if depth == 0 else recurse(depth - 1)
kept = recurse(20)
"""


@pytest.fixture
def recording(capture: Path, tmp_path: Path) -> Path:
    """Return a capture of a program that holds 1, 4 and 2 MB in turn."""
    script = tmp_path / "steps.py"
    script.write_text(STEPS.replace("CAPTURE", repr(str(capture))))
    done = Start([script]).traced(capture, "--quiet", "--tick=5")
    assert (done.status, done.errors) == (0, "")
    return capture


def live_bytes(capture: Path, *options: str) -> int:
    """Return the sum of live bytes in the script's own file."""
    done = heapsight("stats", "--json", "-i", "*steps.py", *options, capture)
    assert (done.status, done.errors) == (0, "")
    return int(json.loads(done.text)["metrics"]["live"]["bytes"])


def test_the_peak_the_end_and_the_start_are_moments(recording: Path) -> None:
    assert 4_000_000 < live_bytes(recording, "--at", "peak") < 4_300_000
    assert 2_000_000 < live_bytes(recording, "--at", "end") < 2_200_000
    assert live_bytes(recording, "--at", "0") == 0
    assert live_bytes(recording, "--at", "1h") == live_bytes(recording)


def test_the_peak_as_a_moment_is_the_peak_as_a_metric(recording: Path) -> None:
    done = heapsight("stats", "--json", recording)
    peak = json.loads(done.text)["metrics"]["peak"]
    at_peak = heapsight("stats", "--json", "--at", "peak", recording)
    live = json.loads(at_peak.text)["metrics"]["live"]
    assert (live["bytes"], live["blocks"]) == (peak["bytes"], peak["blocks"])


def test_a_range_shows_what_was_gained_in_it(recording: Path) -> None:
    gained = heapsight("top", "-n1", "--metric", "live", "--range", "peak..end", recording)
    assert gained.status == 0
    assert "steps.py:16" in gained.text
    assert "memory gained between" in gained.text
    whole = live_bytes(recording, "--range", "start..end")
    assert whole == live_bytes(recording)


def test_diff_of_two_moments_names_the_line_that_shrank(recording: Path) -> None:
    by_range = heapsight("diff", "-n1", "--range", "peak..end", recording)
    by_name = heapsight("diff", "-n1", f"{recording}@peak", recording)
    for done in (by_range, by_name):
        assert (done.status, done.errors) == (0, "")
        [row] = [line for line in done.text.splitlines() if line.startswith("  1  ")]
        assert "steps.py:13" in row
        assert row.split()[1].startswith("-")
    assert by_range.text == by_name.text


def test_diff_of_a_file_with_itself_is_nothing(recording: Path) -> None:
    done = heapsight("diff", recording, recording)
    assert done.status == 0
    assert done.text.rstrip().endswith("none")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["top", "--at", "soon"], "give peak, end, or a time such as 12.5, 300ms, 2m or 1h"),
        (["top", "--range", "3..1"], "the second moment comes before the first"),
        (["diff", "--group-by", "colour"], "give one of line, function"),
    ],
)
def test_a_wrong_moment_is_one_line(words: list[str], message: str, tmp_path: Path) -> None:
    done = heapsight(*words, tmp_path / "none.heapsight")
    assert done.status == 2
    [line] = done.errors.splitlines()
    assert message in line


def test_one_file_and_no_range_is_no_difference(recording: Path) -> None:
    done = heapsight("diff", recording)
    assert done.status == 2
    [line] = done.errors.splitlines()
    assert "--range A..B" in line


def live_bytes_loaded(capture: Path, at: Any) -> int:
    """Return what `live_bytes` returns, as Python has it."""
    snapshot = Snapshot.load(capture, at=at)
    snapshot.apply_filters([Filter(True, "*steps.py")])
    return sum(entry.size for entry in snapshot.top_by("filename").stats.values())


@pytest.mark.parametrize("at", ["peak", "end", 0, 0.02, "20ms", "1h", 3600])
def test_a_moment_in_python_is_that_of_the_command_line(recording: Path, at: str | float) -> None:
    assert live_bytes_loaded(recording, at) == live_bytes(recording, "--at", str(at))


@pytest.mark.parametrize("span", [("start", "end"), ("peak", "end"), (0, "peak"), ("10ms", 0.05)])
def test_a_span_in_python_is_that_of_the_command_line(recording: Path, span: tuple[str | float, str | float]) -> None:
    first, second = span
    assert live_bytes_loaded(recording, span) == live_bytes(recording, "--range", f"{first}..{second}")


def test_what_is_known_of_the_process_is_of_the_moment(recording: Path) -> None:
    peak, end = Snapshot.load(recording, at="peak"), Snapshot.load(recording)
    assert peak.timestamp < end.timestamp
    assert peak.traced_memory == peak.traced_peak == end.traced_peak > end.traced_memory
    start = Snapshot.load(recording, at="start")
    assert start.timestamp < peak.timestamp
    assert not any(entry.size for entry in start.top_by("filename").stats.values())


@pytest.mark.parametrize(
    "at", ["soon", "", -1, float("nan"), float("inf"), 1 << 70, 1e300, ("end",), (2, 1), ("peak", "never"), (1, 2, 3)]
)
def test_what_is_no_moment_is_a_value_error_that_names_it(recording: Path, at: Any) -> None:
    with pytest.raises(ValueError, match="at") as raised:
        Snapshot.load(recording, at=at)
    shown = at if not isinstance(at, tuple) or len(at) != 2 or at[0] != "peak" else at[1]
    assert repr(shown) in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("at", [None, True, [1, 2], b"end", (1, None)])
def test_what_cannot_be_a_moment_is_a_type_error(recording: Path, at: Any) -> None:
    with pytest.raises(TypeError, match="at must be"):
        Snapshot.load(recording, at=at)


def test_loading_cuts_call_paths_to_the_limit_of_the_recording(capture: Path, tmp_path: Path) -> None:
    script = tmp_path / "steps.py"
    script.write_text(DEEP)
    assert Start([script]).traced(capture, "--quiet", "--frames=3").status == 0
    for at in ("end", "peak"):
        assert {len(path) for path in Snapshot.load(capture, at=at).top_by("traceback").stats} <= {0, 1, 2, 3}

"""`--at`, `--range` and `heapsight diff`: any moment of a recording, from one file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import Start, heapsight

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
    assert done.status == 1
    [line] = done.errors.splitlines()
    assert message in line


def test_one_file_and_no_range_is_no_difference(recording: Path) -> None:
    done = heapsight("diff", recording)
    assert done.status == 2
    [line] = done.errors.splitlines()
    assert "--range A..B" in line

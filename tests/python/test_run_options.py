"""What the options of `heapsight run` do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness import Start, heapsight

from heapsight import _testing

HOLDER = """
def inner(): return [bytes(1000) for _ in range(5000)]
def outer(): return inner()
kept = outer()
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Return a program that holds five million bytes."""
    path = tmp_path / "holder.py"
    path.write_text(HOLDER)
    return path


def test_capture_is_named_after_program_and_process_when_no_name_is_given(script: Path, tmp_path: Path) -> None:
    outcome = heapsight("run", script, cwd=tmp_path)
    [capture] = tmp_path.glob("*.heapsight")
    assert re.fullmatch(r"heapsight-holder-\d+\.heapsight", capture.name)
    assert capture.name in outcome.errors


def test_quiet_writes_the_capture_and_says_nothing(script: Path, capture: Path) -> None:
    outcome = Start([script]).traced(capture, "--quiet")
    assert (outcome.status, outcome.stdout, outcome.stderr) == (0, b"", b"")
    assert heapsight("top", capture).status == 0


def test_capture_holds_what_the_program_holds(script: Path, capture: Path) -> None:
    Start([script]).traced(capture)
    live, peak = _testing.capture_totals(str(capture))
    assert 5_000_000 < live < 7_000_000
    assert live <= peak


def test_top_sets_the_number_of_lines_in_the_summary(script: Path, capture: Path) -> None:
    errors = Start([script]).traced(capture, "--top=2").errors
    assert "Top 2 call sites" in errors
    assert re.search(r"^ +2 +\S", errors, re.MULTILINE)
    assert not re.search(r"^ +3 +\S", errors, re.MULTILINE)


def test_whole_call_path_is_kept_unless_frames_are_limited(script: Path, capture: Path) -> None:
    Start([script]).traced(capture)
    paths = heapsight("top", "--group-by=traceback", "--metric=live", "-n1", capture).text
    for frame in ("holder.py:2", "holder.py:3", "holder.py:4"):
        assert frame in paths


@pytest.mark.parametrize("frames", [1, 2])
def test_frames_limit_what_is_kept_of_a_call_path(frames: int, script: Path, capture: Path) -> None:
    Start([script]).traced(capture, f"--frames={frames}")
    biggest = heapsight("top", "--group-by=traceback", "--metric=live", "-n1", capture).text
    assert len(re.findall(r"holder\.py:\d", biggest.partition("Top 1")[2])) == frames


def test_sampled_figures_are_near_and_say_how_sure_they_are(script: Path, capture: Path) -> None:
    errors = Start([script]).traced(capture, "--sample=4K").errors
    assert "±" in errors
    live, _ = _testing.capture_totals(str(capture))
    # Standard error at most sqrt(5e6 * 4096) = 143,000; five of them are never seen.
    assert abs(live - 5_300_000) < 5 * 143_000 + 300_000


def test_threads_are_kept_apart_when_asked(capture: Path) -> None:
    code = (
        "import threading\n"
        "kept = []\n"
        "def work(): kept.append([bytes(1000) for _ in range(2000)])\n"
        "threads = [threading.Thread(target=work) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
    )
    Start(["-c", code]).traced(capture, "--threads")
    text = heapsight("top", "--group-by=thread", "--metric=live", capture).text
    assert len(re.findall(r"^ +\d+ +.*thread", text, re.MULTILINE)) == 3


@pytest.mark.parametrize(
    "option",
    ["--tick=0", "--tick=x", "--budget=1", "--budget=x", "--sample=0", "--sample=x", "--number=x", "--no-such-option"],
)
def test_a_bad_value_is_refused_and_named(option: str, script: Path, capture: Path) -> None:
    outcome = Start([script]).traced(capture, option)
    assert outcome.status in (1, 2)
    assert outcome.stdout == b""
    assert option.split("=")[0] in outcome.errors
    assert not capture.exists()

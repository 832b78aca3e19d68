"""Recordings of memray, read by every command; the judge is memray's own reader.

Files of older formats are in crates/memray/tests/fixtures.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import io
import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from harness import ROOT, Start, clean_environment, heapsight

needs_memray = pytest.mark.skipif(
    importlib.util.find_spec("memray") is None, reason="memray is not installed (pip install memray)"
)

needs_greenlet = pytest.mark.skipif(
    importlib.util.find_spec("greenlet") is None, reason="greenlet is not installed (pip install greenlet)"
)

#: As memray 1.20 begins a file that it does not compress.
BEGINNING = b"memray\0\x0d\0\0\0\xf0\x0d\x0c\x03"

#: A recording for the tests that need no memray.
FIXTURE = ROOT / "crates/memray/tests/fixtures/format-13-python.bin"

PROGRAM = """
import mmap, sys, time

def load():
    return [bytes(1000) for _ in range(2000)]

def churn():
    for _ in range(5000):
        bytes(3000)

def pages():
    return mmap.mmap(-1, 1 << 20)

sys.kept = load()
sys.pages = pages()
high = bytearray(5_000_000)
del high
deadline = time.monotonic() + 0.15
while time.monotonic() < deadline:  # long enough for memray to look at the process
    churn()
    sys.kept.append(str(len(sys.kept)) * 100)
"""


THREADS = """
import os, subprocess, sys, threading

def work(number):
    kept = [bytes(600 + number) for _ in range(100)]
    for _ in range(200):
        bytes(5000)
    return kept

def start(number):
    thread = threading.Thread(target=lambda: kept.append(work(number)))
    thread.start()
    return thread

kept = []
for round in range(5):
    for thread in [start(number) for number in range(8)]:
        thread.join()
    del kept[::2]
"""

FORKS = """
import os

def inherited():
    return bytearray(3_000_000)

def own():
    return [bytes(2000) for _ in range(500)]

before = inherited()
child = os.fork()
kept = own()
if child == 0:
    del before
    high = bytearray(4_000_000)
    del high
else:
    os.waitpid(child, 0)
"""

GREENLETS = """
import greenlet

kept = []

def fill(number):
    for round in range(50):
        kept.append(bytes(1000 + number))
        bytes(8000)
        other = turns[(number + 1) % len(turns)]
        if not other.dead:
            deeper(other)

def deeper(other):
    kept.append(bytes(700))
    other.switch()

turns = [greenlet.greenlet(lambda number=number: fill(number)) for number in range(5)]
turns[0].switch()
"""


def record(folder: Path, *options: str, program: str = PROGRAM, last_line: str = "", status: int = 0) -> Path:
    """Run the program under memray, and return its file."""
    script = folder / "program.py"
    script.write_text(program + last_line)
    path = folder / "run.bin"
    command = [sys.executable, "-m", "memray", "run", "-q", "-f", *options, "-o", str(path), str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=clean_environment())
    assert done.returncode == status, done.stderr
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording with all events."""
    return record(tmp_path_factory.mktemp("memray"), "--trace-python-allocators")


@pytest.fixture(scope="module")
def aggregate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a recording of sums."""
    return record(tmp_path_factory.mktemp("aggregate"), "--trace-python-allocators", "--aggregate")


def stats(path: Path, *options: str, warnings: int = 0) -> dict[str, Any]:
    """Return what `heapsight stats --json` says."""
    done = heapsight("stats", "--json", *options, path)
    assert done.status == 0, done.errors
    assert done.errors.count("heapsight: warning: ") == warnings, done.errors
    answer: dict[str, Any] = json.loads(done.text)
    return answer


def reader(path: Path) -> Any:
    """Open a file with memray's own reader."""
    return importlib.import_module("memray").FileReader(path)


def sums(records: Any) -> Counter[tuple[str, str]]:
    """Return bytes by function and line of the most recent frame."""
    found: Counter[tuple[str, str]] = Counter()
    for one in records:
        frames = one.stack_trace()
        function, _, line = frames[0] if frames else ("<unknown>", "", 0)
        found[function, str(line or "")] += one.size
    return found


def exported(path: Path, metric: str, warnings: int = 0, *options: str) -> Counter[tuple[str, str]]:
    """Return the same from our table."""
    done = heapsight("export", "--to", "csv", "-o", "-", *options, path)
    assert (done.status, done.errors.count("\n")) == (0, warnings)
    found: Counter[tuple[str, str]] = Counter()
    for row in csv.DictReader(io.StringIO(done.text)):
        found[row["function"] or "<unknown>", row["line"]] += int(row[f"{metric}_bytes"])
    return +found


def agrees(path: Path, warnings: int = 0) -> None:
    """Check every figure of a file with all events against memray's own."""
    ours = stats(path, warnings=warnings)
    output = path.with_suffix(".json")
    command = [sys.executable, "-m", "memray", "stats", "--json", "-f", "-o", str(output), str(path)]
    subprocess.run(command, check=True, capture_output=True)
    theirs = json.loads(output.read_text())
    metrics = ours["metrics"]
    assert metrics["allocated"]["blocks"] == theirs["total_num_allocations"]
    assert metrics["allocated"]["bytes"] == theirs["total_bytes_allocated"]
    domains = {name.upper(): domain["allocated"]["blocks"] for name, domain in ours["domains"].items()}
    assert domains == {name: count for name, count in theirs["allocator_type_distribution"].items() if count}
    with reader(path) as opened:
        leaked = list(opened.get_leaked_allocation_records(merge_threads=False))
        highest = list(opened.get_high_watermark_allocation_records(merge_threads=False))
        metadata = opened.metadata
    assert metrics["live"]["bytes"] == sum(one.size for one in leaked)
    assert metrics["live"]["blocks"] == sum(one.n_allocations for one in leaked)
    # The peak in memray's metadata is a few bytes above the sum of its own records now and then.
    assert metrics["peak"]["bytes"] == ours["peak"]["bytes"] == sum(one.size for one in highest)
    assert metrics["peak"]["blocks"] == sum(one.n_allocations for one in highest)
    assert exported(path, "live", warnings) == +sums(leaked)
    assert exported(path, "peak", warnings) == +sums(highest)
    assert ours["header"]["pid"] == metadata.pid
    assert ours["header"]["program"] == metadata.command_line
    assert ours["header"]["python_version"] == f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert ours["is_complete"]
    assert ours["file_bytes"] == path.stat().st_size


@needs_memray
def test_every_figure_is_that_of_memray(recording: Path) -> None:
    agrees(recording)
    assert exported(recording, "peak")["<module>", "16"] >= 5_000_000


@needs_memray
def test_every_figure_is_that_of_memray_without_python_allocators(tmp_path: Path) -> None:
    path = record(tmp_path)
    [warning] = heapsight("stats", path).errors.splitlines()
    assert "--trace-python-allocators" in warning
    agrees(path, warnings=1)


@needs_memray
def test_every_figure_is_that_of_memray_with_native_frames(tmp_path: Path) -> None:
    agrees(record(tmp_path, "--trace-python-allocators", "--native"))


@needs_memray
def test_every_figure_is_that_of_memray_in_many_threads(tmp_path: Path) -> None:
    agrees(record(tmp_path, "--trace-python-allocators", program=THREADS))


@needs_memray
def test_every_figure_is_that_of_memray_in_a_fork_and_its_parent(tmp_path: Path) -> None:
    path = record(tmp_path, "--trace-python-allocators", "--follow-fork", program=FORKS)
    [child] = tmp_path.glob("run.bin.*")
    agrees(path)
    agrees(child)
    inherited, own = exported(path, "live"), exported(child, "live")
    assert inherited["inherited", "5"] >= 3_000_000
    assert own["inherited", "5"] == 0
    assert own["<listcomp>" if sys.version_info < (3, 12) else "own", "8"] >= 1_000_000


@needs_memray
@needs_greenlet
def test_every_figure_is_that_of_memray_with_greenlets(tmp_path: Path) -> None:
    path = record(tmp_path, "--trace-python-allocators", program=GREENLETS)
    agrees(path)
    assert exported(path, "live")["deeper", "15"] >= 700


@needs_memray
def test_every_figure_is_that_of_memray_in_a_file_that_is_not_compressed(tmp_path: Path) -> None:
    agrees(record(tmp_path, "--trace-python-allocators", "--no-compress"))


@needs_memray
def test_moments_have_the_live_memory_that_memray_saw(recording: Path) -> None:
    document = json.loads(heapsight("export", "--to", "json", "-o", "-", recording).text)
    with reader(recording) as opened:
        snapshots = list(opened.get_memory_snapshots())
        lifetimes = list(opened.get_temporal_allocation_records(merge_threads=False))
    assert len(snapshots) > 10
    timeline = document["timeline"][: len(snapshots)]
    assert [point["live_bytes"] for point in timeline] == [snapshot.heap for snapshot in snapshots]
    assert [point["rss_bytes"] for point in timeline] == [snapshot.rss for snapshot in snapshots]
    middle = len(timeline) // 2
    moment = f"{timeline[middle]['elapsed_ns'] / 1e9:.9f}"
    assert stats(recording, "--at", moment)["metrics"]["live"]["bytes"] == timeline[middle]["live_bytes"]
    live: Counter[tuple[str, str]] = Counter()
    for one in lifetimes:
        function, _, line = (one.stack_trace() or [("<unknown>", "", 0)])[0]
        for interval in one.intervals:
            end = interval.deallocated_before_snapshot
            if interval.allocated_before_snapshot <= middle and (end is None or middle < end):
                live[function, str(line or "")] += interval.n_bytes
    assert exported(recording, "live", 0, "--at", moment) == +live
    at_peak = stats(recording, "--at", "peak")
    assert at_peak["metrics"]["live"]["bytes"] == at_peak["peak"]["bytes"]


@needs_memray
def test_every_command_reads_it(recording: Path, tmp_path: Path) -> None:
    top = heapsight("top", recording)
    assert (top.status, top.errors) == (0, "")
    assert "program.py" in top.text
    assert heapsight(recording).text == top.text
    churn = heapsight("top", "--metric", "temporary", "--group-by", "function", recording)
    assert "churn" in churn.text
    lines = heapsight("top", recording, recording)
    assert lines.status == 0
    assert str(recording.name) not in lines.errors
    merged = tmp_path / "all.heapsight"
    merge = heapsight("merge", "-o", merged, recording, recording)
    assert merge.status == 0, merge.errors
    assert json.loads(heapsight("stats", "--json", merged).text)["metrics"]["allocated"]["blocks"] > 0
    difference = heapsight("diff", f"{recording}@0", f"{recording}@end")
    assert difference.status == 0
    assert "program.py:12" in difference.text
    assert "malloc" in heapsight("top", "--group-by", "domain", recording).text


@needs_memray
def test_sums_tell_live_memory_and_its_peak_and_nothing_else(aggregate: Path) -> None:
    with reader(aggregate) as opened:
        leaked = sum(one.size for one in opened.get_leaked_allocation_records())
        peak = sum(one.size for one in opened.get_high_watermark_allocation_records())
    ours = stats(aggregate, warnings=1)
    assert {name: metric["bytes"] for name, metric in ours["metrics"].items()} == {"live": leaked, "peak": peak}
    assert ours["peak"] == {"elapsed_ns": None, "bytes": peak}
    top = heapsight("top", aggregate)
    assert top.status == 0
    assert len(top.errors.splitlines()) == 1
    assert "allocated" not in top.text
    at_peak = stats(aggregate, "--at", "peak", warnings=1)
    assert at_peak["metrics"]["live"]["bytes"] == peak
    for words in (
        ("top", "--metric", "allocated", aggregate),
        ("stats", "--at", "0.1", aggregate),
        ("stats", "--range", "0..1", aggregate),
        ("export", "--to", "csv", "-o", "-", aggregate),
        ("merge", "-o", aggregate.parent / "all.heapsight", aggregate),
    ):
        done = heapsight(*words)
        assert (done.status, done.text) == (1, "")
        assert re.fullmatch(
            r"heapsight: .*run\.bin was recorded with memray's --aggregate .* is not known\n", done.errors
        )
    assert heapsight("export", "--to", "collapsed", "-o", "-", aggregate).status == 0


@needs_memray
def test_what_is_left_of_a_truncated_file_is_read(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.bin"
    whole = recording.read_bytes()
    path.write_bytes(whole[: len(whole) * 3 // 4])
    done = heapsight("stats", "--json", path)
    assert done.status == 0, done.errors
    assert "cut short" in done.errors
    left = json.loads(done.text)
    assert not left["is_complete"]
    assert 0 < left["metrics"]["allocated"]["blocks"] < stats(recording)["metrics"]["allocated"]["blocks"]


@needs_memray
def test_a_program_that_was_killed_is_read_as_far_as_its_file_goes(tmp_path: Path) -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    path = record(tmp_path, "--trace-python-allocators", last_line=kill, status=-9)
    ours = stats(path)
    assert not ours["is_complete"]
    with reader(path) as opened:
        assert ours["metrics"]["peak"]["bytes"] == opened.metadata.peak_memory


@needs_memray
def test_bytes_that_merely_begin_like_memray_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "run.bin"
    for number, rest in enumerate((b"", bytes(1000), b"\xff" * 1000)):
        path.write_bytes(BEGINNING + rest)
        done = heapsight("top", path)
        assert done.text == "", number
        assert re.fullmatch(r"heapsight: \S+run\.bin is a recording of memray, but .+\n", done.errors), number
        assert done.status == 1


def test_a_recording_comes_through_a_pipe_too() -> None:
    done = Start(["-m", "heapsight", "top", "/dev/stdin"], stdin=FIXTURE.read_bytes()).plain()
    assert (done.status, done.errors) == (0, "")
    assert "program.py" in done.text


def test_two_moments_of_one_recording_are_read_once() -> None:
    # A pipe could not be read twice.
    done = Start(
        ["-m", "heapsight", "diff", "--range", "start..peak", "/dev/stdin"], stdin=FIXTURE.read_bytes()
    ).plain()
    assert (done.status, done.errors) == (0, "")
    assert "program.py" in done.text


def test_a_format_that_is_not_known_is_refused_by_its_number(tmp_path: Path) -> None:
    path = tmp_path / "run.bin"
    path.write_bytes(b"memray\0\x0e\0\0\0" + BEGINNING)
    done = heapsight("top", path)
    expected = (
        f"{path} is a recording of memray, but cannot be read: its format is memray's number 14, and heapsight knows 11 to 13 "
        "(memray 1.11 to 1.20): upgrade heapsight"
    )
    assert (done.status, done.text, done.errors) == (1, "", f"heapsight: {expected}\n")


def test_memray_need_not_be_there(tmp_path: Path) -> None:
    (tmp_path / "memray.py").write_text("raise SystemExit('imported')\n")
    done = heapsight("stats", "--json", FIXTURE, environment={"PYTHONPATH": str(tmp_path)})
    assert (done.status, done.errors) == (0, "")
    expected = json.loads(FIXTURE.with_suffix(".json").read_text())
    assert json.loads(done.text)["peak"]["bytes"] == expected["peak_bytes"]

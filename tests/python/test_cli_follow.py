"""`heapsight run --follow`: one file per process, and one view of all."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from harness import Start, heapsight

FORK = """
import os
inherited = [bytes(1000) for _ in range(2000)]
child = os.fork()
if child == 0:
    own = [bytes(1000) for _ in range(500)]
    raise SystemExit(0)
os.waitpid(child, 0)
"""

SUBPROCESS = """
import subprocess, sys
subprocess.run([sys.executable, "-c", "import sys; own = [bytes(1000) for _ in range(500)]", "argument"], check=True)
"""

POOL = """
import multiprocessing, sys

def work(_):
    return len([bytes(1000) for _ in range(500)])

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    process = context.Process(target=work, args=(1,))
    process.start()
    process.join()
    sys.exit(process.exitcode)
"""


def follow(capture: Path, source: str, *arguments: str) -> list[Path]:
    """Record a program and its children; return the children's captures."""
    script = capture.with_name("program.py")
    script.write_text(source)
    done = Start([script, *arguments]).traced(capture, "--follow", "--quiet")
    assert (done.status, done.errors) == (0, "")
    return sorted(capture.parent.glob("run-*.heapsight"))


def stats(capture: Path, *options: str) -> Any:
    """Return what `heapsight stats` says."""
    done = heapsight("stats", "--json", *options, capture)
    assert (done.status, done.errors) == (0, "")
    return json.loads(done.text)


def allocated(capture: Path, *options: str) -> int:
    """Return the bytes that a capture's process allocated."""
    return int(stats(capture, *options)["metrics"]["allocated"]["bytes"])


def test_a_forked_child_has_its_own_file_with_what_it_allocated_itself(capture: Path) -> None:
    [child] = follow(capture, FORK)
    assert stats(child)["is_complete"] is True
    own = allocated(child, "-i", "*program.py:6")
    assert 500_000 < own < 700_000
    assert allocated(child, "-i", "*program.py:3") == 0
    assert allocated(capture, "-i", "*program.py:6") == 0
    assert allocated(capture, "-i", "*program.py:3") > 2_000_000


def test_a_subprocess_has_its_own_file_and_its_own_name(capture: Path) -> None:
    [child] = follow(capture, SUBPROCESS)
    told = stats(child)
    assert told["is_complete"] is True
    assert told["header"]["argv"] == ["-c", "argument"]
    assert allocated(child, "-i", "<string>:1") > 500_000


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_are_complete(method: str, capture: Path) -> None:
    children = follow(capture, POOL, method)
    workers = [child for child in children if allocated(child, "-i", "*program.py:5") > 500_000]
    assert len(workers) == 1
    assert stats(workers[0])["is_complete"] is True


def test_all_processes_merge_into_one_view(capture: Path, tmp_path: Path) -> None:
    [child] = follow(capture, FORK)
    merged = tmp_path / "all.heapsight"
    done = heapsight("merge", "-n1", "-o", merged, capture, child)
    assert (done.status, done.errors) == (0, "")
    assert allocated(merged) == allocated(capture) + allocated(child)
    # The parent held its 2 MB while the child allocated its half.
    peak = stats(merged)["metrics"]["peak"]["bytes"]
    assert peak > 2_500_000


def test_without_follow_a_child_leaves_no_file_and_sees_no_settings(capture: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text(
        "import os, subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'import os; print(os.environ.get(\"HEAPSIGHT_RUN\"))'], check=True)\n"
    )
    done = Start([script]).traced(capture, "--quiet")
    assert done.text == "None\n"
    assert list(capture.parent.glob("run-*.heapsight")) == []


def test_a_child_that_cannot_be_recorded_still_runs(capture: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the folder is taken away under the program's feet")
    folder = capture.parent / "gone"
    folder.mkdir()
    script = capture.with_name("program.py")
    script.write_text(
        f"import shutil\nshutil.rmtree({str(folder)!r})\n{SUBPROCESS.replace('bytes(1000)', 'print(1) or bytes(1)')}"
    )
    done = Start([script]).traced(folder / "run.heapsight", "--follow", "--quiet")
    assert done.status == 0
    assert done.text.count("1\n") == 500
    assert "runs untraced" in done.errors

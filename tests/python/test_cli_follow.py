"""`heapsight run --follow`: one file per process, and one view of all."""

from __future__ import annotations

import json
import shlex
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
    done = Start([script, *arguments]).traced(capture, "--follow", "--quiet", "--force")
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


def test_the_first_process_brings_its_children_along(capture: Path, tmp_path: Path) -> None:
    [child] = follow(capture, FORK)
    child.rename(child.with_name("renamed.heapsight"))
    merged = tmp_path / "all.heapsight"
    assert heapsight("merge", "-q", "-o", merged, capture).errors == ""
    assert allocated(merged) == allocated(capture) + allocated(child.with_name("renamed.heapsight"))
    told = stats(capture)["header"]
    assert (told["is_child"], len(told["run_id"])) == (False, 16)
    assert stats(merged)["header"]["run_id"] == told["run_id"]


def test_children_that_an_older_run_left_are_refused_by_name(capture: Path, tmp_path: Path) -> None:
    [older] = follow(capture, FORK)
    [newer] = set(follow(capture, FORK)) - {older}
    merged = tmp_path / "all.heapsight"
    done = heapsight("merge", "-o", merged, capture, *capture.parent.glob("run-*.heapsight"))
    expected = f"{older} is of another run, whose first process is not among these files: leave it out"
    assert (done.status, done.text, done.errors) == (2, "", f"heapsight: {expected}\n")
    assert not merged.exists()
    assert heapsight("merge", "-q", "-o", merged, capture).errors == ""
    assert allocated(merged) == allocated(capture) + allocated(newer)


def test_the_whole_of_an_older_run_is_refused_by_name_too(capture: Path, tmp_path: Path) -> None:
    [of_older] = follow(capture, FORK)
    older = capture.rename(capture.with_name("older.heapsight"))
    [child] = set(follow(capture, FORK)) - {of_older}
    merged = tmp_path / "all.heapsight"
    done = heapsight("merge", "-o", merged, older, of_older, capture, child)
    expected = f"{older}, {of_older} are of another run than {capture}"
    end = "leave them out, or name only the first process of each run"
    assert (done.status, done.text, done.errors) == (2, "", f"heapsight: {expected}: {end}\n")
    assert not merged.exists()
    # Who names the first processes means both.
    assert heapsight("merge", "-q", "-o", merged, older, capture).errors == ""
    both = [older, of_older, capture, child]
    assert allocated(merged) == sum(allocated(path) for path in both)


def test_the_end_tells_how_many_children_there_are_and_how_to_merge(capture: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text(FORK)
    done = Start([script]).traced(capture, "--follow")
    children, merge = done.errors.splitlines()[-2:]
    assert children == "  Children       1 process, in a capture of its own"
    label, *command = shlex.split(merge)
    assert (label, command[1:5]) == ("Merge", ["-m", "heapsight", "merge", "-o"])
    assert heapsight(*command[3:], "-q").status == 0
    [child] = capture.parent.glob(f"{capture.stem}-[0-9]*.heapsight")
    assert allocated(capture.with_name("run-all.heapsight")) == allocated(capture) + allocated(child)
    script.write_text("pass")
    assert "  Children       none\n" in Start([script]).traced(capture, "--follow", "--force").errors
    assert "Children" not in Start([script]).traced(capture, "--force").errors


def test_all_processes_are_merged_at_the_end_if_asked(capture: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text(FORK)
    done = Start([script]).traced(capture, "--follow", "--merge", "--top=1")
    merged = capture.with_name("run-all.heapsight")
    assert "and 1 more process" in done.errors
    assert "run-all.heapsight" in done.errors
    assert "  Children       1 process, combined" in done.errors
    [child] = capture.parent.glob("run-[0-9]*.heapsight")
    assert allocated(merged) == allocated(capture) + allocated(child)
    assert stats(merged)["is_complete"] is True
    # It is not replaced unasked, and the program does not even start.
    capture.unlink()
    refused = heapsight("run", "-o", capture, "--follow", "--merge", script)
    assert (refused.status, refused.text) == (2, "")
    assert "run-all.heapsight exists" in refused.errors
    quiet = heapsight("run", "--force", "-q", "-o", capture, "--follow", "--merge", script)
    assert (quiet.status, quiet.errors) == (0, "")
    assert stats(merged)["header"]["run_id"] == stats(capture)["header"]["run_id"]


def test_a_merge_that_fails_at_the_end_is_one_line_and_the_summary_is_that_of_the_first_process(capture: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text(f"import os\nos.mkdir({str(capture.with_name('run-all.heapsight'))!r})\n" + FORK)
    done = Start([script]).traced(capture, "--follow", "--merge", "--top=1")
    assert done.status == 0
    assert "heapsight: the captures are not combined: cannot write " in done.errors
    assert " -m heapsight merge -o " in done.errors


def test_exact_and_sampled_processes_are_told_apart(capture: Path, tmp_path: Path) -> None:
    script = capture.with_name("program.py")
    script.write_text("kept = [bytes(1000) for _ in range(1000)]")
    sampled = capture.with_name("sampled.heapsight")
    Start([script]).traced(capture, "--quiet")
    Start([script]).traced(sampled, "--quiet", "--sample=64K")
    done = heapsight("merge", "-q", "-o", tmp_path / "all.heapsight", capture, sampled)
    expected = (
        f"sums of exact figures and estimates are estimates: {capture} is exact, {sampled} is a sample of one in 64 KiB"
    )
    assert (done.status, done.errors) == (0, f"heapsight: warning: {expected}\n")


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

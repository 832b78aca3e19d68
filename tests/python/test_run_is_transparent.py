"""Under `heapsight run` a program does exactly what it does alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest
from harness import PROGRAMS, Start, clean_environment, heapsight, program

#: What tracing adds to sys.modules, beside modules of the package.
OWN_MODULES = {"heapsight", "_heapsight_startup", "atexit"}

#: The capture's descriptor is at or above this, out of the program's way.
FIRST_OWN_DESCRIPTOR = 700

#: Programs that run the same way every time, as they are.
REPLACED_STREAMS = [
    program("replace_streams.py", stream, kind)
    for stream in ("stdout", "stderr")
    for kind in ("none", "bare", "write_only", "failing", "closed", "deleted")
]

PROGRAMS_AS_THEY_ARE = [
    program("exit_with.py", "0"),
    program("exit_with.py", "3"),
    program("exit_with.py", "256"),
    program("exit_with.py", "-1"),
    program("exit_with.py", "none"),
    program("exit_with.py", "text"),
    program("exit_with.py", "float"),
    program("exit_with.py", "tuple"),
    program("exit_with.py", "huge"),
    program("raise_unhandled.py"),
    program("exit_at_once.py"),
    program("kill_self.py", "SIGTERM"),
    program("kill_self.py", "SIGKILL"),
    program("kill_self.py", "SIGHUP"),
    program("kill_self.py", "SIGPIPE"),
    program("kill_self.py", "SIGINT"),
    program("interrupted.py"),
    program("abort.py"),
    program("crash.py"),
    program("echo_stdin.py", stdin=bytes(range(256)) * 4096),
    program("interactive_input.py", stdin=b"1\n2\n39"),
    program("threads_running.py"),
    program("daemon_threads.py"),
    program("many_threads.py"),
    program("fork_children.py", flags=["-W", "always"]),
    program("fork_with_threads.py"),
    program("subprocess_environment.py", flags=["-W", "always"]),
    program("exec_another.py"),
    program("multiprocessing_pools.py"),
    program("exit_functions.py"),
    program("finalizers.py"),
    *REPLACED_STREAMS,
    program("pickle_main.py"),
    program("deep_recursion.py"),
    program("huge_output.py"),
    program("trace_functions.py"),
    program("wait_for_signals.py"),
    program("own_tracemalloc.py"),
    program("warn.py"),
    program("warn.py", flags=["-W", "error"]),
    program("warn.py", flags=["-X", "dev"]),
    program("asynchronous.py"),
    Start(["-c", "import sys; print(sys.argv, __name__)", "-h", "--", "-m", "x"]),
    Start(["-c", "raise SystemExit(9)"]),
    Start(["-c", "print(1)\n  print(2)"]),
    Start(["-m", "package", "-o", "mine", "--frames"], cwd=PROGRAMS),
    Start(["-m", "json.tool", "--compact"], stdin=b'{"a": [1, 2]}'),
    Start(["-m", "no_such_module"]),
    Start(["-m", "package.no_such_module"], cwd=PROGRAMS),
]

if not hasattr(sys, "gettotalrefcount"):  # a debug build has assertions that fail without memory, of its own
    PROGRAMS_AS_THEY_ARE += [program("memory_error.py")]


def name_of(start: Start) -> str:
    words = [Path(str(word)).name.splitlines()[0] for word in (*start.flags, *start.arguments)]
    return " ".join(words)[:60]


@pytest.mark.parametrize("start", PROGRAMS_AS_THEY_ARE, ids=name_of)
def test_status_and_both_streams_are_those_of_plain_python(start: Start, capture: Path) -> None:
    assert start.traced(capture, "--quiet") == start.plain()


@pytest.mark.parametrize("action", ["default", "handler"])
def test_program_that_lets_no_file_grow_is_not_told_that_the_capture_could_not(action: str, capture: Path) -> None:
    start = program("file_size_limit.py", action)
    traced, plain = start.traced(capture, "--quiet"), start.plain()
    assert (traced.status, traced.stdout) == (plain.status, plain.stdout)
    assert plain.status == 0
    assert traced.errors.startswith(f"heapsight: {capture} is incomplete: cannot write the capture")


@pytest.mark.skipif(hasattr(sys, "gettotalrefcount"), reason="a debug build's own assertions fail without memory")
def test_program_that_ends_without_memory_ends_as_ever_though_the_capture_may_lack_its_end(capture: Path) -> None:
    outcome = program("memory_exhausted.py").traced(capture, "--quiet")
    assert (outcome.status, outcome.stdout) == (0, b"exhausted\n")
    for line in outcome.errors.splitlines():
        assert line.startswith(f"heapsight: {capture} is incomplete: cannot write the capture")


@pytest.mark.parametrize("name", ["exit_functions.py", "finalizers.py", "raise_unhandled.py", "warn.py"])
def test_summary_comes_after_everything_the_program_says(name: str, capture: Path) -> None:
    start = program(name)
    plain, traced = start.plain(), start.traced(capture)
    assert traced.status == plain.status
    assert traced.stdout == plain.stdout
    assert traced.stderr.startswith(plain.stderr)
    assert str(capture) in traced.errors


@pytest.mark.parametrize("start", REPLACED_STREAMS, ids=lambda start: " ".join(map(str, start.arguments[1:])))
def test_summary_comes_whatever_the_programs_streams_are(start: Start, capture: Path) -> None:
    plain, traced = start.plain(), start.traced(capture)
    assert (traced.status, traced.stdout) == (plain.status, plain.stdout)
    assert traced.stderr.startswith(plain.stderr)
    assert str(capture) in traced.errors


def reports(start: Start, capture: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the program says of its start, plain and traced, where they must not differ."""
    plain, traced = json.loads(start.plain().stdout), json.loads(start.traced(capture, "--quiet", *options).stdout)
    added = set(traced["modules"]) - set(plain["modules"])
    assert {name for name in added if not name.startswith("heapsight.")} <= OWN_MODULES
    assert set(plain["modules"]) <= set(traced["modules"])
    traced["modules"] = plain["modules"]
    traced["descriptors"] = [number for number in traced["descriptors"] if number < FIRST_OWN_DESCRIPTOR]
    assert traced["tasks"] <= plain["tasks"] + 1  # the recorder, which is no Python thread
    traced["tasks"] = plain["tasks"]
    return plain, traced


def zipped(directory: Path) -> Path:
    archive = directory / "program.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(PROGRAMS / "report_environment.py", "__main__.py")
    return archive


def in_directory(directory: Path) -> Path:
    folder = directory / "folder"
    folder.mkdir()
    (folder / "__main__.py").write_bytes((PROGRAMS / "report_environment.py").read_bytes())
    return folder


@pytest.mark.parametrize(
    "flags",
    [
        [],
        ["-I"],
        ["-E", "-s", "-B"],
        ["-O", "-bb", "-q"],
        ["-u"],
        ["-X", "dev"],
        ["-X", "utf8", "-W", "error::ResourceWarning"],
        ["-Xutf8=0", "-Wd"],
        ["-v"],
    ],
    ids=" ".join,
)
def test_program_finds_the_start_of_plain_python(flags: list[str], capture: Path) -> None:
    arguments = ["-h", "a b", "", "--", "ü\udcff"]
    start = program("report_environment.py", *arguments, flags=flags, environment={"MINE": "1"})
    plain, traced = reports(start, capture)
    assert traced == plain


@pytest.mark.parametrize("how", ["relative script", "directory", "zip", "-c", "-m"])
def test_every_form_of_program_finds_the_start_of_plain_python(how: str, capture: Path, tmp_path: Path) -> None:
    script = PROGRAMS / "report_environment.py"
    start = {
        "relative script": lambda: Start(["report_environment.py", "x"], cwd=PROGRAMS),
        "directory": lambda: Start([in_directory(tmp_path), "x"]),
        "zip": lambda: Start([zipped(tmp_path), "x"]),
        "-c": lambda: Start(["-c", script.read_text(), "x"]),
        "-m": lambda: Start(["-m", "report_environment", "x"], cwd=PROGRAMS),
    }[how]()
    plain, traced = reports(start, capture)
    assert traced == plain


def test_environment_that_configures_python_is_obeyed(capture: Path) -> None:
    environment = {"PYTHONPATH": str(PROGRAMS), "PYTHONHASHSEED": "7", "PYTHONWARNINGS": "error", "PYTHONUTF8": "1"}
    start = Start(["-m", "report_environment"], environment=environment)
    plain, traced = reports(start, capture)
    assert traced == plain


def test_console_script_is_the_same_command(capture: Path) -> None:
    command = Path(sysconfig.get_path("scripts"), "heapsight")
    start = program("report_environment.py", "x")
    plain = json.loads(start.plain().stdout)
    words = [command, "run", "--quiet", "-o", capture, *start.arguments]
    done = subprocess.run(words, capture_output=True, env=clean_environment(), check=True)
    traced = json.loads(done.stdout)
    for key in ("argv", "orig_argv", "path", "flags", "executable", "main", "environ"):
        assert traced[key] == plain[key], key


def test_program_may_leave_and_delete_its_directory(tmp_path: Path) -> None:
    outcomes = []
    for run in ("plain", "traced"):
        folder = tmp_path / run
        folder.mkdir()
        start = program("change_directory.py", cwd=folder)
        outcomes.append(start.plain() if run == "plain" else start.traced(tmp_path / "c", "--quiet"))
    assert outcomes[0] == outcomes[1]


def test_relative_capture_stays_where_the_command_was_given(tmp_path: Path) -> None:
    traced = Start(["-c", "import os; os.chdir('/')"], cwd=tmp_path).traced(Path("mine.heapsight"))
    assert traced.status == 0
    assert (tmp_path / "mine.heapsight").stat().st_size > 0
    assert "mine.heapsight" in traced.errors


def test_program_may_run_in_a_deleted_directory(tmp_path: Path) -> None:
    outcomes = []
    for run in ("plain", "traced"):
        folder = tmp_path / run
        folder.mkdir()
        start = program("delete_directory.py", cwd=folder)
        outcomes.append(start.plain() if run == "plain" else start.traced(tmp_path / "c", "--quiet"))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_stay_closed_and_new_files_get_the_same_numbers(closed: str, tmp_path: Path) -> None:
    found = []
    for capture in (None, tmp_path / "capture"):
        report = tmp_path / "report"
        outcome = program("report_streams.py", report).in_shell(capture, closed)
        found.append((outcome.status, outcome.stdout, report.read_text()))
    assert found[0] == found[1]


def test_capture_is_not_written_into_files_that_reuse_its_descriptor(tmp_path: Path) -> None:
    for name in ("plain", "traced"):
        (tmp_path / name).mkdir()
    plain = program("reuse_descriptors.py", tmp_path / "plain").plain()
    traced = program("reuse_descriptors.py", tmp_path / "traced").traced(tmp_path / "c")
    assert traced == plain
    files = {path.read_bytes() for path in (tmp_path / "traced").iterdir()}
    assert files == {b"mine\n"}


def test_few_descriptors_are_enough(capture: Path) -> None:
    command = f'ulimit -n 32; exec "{sys.executable}" -m heapsight run -o "{capture}" -c "print(5)"'
    done = subprocess.run(["sh", "-c", command], capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"5\n")
    assert heapsight("top", capture).status == 0


def test_parent_of_the_program_is_who_started_heapsight(capture: Path) -> None:
    traced = Start(["-c", "import os; print(os.getppid())"]).traced(capture, "--quiet")
    assert int(traced.stdout) == os.getpid()


def test_recorder_goes_on_after_a_fork(capture: Path) -> None:
    code = (
        "import os, sys\n"
        "def tasks(): return len(os.listdir('/proc/self/task'))\n"
        "before = tasks()\n"
        "if os.fork() == 0: os._exit(0)\n"
        "os.wait()\n"
        "print(before, tasks())"
    )
    assert Start(["-c", code]).traced(capture, "--quiet").text == "2 2\n"

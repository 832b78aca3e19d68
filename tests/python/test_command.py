"""The command `heapsight`: an executable of its own that finds the interpreter it was installed for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from harness import Outcome, Start, clean_environment, heapsight

COMMAND = Path(sysconfig.get_path("scripts"), "heapsight")


def called(*words: str | Path, environment: dict[str, str] | None = None) -> Outcome:
    """Run a command by its own name."""
    kept = {**clean_environment(), **(environment or {})}
    done = subprocess.run([str(word) for word in words], capture_output=True, env=kept, timeout=120)
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_it_runs_programs_with_the_interpreter_of_its_environment(capture: Path) -> None:
    done = called(COMMAND, "run", "-q", "-o", capture, "-c", "import sys; print(sys.prefix)")
    assert (done.status, done.text, done.errors) == (0, f"{sys.prefix}\n", "")
    assert capture.stat().st_size > 0


def test_a_link_to_it_is_the_same_command(capture: Path, tmp_path: Path) -> None:
    link = tmp_path / "hs"
    link.symlink_to(COMMAND)
    done = called(link, "run", "-q", "-o", capture, "-c", "import sys; print(sys.prefix)")
    assert (done.status, done.text, done.errors) == (0, f"{sys.prefix}\n", "")


def test_nothing_in_the_environment_is_needed(capture: Path) -> None:
    done = subprocess.run([COMMAND, "run", "-o", capture, "-c", "print(1)"], capture_output=True, env={}, timeout=120)
    assert (done.returncode, done.stdout) == (0, b"1\n")
    assert b"Traced memory" in done.stderr


def test_a_copy_without_its_package_reads_captures_but_runs_nothing(capture: Path, tmp_path: Path) -> None:
    assert heapsight("run", "-q", "-o", capture, "-c", "kept = bytes(5000)").status == 0
    alone = tmp_path / "bin" / "heapsight"
    alone.parent.mkdir()
    shutil.copy(COMMAND, alone)
    assert "Traced memory" in called(alone, "top", capture).text
    refused = called(alone, "run", "-o", tmp_path / "no.heapsight", "-c", "print(1)")
    assert (refused.status, refused.text) == (1, "")
    [line] = refused.errors.splitlines()
    assert line.startswith("heapsight: no Python that ")
    assert line.endswith("run it as python3 -m heapsight")
    assert not (tmp_path / "no.heapsight").exists()


@pytest.mark.parametrize("words", [["--version"], ["-V"]])
def test_it_names_its_version_and_that_of_its_interpreter(words: list[str]) -> None:
    by_name = called(COMMAND, *words)
    assert by_name.text.endswith(f"(Python {sys.version.split()[0]})\n")
    assert by_name == heapsight(*words)


def test_ignored_signals_and_blocked_ones_are_those_of_plain_python(capture: Path) -> None:
    state = "print([line for line in open('/proc/self/status') if line.startswith(('SigBlk', 'SigIgn'))])"
    plain = called(sys.executable, "-c", state)
    traced = called(COMMAND, "run", "-q", "-o", capture, "-c", state)
    assert traced == plain
    # What was ignored before is so in the program, too.
    ignoring = f"trap '' USR1; exec {COMMAND} run -q --force -o {capture} -c \"{state}\""
    assert called("sh", "-c", ignoring) == called("sh", "-c", f"trap '' USR1; exec {sys.executable} -c \"{state}\"")


@pytest.mark.parametrize(
    "words",
    [["run", "-q", "-o", "new.file", "-c", "pass"], ["export", "--to", "json", "-o", "new.file", "there.heapsight"]],
    ids=lambda words: words[0],
)
def test_a_file_that_may_not_grow_is_one_line_and_nothing_is_left_of_it(words: list[str], tmp_path: Path) -> None:
    recorded = called(COMMAND, "run", "-q", "-o", tmp_path / "there.heapsight", "-c", "import json")
    assert recorded == Outcome(0, b"", b"")
    done = called("bash", "-c", 'cd "$0" && ulimit -f 1 && exec "$@"', tmp_path, COMMAND, *words)
    assert (done.status, done.text) == (74, "")
    assert done.errors == "heapsight: cannot write new.file: File too large (os error 27)\n"
    assert [path.name for path in tmp_path.iterdir()] == ["there.heapsight"]


def test_a_summary_that_cannot_be_printed_is_one_line_and_the_result_stands(capture: Path, tmp_path: Path) -> None:
    gone = tmp_path / "heapsight"
    spec = {
        "output": str(capture),
        "frames": None,
        "sample_bytes": None,
        "threads": False,
        "tick_ms": 100,
        "top": 3,
        "summarizer": str(gone),
        "program": "-c",
        "argv": ["-c"],
    }
    environment = {"HEAPSIGHT_RUN": json.dumps(spec), "PYTHONHEAPSIGHT": "run"}
    done = Start(["-c", "print(2); raise SystemExit(3)"], environment=environment).plain()
    assert (done.status, done.text) == (3, "2\n")
    [line] = done.errors.splitlines()
    assert line.startswith(f"heapsight: no summary of {capture}: cannot start {gone}: ")


def test_a_program_that_has_the_system_forget_its_children_gets_its_summary(capture: Path) -> None:
    code = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); print('ended')"
    done = Start(["-c", code]).traced(capture)
    assert (done.status, done.text) == (0, "ended\n")
    assert "Traced memory" in done.errors
    assert "no summary" not in done.errors

"""What `heapsight run` says to bad input: one clear line and a fitting exit status, before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import PROGRAMS, Outcome, Start, heapsight

HELLO = ["-c", "print('hello')"]


def refused(outcome: Outcome, status: int, *words: str) -> None:
    """Assert a refusal: nothing ran, one line, with these words in it."""
    assert outcome.status == status, outcome.errors
    assert outcome.stdout == b""
    [line] = outcome.errors.splitlines()
    for word in words:
        assert word in line


def test_missing_script(capture: Path) -> None:
    refused(Start(["no_such.py"]).traced(capture), 2, "no_such.py")
    assert not capture.exists()


def test_directory_without_main(capture: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    refused(Start([folder]).traced(capture), 2, str(folder), "__main__")
    assert not capture.exists()


def test_script_with_a_syntax_error(capture: Path, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_bytes((PROGRAMS / "syntax_error.py.txt").read_bytes())
    refused(Start([script]).traced(capture), 1, f"{script}:3:", "syntax")
    assert not capture.exists()


def test_script_with_null_bytes(capture: Path, tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_bytes(b"print(1)\0\n")
    refused(Start([script]).traced(capture), 1, str(script), "null bytes")


def test_output_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(Start(HELLO).traced(tmp_path / "file" / "capture"), 2, str(tmp_path / "file" / "capture"))


def test_directories_of_the_output_are_made(tmp_path: Path) -> None:
    output = tmp_path / "not" / "yet" / "capture"
    assert Start(HELLO).traced(output).text == "hello\n"
    assert output.is_file()


def test_output_that_is_a_directory(tmp_path: Path) -> None:
    refused(Start(HELLO).traced(tmp_path, "--force"), 2, str(tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_without_permission(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    refused(Start(HELLO).traced(folder / "file"), 2, str(folder / "file"), "ermission")


def test_existing_output_is_kept_unless_forced(capture: Path) -> None:
    capture.write_text("precious")
    refused(Start(HELLO).traced(capture), 2, str(capture), "--force")
    assert capture.read_text() == "precious"
    forced = Start(HELLO).traced(capture, "--force")
    assert (forced.status, forced.stdout) == (0, b"hello\n")
    assert capture.read_bytes()[:8] != b"precious"


@pytest.mark.parametrize("frames", ["0", "-3", "abc", "65536", ""])
def test_bad_number_of_frames(frames: str, capture: Path) -> None:
    outcome = Start(HELLO).traced(capture, f"--frames={frames}")
    assert outcome.status in (1, 2)
    assert outcome.stdout == b""
    assert frames in outcome.errors
    assert "Traceback" not in outcome.errors
    assert not capture.exists()


def test_no_program(capture: Path) -> None:
    outcome = Start([]).traced(capture)
    assert outcome.status == 2
    assert "Traceback" not in outcome.errors


def test_disk_that_is_full_already() -> None:
    refused(Start(HELLO).traced(Path("/dev/full"), "--force"), 74, "/dev/full", "No space left")


def test_disk_that_fills_up_later_costs_the_rest_of_the_capture_and_not_the_program(capture: Path) -> None:
    code = (
        "import resource, signal; resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))\n"
        "kept = [eval(f'lambda: bytes({size})')() for size in range(5000)]\n"
        "print(len(kept)); raise SystemExit(4)"
    )
    traced = Start(["-c", code]).traced(capture)
    assert (traced.status, traced.stdout) == (4, b"5000\n")
    assert str(capture) in traced.errors
    assert "too large" in traced.errors  # EFBIG
    assert "Traceback" not in traced.errors
    assert "panicked" not in traced.errors


def test_settings_that_nobody_sent_are_one_line_and_the_program_runs() -> None:
    outcome = Start(HELLO, environment={"HEAPSIGHT_RUN": "{nonsense", "PYTHONHEAPSIGHT": "run"}).plain()
    assert (outcome.status, outcome.stdout) == (0, b"hello\n")
    [line] = outcome.errors.splitlines()
    assert line.startswith("heapsight: ")
    assert "untraced" in line


def test_interpreter_that_skips_site_is_refused_since_tracing_begins_there(capture: Path) -> None:
    import heapsight as package

    path = str(Path(package.__file__).parent.parent)
    outcome = Start(HELLO, flags=["-S"], environment={"PYTHONPATH": path}).traced(capture)
    refused(outcome, 1, "-S")


def test_unknown_command() -> None:
    outcome = heapsight("no-such-command")
    assert outcome.status == 2
    assert "no-such-command" in outcome.errors

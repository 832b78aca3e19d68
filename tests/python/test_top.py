"""`heapsight top` on the files that `heapsight run` writes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from harness import Start, heapsight, program


def test_names_the_line_that_holds_the_memory(capture: Path, tmp_path: Path) -> None:
    script = tmp_path / "holder.py"
    script.write_text("def hold():\n    return [bytes(1000) for _ in range(5000)]\n\n\nkept = hold()\n")
    assert Start([script]).traced(capture).status == 0
    top = heapsight("top", capture)
    assert top.status == 0
    assert "holder.py:2" in top.text
    assert top.stderr == b""


def test_reads_what_a_killed_program_left(capture: Path) -> None:
    killed = program("kill_self.py", "SIGKILL").traced(capture, "--tick=10")
    assert killed.status == -9
    top = heapsight("top", capture)
    assert top.status == 0
    assert len(top.errors.splitlines()) <= 1


def test_reads_the_prefix_of_a_cut_file(capture: Path) -> None:
    assert Start(["-c", "x = [bytes(1000) for _ in range(1000)]"]).traced(capture).status == 0
    whole = capture.read_bytes()
    capture.write_bytes(whole[:-20])
    top = heapsight("top", capture)
    assert top.status == 0
    assert "Warning: unreadable from byte" in top.text
    assert "<string>:1" in top.text


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 5000, b"\x80\x04K\x01."])
def test_a_file_of_another_kind_is_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(content)
    top = heapsight("top", path)
    assert top.status == 1
    assert top.stdout == b""
    [line] = top.errors.splitlines()
    assert str(path) in line


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    top = heapsight("top", tmp_path / "none")
    assert top.status == 2
    [line] = top.errors.splitlines()
    assert "none" in line


def test_a_reader_that_goes_away_is_no_error(capture: Path) -> None:
    assert Start(["-c", "x = [bytes(1000) for _ in range(1000)]"]).traced(capture).status == 0
    command = f'"{sys.executable}" -m heapsight top "{capture}" | true'
    done = subprocess.run(command, shell=True, capture_output=True)
    assert done.stderr == b""

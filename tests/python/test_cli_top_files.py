"""`heapsight top` on several files, on snapshots, and on what `tracemalloc` wrote."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import Start, clean_environment, heapsight

SNAPSHOTS = """
import heapsight
heapsight.set_traceback_limit(5)
heapsight.enable()
kept = [bytes(2000) for _ in range(100)]
heapsight.Snapshot.create(with_traces=True).write("a.heapsight")
more = [bytes(3000) for _ in range(100)]
heapsight.Snapshot.create(with_traces=True).write("b.heapsight")
heapsight.Snapshot.create(user_data_callback=lambda: {"answers": 42}).write("plain.heapsight")
"""


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with snapshots that a program took of itself."""
    folder = tmp_path_factory.mktemp("snapshots")
    script = folder / "program.py"
    script.write_text(SNAPSHOTS)
    done = Start([script], cwd=folder).plain()
    assert (done.status, done.errors) == (0, "")
    return folder


def top(folder: Path, *words: str) -> str:
    """Return what `heapsight top` prints in a folder."""
    done = heapsight("top", *words, cwd=folder)
    assert (done.status, done.errors) == (0, "")
    return done.text


def test_files_come_in_the_order_of_time_each_compared_with_the_one_before(snapshots: Path) -> None:
    forward, backward = top(snapshots, "a.heapsight", "b.heapsight"), top(snapshots, "b.heapsight", "a.heapsight")
    assert forward == backward
    first, second = forward.split("\n\n")
    assert "compared to" not in first
    assert "compared to" in second
    assert re.search(r"^#1: .*program.py:7: size=\d+ KiB \(\+\d+ KiB\), count=10\d \(\+10\d\)", second, re.MULTILINE)


def test_columns_can_be_hidden(snapshots: Path) -> None:
    text = top(snapshots, "-S", "-A", "-M", "-n1", "a.heapsight")
    assert re.search(r"^#1: .*program.py:5: count=\d+$", text, re.MULTILINE)
    assert "size=" not in text
    assert "process_memory" not in text
    assert "process_memory.rss" in top(snapshots, "-n1", "a.heapsight")
    assert "answers: 42" in top(snapshots, "-n1", "plain.heapsight")


def test_file_names_are_shortened(snapshots: Path) -> None:
    assert "#1: .../program.py:5:" in top(snapshots, "-P1", "-n1", "a.heapsight")
    assert f"#1: {snapshots}/program.py:5:" in top(snapshots, "--filename-parts=99", "-n1", "a.heapsight")


def test_first_compares_with_the_first(snapshots: Path) -> None:
    text = top(snapshots, "--first", "-n1", "-M", "a.heapsight", "b.heapsight", "plain.heapsight")
    *_, third = text.split("\n\n")
    assert re.search(r"program.py:7: size=\d+ KiB \(\+\d+ KiB\)", third)


def test_a_block_is_found_by_its_address(snapshots: Path) -> None:
    listing = top(snapshots, "-a", "-n3", "b.heapsight")
    assert "per address" in listing
    addresses = re.findall(r"^#\d: (0x[0-9a-f]+): size=", listing, re.MULTILINE)
    assert len(addresses) == 3
    for spelled in (addresses[0], str(int(addresses[0], 16))):
        text = top(snapshots, "-b", spelled, "b.heapsight")
        assert addresses[0] in text
        assert 'program.py", line ' in text
    assert "no live traced block" in top(snapshots, "-b", "0x10", "b.heapsight")


def test_the_biggest_blocks_come_with_their_source(snapshots: Path) -> None:
    text = top(snapshots, "-t", "-n2", "b.heapsight")
    assert text.startswith("2 biggest of ")
    assert 'program.py", line 7, in <' in text
    assert "more = [bytes(3000) for _ in range(100)]" in text
    assert "#3" not in text


def test_filters_apply_to_blocks_too(snapshots: Path) -> None:
    text = top(snapshots, "-t", "-n1", "-i", "*program.py:5", "b.heapsight")
    assert "line 5" in text
    assert "line 7" not in text


@pytest.mark.parametrize("option", ["-a", "-t", "-b1"])
def test_a_file_without_traces_is_one_line(option: str, snapshots: Path) -> None:
    done = heapsight("top", option, "plain.heapsight", cwd=snapshots)
    assert done.status == 1
    [line] = done.errors.splitlines()
    assert "plain.heapsight has no table of blocks" in line
    assert "with_traces=True" in line


def test_files_of_different_processes_are_a_warning(snapshots: Path, capture: Path) -> None:
    assert Start(["-c", "x = bytes(5000)"]).traced(capture, "--quiet").status == 0
    done = heapsight("top", "-n1", snapshots / "a.heapsight", capture)
    assert done.status == 0
    [line] = done.errors.splitlines()
    assert line.startswith("heapsight: warning: the files are of different processes (")
    assert done.text.count("Total: ") == 2


def test_reads_a_snapshot_of_tracemalloc(tmp_path: Path) -> None:
    script = tmp_path / "their.py"
    script.write_text(
        "import tracemalloc\n"
        "tracemalloc.start(3)\n"
        "kept = [bytes(4000) for _ in range(50)]\n"
        "tracemalloc.take_snapshot().dump('their.pickle')\n"
    )
    subprocess.run([sys.executable, script], cwd=tmp_path, env=clean_environment(), check=True)
    assert re.search(r"their\.py:3: size=19[78] KiB, count=5", top(tmp_path, "-n1", "their.pickle"))


def test_a_hostile_pickle_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pickle"
    path.write_bytes(b"\x80\x04cposix\nsystem\n\x8c\x05touch\x85R.")
    done = heapsight("top", path)
    assert done.status == 1
    [line] = done.errors.splitlines()
    assert "posix.system" in line

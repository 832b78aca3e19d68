"""Count instructions under callgrind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.instructions.events import MODES, PASSES, WORKLOADS
from benchmarks.machine import usable_cores

EVENTS = Path(__file__).resolve().parent / "events.py"
_TOTALS = re.compile(r"^totals: (\d+)$", re.MULTILINE)

Counts = dict[str, float]
"""What was done → instructions per object. "floats" makes them, "floats, freed" frees them."""


class CountingError(Exception):
    """A process could not be counted; the message says why."""


def parts(python: Path, mode: str) -> list[int]:
    """The instructions of each part of a process: up to the first mark, between marks, after the last.

    Addresses, hashes and the environment are fixed: two runs of the same build give the same numbers,
    to a few instructions in a million.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(_program("setarch"), "-R", _program("valgrind"), "--tool=callgrind"),
            *(f"--callgrind-out-file={folder}/part", "--dump-before=getppid"),
            # -B: a first run that wrote byte code would count differently from a second.
            *(str(python), "-B", "-s", str(EVENTS), mode),
        ]
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0"}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            last = (result.stderr.strip().splitlines() or ["no output"])[-1]
            raise CountingError(f"callgrind failed in mode {mode}: {last}")
        found = [_TOTALS.search(path.read_text(encoding="utf-8")) for path in _in_order(Path(folder))]
    counted = [int(totals.group(1)) for totals in found if totals is not None]
    expected = 2 + 2 * PASSES * len(WORKLOADS)
    if len(counted) != expected:
        raise CountingError(f"callgrind wrote {len(counted)} parts in mode {mode}, not {expected}")
    return counted


def _program(name: str) -> str:
    """Where a program is: the counted process has a search path of its own."""
    found = shutil.which(name)
    if found is None:
        raise CountingError(f"{name} is not installed")
    return found


def _in_order(folder: Path) -> list[Path]:
    """part.1, part.2, … and last ``part``, which callgrind writes at the end."""
    numbered = sorted(folder.glob("part.*"), key=lambda path: int(path.suffix[1:]))
    return [*numbered, folder / "part"]


def per_object(counted: list[int]) -> Counts:
    """The last pass of each workload, from the parts of a process."""
    first = 1 + 2 * (PASSES - 1) * len(WORKLOADS)
    counts = {}
    for index, workload in enumerate(WORKLOADS):
        made, freed = counted[first + 2 * index : first + 2 * index + 2]
        counts[workload.name] = made / workload.objects
        if workload.keeps:
            counts[f"{workload.name}, freed"] = freed / workload.objects
    return counts


def count_all(python: Path) -> dict[str, Counts]:
    """The counts of every mode: for ``off`` the interpreter's own, for the others what tracing adds to them."""
    # Writes the byte code of heapsight's package, which -B does not.
    subprocess.run([python, "-c", "import heapsight"], check=True)
    with ThreadPoolExecutor(usable_cores()) as pool:
        counted = pool.map(lambda mode: per_object(parts(python, mode)), MODES)
        counts = dict(zip(MODES, counted))
    off = counts["off"]
    return {
        mode: {what: count - (off[what] if mode != "off" else 0) for what, count in each.items()}
        for mode, each in counts.items()
    }

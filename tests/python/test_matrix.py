"""Ways to trace, crossed with what a program may do: figures and call paths are those that the blocks tell themselves.

The programs are in tests/programs/matrix. Each block there begins with the name of the function that made it, so a program knows
what must be live, and where from, without asking any tracer. It compares what heapsight tells it, and says what a capture must have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import PROGRAMS, Outcome, program

from heapsight import _testing

MODES = {"exact": [], "frame": ["--frames=1"], "sampled": ["--sample=16"]}
NAMES = sorted(path.stem for path in (PROGRAMS / "matrix").glob("*.py") if path.stem != "judge")
FORKS = [name for name in NAMES if name.startswith("fork")]

#: The line on which the programs' functions make their blocks.
LINE = 4

Said = dict[str, Any]


def said(outcome: Outcome) -> Iterator[Said]:
    """Read what the processes say, which must have ended well and silently."""
    assert (outcome.status, outcome.errors) == (0, "")
    for line in outcome.text.splitlines():
        what = json.loads(line)
        assert "capture" in what, what  # else it is what was told to the program falsely
        yield what


def told(capture: Path, names: set[str], frames: int | None) -> dict[str, list[int]]:
    """Return what a capture has for the named files: bytes and blocks allocated, and live."""
    figures: dict[str, list[int]] = {}
    for _, path, (allocated, freed, _, _) in _testing.capture_counters(str(capture))[1]:
        assert frames is None or len(path) <= frames
        filename, line = path[0] if path else ("", 0)
        if filename in names and line == LINE:
            sums = figures.setdefault(filename, [0, 0, 0, 0])
            live = (allocated[0] - freed[0], allocated[1] - freed[1])
            figures[filename] = [sum(pair) for pair in zip(sums, (*allocated, *live))]
    return figures


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_a_program_is_told_what_is_so(name: str, mode: str, raw_threads: Path, capture: Path) -> None:
    assert list(said(program(f"matrix/{name}.py", mode, "plain", raw_threads, capture).plain()))


@pytest.mark.parametrize(
    ("name", "way"), [*((name, "recorded") for name in NAMES), *((name, "followed") for name in FORKS)]
)
@pytest.mark.parametrize("mode", MODES)
def test_a_capture_has_what_was_so_and_the_program_is_told_it(
    name: str, way: str, mode: str, raw_threads: Path, capture: Path
) -> None:
    options = ["--quiet", "--tick=10", *MODES[mode], *(["--follow"] if way == "followed" else [])]
    outcome = program(f"matrix/{name}.py", mode, way, raw_threads, capture).traced(capture, *options)
    processes = list(said(outcome))
    captures = {what["pid"]: capture.with_name(f"run-{what['pid']}.heapsight") for what in processes[:-1]}
    captures[processes[-1]["pid"]] = capture
    names = {name for what in processes for name in what["capture"]}
    for what in processes:
        file = captures[what["pid"]]
        if way == "followed" or file == capture:
            assert told(file, names, 1 if mode == "frame" else None) == what["capture"]
    written = [capture] if way == "recorded" else captures.values()
    assert sorted(capture.parent.glob("*.heapsight")) == sorted(written)

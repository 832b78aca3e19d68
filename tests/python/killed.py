"""Kills a recorded program, and judges what its capture says by what the program itself has told until then."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import PROGRAMS, TIMEOUT_SECONDS, clean_environment, heapsight

PROGRAM = PROGRAMS / "grow_and_tell.py"
SOURCE = PROGRAM.read_text().splitlines()
GROWTH_LINE = 1 + next(index for index, line in enumerate(SOURCE) if "# the growth" in line)

#: What the program may hold beside what it tells: the list of all lists, a line, what else happens within a step.
SLACK_BYTES = 64 << 10


@dataclass(frozen=True)
class Line:
    """What the program told: at `time_ns` it held so many bytes in blocks of its own."""

    time_ns: int
    held_bytes: int
    done: str


@dataclass(frozen=True)
class Killed:
    """A program that was killed, what it had told, and what its capture says."""

    killed_ns: int
    told: list[Line]
    stats: dict[str, Any]
    document: dict[str, Any]

    @property
    def start_ns(self) -> int:
        """When tracing began."""
        return int(self.document["header"]["start_unix_ns"])

    @property
    def totals_gap_ns(self) -> int:
        """How much of its life the totals miss."""
        return self.killed_ns - self.start_ns - int(self.document["missing"]["totals_until_ns"])

    @property
    def paths_gap_ns(self) -> int:
        """How much of its life the single call paths miss."""
        return self.killed_ns - self.start_ns - int(self.document["missing"]["paths_until_ns"])

    def held_around(self, elapsed_ns: int) -> tuple[int, int]:
        """Return what the program held at a moment: no less and no more."""
        moment = self.start_ns + elapsed_ns
        before = [line.held_bytes for line in self.told if line.time_ns <= moment]
        after = [line.held_bytes for line in self.told if line.time_ns > moment]
        step = 1 << 20
        return max(before, default=0), min(after, default=max(before, default=0) + step)

    def check(self, slack_bytes: int = SLACK_BYTES) -> None:
        """Assert that totals and call paths agree with what the program told.

        `slack_bytes` is what the program may hold beside what it tells.
        """
        missing = self.document["missing"]
        assert missing["paths_until_ns"] <= missing["totals_until_ns"]
        times = [point["elapsed_ns"] for point in self.document["timeline"]]
        assert times == sorted(times)
        if not times:
            return
        assert times[-1] == missing["totals_until_ns"]
        assert missing["longest_tick_ns"] == max(now - before for before, now in zip([0, *times], times))
        imported = self.start_ns_of_growth()
        # What is traced beside the blocks is the same at every tick once all is imported: so each tick's total minus
        # what was held then leaves a range that must have something in common with those of the others.
        low, high = 0, 1 << 62
        for point in self.document["timeline"]:
            if imported is not None and self.start_ns + point["elapsed_ns"] > imported:
                least, most = self.held_around(point["elapsed_ns"])
                low = max(low, point["live_bytes"] - most - slack_bytes)
                high = min(high, point["live_bytes"] - least + slack_bytes)
        assert low <= high
        grown = int(self.stats["metrics"]["live"]["bytes"])
        assert grown + SLACK_BYTES >= self.held_around(missing["paths_until_ns"])[0]
        assert grown - SLACK_BYTES - grown // 50 <= self.held_around(missing["totals_until_ns"])[1]

    def start_ns_of_growth(self) -> int | None:
        """Return when all was imported, if it was."""
        steps = [index for index, line in enumerate(self.told) if line.done == "step"]
        return self.told[steps[0] - 1].time_ns if steps else None


class EndedBeforeError(AssertionError):
    """The program, or its recording, ended before it was to be killed, after so many seconds."""


def kill_after(lines: int, delay: float, capture: Path, *arguments: str, python: str = sys.executable) -> Killed:
    """Run the program, and kill it when it has told so many lines and `delay` seconds have passed since."""
    command = [python, "-m", "heapsight", "run", "-q", "--force", "-o", str(capture), str(PROGRAM), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=clean_environment()) as program:
        assert program.stdout is not None
        told = [program.stdout.readline() for _ in range(lines)]
        if delay:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.wait(delay)
        killed_ns = time.time_ns()
        program.kill()
        told += program.stdout.read().splitlines(keepends=True)
        if program.wait(TIMEOUT_SECONDS) != -9:
            raise EndedBeforeError(delay)
    parts = [line.decode().split() for line in told if line.endswith(b"\n")]
    growth = f"*{PROGRAM.name}:{GROWTH_LINE}"
    stats = heapsight("stats", "--json", "-i", growth, capture)
    document = json.loads(heapsight("export", "--to", "json", "-o", "-", capture).text)
    if document["missing"] is None:
        # What was left to do was to give back all that the program had.
        raise EndedBeforeError(delay)
    return Killed(
        killed_ns,
        [Line(int(moment), int(size), done) for moment, size, done in parts],
        json.loads(stats.text),
        document,
    )

"""The tools that are compared: how each one is switched on, and how to tell that it did trace.

Each tool is used the way its documentation tells a user to. One class per tool; one instance per
line of the table. To add a tool, add a class here and an instance to ``TOOLS``.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Evidence = Mapping[str, Any]


@dataclass(frozen=True)
class Tool:
    """A way to run a Python program.

    ``name`` is what ``--tools`` takes, ``label`` what the table shows. ``default`` tools run unless
    others are asked for.
    """

    name: str
    label: str
    default: bool = True

    def command(self, python: Path, capture: Path) -> list[str]:
        """What comes before the script and its arguments. ``capture`` is where a tool may write a file."""
        return [str(python)]

    @property
    def distribution(self) -> str | None:
        """The package that must be installed, or None."""
        return None

    def objection(self, evidence: Evidence, capture: Path) -> str:
        """Why a sample of this tool must not be believed; empty if it can be.

        ``evidence`` is what the measured process says of the tracers in it (see programs/worker.py).
        """
        raise NotImplementedError

    def verify_capture(self, python: Path, capture: Path) -> str:
        """A closer look at the file a tool wrote, too slow for every sample; empty if it is good."""
        return ""


def _strangers(evidence: Evidence, allowed: str) -> str:
    found = [name for name in ("tracemalloc", "heapsight", "memray") if evidence.get(name)]
    others = [name for name in found if name != allowed]
    return f"{', '.join(others)} was on as well" if others else ""


def _file_objection(capture: Path, smallest_bytes: int) -> str:
    if not capture.exists():
        return "no capture file was written"
    size_bytes = capture.stat().st_size
    return f"the capture file has only {size_bytes} bytes" if size_bytes < smallest_bytes else ""


@dataclass(frozen=True)
class Untraced(Tool):
    """The interpreter alone."""

    def objection(self, evidence: Evidence, capture: Path) -> str:
        """Nothing may be on."""
        return _strangers(evidence, "")


@dataclass(frozen=True)
class Tracemalloc(Tool):
    """The standard library's tracer, on from interpreter start-up."""

    frames: int = 1

    def command(self, python: Path, capture: Path) -> list[str]:
        """``-X tracemalloc=N``."""
        return [str(python), "-X", f"tracemalloc={self.frames}"]

    def objection(self, evidence: Evidence, capture: Path) -> str:
        """It must be on with the right limit and have seen blocks."""
        found = evidence.get("tracemalloc")
        if not found:
            return "tracemalloc was not tracing"
        if found["limit"] != self.frames:
            return f"tracemalloc kept {found['limit']} frames, not {self.frames}"
        if found["peak_bytes"] <= 0:
            return "tracemalloc saw no block"
        return _strangers(evidence, "tracemalloc")


@dataclass(frozen=True)
class Memray(Tool):
    """memray's command line, with its defaults."""

    options: tuple[str, ...] = ()

    @property
    def distribution(self) -> str:
        """memray."""
        return "memray"

    def command(self, python: Path, capture: Path) -> list[str]:
        """``python -m memray run``."""
        return [str(python), "-m", "memray", "run", "-q", "-f", *self.options, "-o", str(capture)]

    def objection(self, evidence: Evidence, capture: Path) -> str:
        """It must be loaded and have written a file."""
        if not evidence.get("memray"):
            return "memray was not loaded"
        return _strangers(evidence, "memray") or _file_objection(capture, smallest_bytes=1000)

    def verify_capture(self, python: Path, capture: Path) -> str:
        """Ask memray how many allocations the file holds."""
        code = "import memray, sys; print(memray.FileReader(sys.argv[1]).metadata.total_allocations)"
        result = subprocess.run([python, "-c", code, capture], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            return f"memray cannot read its file: {result.stderr.strip().splitlines()[-1]}"
        return "" if int(result.stdout) > 0 else "memray's file holds no allocation"


def _heapsight_objection(evidence: Evidence) -> str:
    found = evidence.get("heapsight")
    if not found:
        return "heapsight was not tracing"
    if found["peak_bytes"] <= 0:
        return "heapsight saw no block"
    return _strangers(evidence, "heapsight")


@dataclass(frozen=True)
class Heapsight(Tool):
    """heapsight's command line: it writes a capture file and its recorder thread runs.

    ``says`` is what a report on the file must say of how it was recorded.
    """

    options: tuple[str, ...] = ()
    says: str = ""

    @property
    def distribution(self) -> str:
        """heapsight."""
        return "heapsight"

    def command(self, python: Path, capture: Path) -> list[str]:
        """``python -m heapsight run``."""
        return [str(python), "-m", "heapsight", "run", "--force", "-o", str(capture), *self.options]

    def objection(self, evidence: Evidence, capture: Path) -> str:
        """It must be on, have seen blocks and written a file."""
        return _heapsight_objection(evidence) or _file_objection(capture, smallest_bytes=100)

    def verify_capture(self, python: Path, capture: Path) -> str:
        """Ask heapsight to show the file: it must hold blocks, recorded the way that was asked for."""
        command = [str(python), "-m", "heapsight", "top", "-n", "1", str(capture)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            return f"heapsight cannot read its file: {(result.stderr.strip().splitlines() or ['?'])[-1]}"
        report = " ".join(result.stdout.split())
        if not re.search(r"\b[1-9][\d,]* blocks allocated", report):
            return "heapsight's file shows no allocated block"
        return "" if self.says in report else f"heapsight's file was not recorded {self.says!r}"


@dataclass(frozen=True)
class HeapsightSwitch(Tool):
    """heapsight switched on for the process, without a file: what ``-X tracemalloc`` is to tracemalloc."""

    limit: int = 1

    @property
    def distribution(self) -> str:
        """heapsight."""
        return "heapsight"

    def command(self, python: Path, capture: Path) -> list[str]:
        """``-X heapsight=N``."""
        return [str(python), "-X", f"heapsight={self.limit}"]

    def objection(self, evidence: Evidence, capture: Path) -> str:
        """It must be on with the right limit and have seen blocks."""
        found = evidence.get("heapsight")
        if found and found["limit"] != self.limit:
            return f"heapsight kept {found['limit']} frames, not {self.limit}"
        return _heapsight_objection(evidence)


UNTRACED = Untraced("untraced", "untraced")

TOOLS: tuple[Tool, ...] = (
    UNTRACED,
    # The same again, as if it were a tool: how far it is from 1.00 is the noise of the run.
    Untraced("control", "untraced again (noise)"),
    Heapsight(
        "heapsight",
        "heapsight, full call paths",
        options=("--frames", "all"),
        says="exact for Python's allocators with full call paths",
    ),
    Heapsight(
        "heapsight-1",
        "heapsight, 1 frame",
        options=("--frames", "1"),
        says="exact for Python's allocators with 1 frame",
    ),
    Heapsight(
        "heapsight-sample", "heapsight, sampled", options=("--sample",), says="a sample of Python's allocators every"
    ),
    Heapsight(
        "heapsight-native",
        "heapsight, native memory too",
        options=("--frames", "all", "--native"),
        says="exact for Python's allocators and native memory with full call paths",
        default=False,
    ),
    Heapsight(
        "heapsight-native-sample",
        "heapsight, native memory too, sampled",
        options=("--sample", "--native"),
        says="a sample of Python's allocators and native memory every",
        default=False,
    ),
    HeapsightSwitch("heapsight-x1", "heapsight, 1 frame, no file", limit=1, default=False),
    Tracemalloc("tracemalloc-1", "tracemalloc, 1 frame", frames=1),
    Tracemalloc("tracemalloc-25", "tracemalloc, 25 frames", frames=25),
    Memray("memray", "memray"),
    Memray("memray-native", "memray, native stacks", options=("--native",), default=False),
    Memray("memray-python", "memray, Python allocators", options=("--trace-python-allocators",)),
    Memray(
        "memray-aggregate",
        "memray, Python allocators, aggregated",
        options=("--trace-python-allocators", "--aggregate"),
        default=False,
    ),
)


def select(wanted: list[str]) -> list[Tool]:
    """The tools named, or the default ones. The untraced interpreter is always first: it is the yardstick."""
    chosen = [tool for tool in TOOLS if (tool.name in wanted if wanted else tool.default)]
    return [UNTRACED, *(tool for tool in chosen if tool is not UNTRACED)]

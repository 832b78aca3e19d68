"""Runs a program twice, plain and under `heapsight run`, so that a test can compare what it did."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAMS = ROOT / "tests" / "programs"

#: No program here needs more; a deadlock must fail its test, not hang it.
TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Outcome:
    """What a process did, as far as its parent can tell."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def errors(self) -> str:
        """Standard error as text."""
        return self.stderr.decode("utf-8", "backslashreplace")

    @property
    def text(self) -> str:
        """Standard output as text."""
        return self.stdout.decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class Start:
    """How to start a program: everything that both runs share."""

    arguments: Sequence[str | Path]
    flags: Sequence[str] = ()
    stdin: bytes = b""
    cwd: Path | None = None
    environment: dict[str, str] | None = None

    def plain(self) -> Outcome:
        """Run it with nothing but Python."""
        return self._run([sys.executable, *self.flags, *map(str, self.arguments)])

    def traced(self, capture: Path, *options: str) -> Outcome:
        """Run it under `heapsight run`."""
        command = [sys.executable, *self.flags, "-m", "heapsight", "run", "-o", str(capture), *options]
        return self._run([*command, *map(str, self.arguments)])

    def in_shell(self, capture: Path | None, redirection: str) -> Outcome:
        """Run it from a shell, which can close its streams: plain, or traced when there is a capture."""
        tracing = [] if capture is None else ["-m", "heapsight", "run", "-o", str(capture)]
        words = shlex.join([sys.executable, *self.flags, *tracing, *map(str, self.arguments)])
        return self._run(["sh", "-c", f"{words} {redirection}"])

    def _run(self, command: list[str]) -> Outcome:
        done = subprocess.run(
            command,
            input=self.stdin,
            capture_output=True,
            cwd=self.cwd,
            env={**clean_environment(), **(self.environment or {})},
            timeout=TIMEOUT_SECONDS,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without what would change how a Python behaves.

    Whatever is traced is audited when it ends: what does not add up is a line on standard error.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "HEAPSIGHT", "PYTEST"))}
    return {**kept, "HEAPSIGHT_AUDIT": "1"}


def heapsight(*arguments: str | Path, cwd: Path | None = None, environment: dict[str, str] | None = None) -> Outcome:
    """Run the command line."""
    return Start(["-m", "heapsight", *arguments], cwd=cwd, environment=environment).plain()


def program(name: str, *arguments: str | Path, **others: Any) -> Start:
    """Start one of the programs in tests/programs."""
    return Start([PROGRAMS / name, *arguments], **others)

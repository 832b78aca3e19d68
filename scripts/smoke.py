"""Use the installed wheel for a moment: tracing by API, `heapsight run`, `heapsight top`. Prints one line, or fails."""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import heapsight

PROGRAM = "held = [bytes(1000) for _ in range(5000)]; print(len(held))"


def trace_by_api() -> None:
    """See that a held block is counted."""
    heapsight.enable()
    before = heapsight.get_traced_memory()
    held = bytes(1_000_000)
    gained = heapsight.get_traced_memory() - before
    heapsight.disable()
    if not 1_000_000 <= gained < 1_010_000:
        sys.exit(f"{len(held)} bytes were held, {gained} were traced")


def trace_by_command_line(directory: Path) -> None:
    """See that a recorded program runs as it does alone, and that its capture can be read."""
    capture = directory / "smoke.heapsight"
    run = _heapsight("run", "-o", str(capture), "-c", PROGRAM)
    if run.stdout != "5000\n":
        sys.exit(f"heapsight run: the program printed {run.stdout!r}\n{run.stderr}")
    top = _heapsight("top", str(capture))
    if "<string>:1" not in top.stdout:
        sys.exit(f"heapsight top: the program's only line is not named\n{top.stdout}{top.stderr}")


def _heapsight(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "heapsight", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60)
    if done.returncode != 0:
        sys.exit(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stderr}")
    return done


def main() -> None:
    """Try everything once."""
    trace_by_api()
    with tempfile.TemporaryDirectory() as directory:
        trace_by_command_line(Path(directory))
    print(f"heapsight {heapsight.__version__} works on {platform.python_version()}")


if __name__ == "__main__":
    main()

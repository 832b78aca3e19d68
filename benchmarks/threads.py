"""Thread scaling: what two threads that allocate at once lose to the tracer."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from benchmarks.machine import usable_cores
from benchmarks.session import PROGRAMS, Session
from benchmarks.tools import Tool

PROGRAM = PROGRAMS / "thread_scaling.py"
SOURCE = PROGRAMS / "raw_blocks.c"
THREADS = (1, 2)

PROBE_UNITS = {"objects": 20_000, "raw": 200_000, "hash": 200}
"""How much work a thread does in the short run that finds out how long a unit takes, per mode."""


def compile_library(folder: Path) -> str:
    """The path of the compiled C loop, or an empty string where there is no compiler."""
    library = folder / "raw_blocks.so"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    command = [*compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return str(library)


def measure(session: Session) -> None:
    """Run every mode with one thread and with two, under every tool, interleaved."""
    if usable_cores() < max(THREADS):
        session.say("threads: left out, one core cannot run two threads at once")
        return
    library = compile_library(session.scratch)
    if not library:
        session.say("threads: mode raw left out, no C compiler (set CC)")
    # A loss of 5 % is looked for and each sample is short: more rounds than elsewhere.
    rounds = session.rounds if session.quick else 2 * session.rounds
    for mode in PROBE_UNITS:
        if mode == "raw" and not library:
            continue
        units = {tool.name: _units_for(session, tool, mode, library) for tool in session.tools}
        for number in range(rounds):
            for tool in session.shuffled(session.tools):
                for threads in session.shuffled(THREADS) if units[tool.name] else []:
                    _run(session, tool, mode, threads, units[tool.name], library, number)
            session.say(f"threads: {mode}: round {number + 1}/{rounds}")


def _units_for(session: Session, tool: Tool, mode: str, library: str) -> int:
    """How much work makes one thread busy for the target time; 0 if the tool cannot do it.

    Each tool gets its own amount: scaling compares a tool with itself, and only then with untraced.
    """
    probe = PROBE_UNITS[mode]
    values = _run(session, tool, mode, 1, probe, library, number=-1)
    return int(probe * session.target_seconds / values["seconds"]) + 1 if values else 0


def _run(
    session: Session, tool: Tool, mode: str, threads: int, units: int, library: str, number: int
) -> dict[str, float]:
    """One process; its values, or nothing if it failed. Kept, unless ``number`` says that it was a probe."""
    arguments = [mode, str(threads), str(units), library]
    finished, answer = session.run_program(tool, PROGRAM, arguments, hash_seed=max(number, 0))
    problem = session.problem(tool, finished, answer)
    case = f"{mode}/{threads}"
    if problem:
        session.say(f"  failed: {case} under {tool.name}: {problem}")
    values: dict[str, float] = {} if problem else answer["values"]
    if number >= 0 or problem:
        session.add("threads", case, tool.name, number, values, problem)
    return values

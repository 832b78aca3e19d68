"""Reading: how long one waits for answers about ten minutes of a busy program, and what that takes of memory."""

from __future__ import annotations

from pathlib import Path

from benchmarks.process import clean_environment, run_measured
from benchmarks.session import PROGRAMS, Session
from benchmarks.tools import Heapsight

PROGRAM = PROGRAMS / "busy.py"
CASE = "ten minutes"
SECONDS, TICK_MS = 600, 100
QUICK_CASE = "6000 ticks in one minute"
QUICK_SECONDS, QUICK_TICK_MS = 60, 10

ANSWERS: dict[str, tuple[str, ...]] = {
    "top": ("top",),
    "top, at the peak": ("top", "--at", "peak"),
    "diff": ("diff", "--range", "start..peak"),
    "flame graph, collapsed": ("export", "--to", "collapsed", "-o", "-"),
    "flame graph, speedscope": ("export", "--to", "speedscope", "-o", "-"),
}
"""What is asked → the command, without the file."""


def measure(session: Session) -> None:
    """Record the program once, then ask everything, three times over."""
    if not any(tool.distribution == "heapsight" for tool in session.tools):
        return
    case, seconds, tick_ms = (QUICK_CASE, QUICK_SECONDS, QUICK_TICK_MS) if session.quick else (CASE, SECONDS, TICK_MS)
    tool = Heapsight("heapsight", "heapsight, full call paths", options=("--frames", "all", "--tick", str(tick_ms)))
    session.say(f"reading: recording {case}")
    longest = max(session.timeout_seconds, seconds + 120)
    finished, answer = session.run_program(tool, PROGRAM, [str(seconds)], hash_seed=1, timeout_seconds=longest)
    problem = session.problem(tool, finished, answer)
    if problem:
        session.add("reading", case, "record", -1, {}, problem)
        return
    for number in range(3):
        for name in session.shuffled(ANSWERS):
            _ask(session, case, name, number, session.capture)


def _ask(session: Session, case: str, name: str, number: int, capture: Path) -> None:
    command = [str(session.environment.python), "-m", "heapsight", *ANSWERS[name], str(capture)]
    finished = run_measured(
        command, environment=clean_environment(0), directory=session.scratch, timeout_seconds=session.timeout_seconds
    )
    problem = finished.problem
    if not problem and not finished.output_tail.strip():
        problem = "it showed nothing"
    values = {
        "seconds": finished.wall_seconds,
        "peak_rss_bytes": finished.peak_rss_bytes,
        "capture_bytes": session.capture_bytes(),
    }
    session.add("reading", case, name, number, {} if problem else values, problem)
    session.say(f"reading: {name}: {problem or f'{finished.wall_seconds:.3f} s'}")

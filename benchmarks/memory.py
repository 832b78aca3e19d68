"""Memory by call paths: programs that make very many of them, and how much larger they are when traced."""

from __future__ import annotations

from benchmarks.session import PROGRAMS, Session
from benchmarks.tools import Heapsight, HeapsightSwitch, Tool, Tracemalloc, Untraced

PROGRAM = PROGRAMS / "call_paths.py"

CASES = {
    "trees": "iterators over fresh search trees",
    "recursion": "random recursion, few bytes live",
    "files": "code under ever-new file names",
    "imports": "thirty modules of the standard library",
    "live": "131 072 paths, each with a live block",
}
"""Case of the program → what it does."""

TOOLS: tuple[Tool, ...] = (
    Untraced("untraced", "untraced"),
    HeapsightSwitch("heapsight-x", "heapsight, switched on", limit=65_535),
    Heapsight("heapsight", "heapsight, full call paths", options=("--frames", "all")),
    Tracemalloc("tracemalloc-25", "tracemalloc, 25 frames", frames=25),
)


def measure(session: Session) -> None:
    """Run every case under every tool. Memory hardly differs between rounds: three are enough."""
    for case in CASES:
        for number in range(min(session.rounds, 3)):
            for tool in session.shuffled(TOOLS):
                finished, answer = session.run_program(tool, PROGRAM, [case], hash_seed=1)
                problem = session.problem(tool, finished, answer)
                values = {} if problem else dict(answer["values"], peak_rss_bytes=finished.peak_rss_bytes)
                session.add("memory", case, tool.name, number, values, problem)
                session.say(f"memory {case}: {tool.name}: {problem or _summary(values)}")


def _summary(values: dict[str, float]) -> str:
    return f"{values['peak_rss_bytes'] / 1e6:.1f} MB at most, own {values['own_bytes'] / 1e6:.1f} MB"

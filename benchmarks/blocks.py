"""Block scaling: what tracing costs, and how long questions take, as live blocks grow in number."""

from __future__ import annotations

from statistics import median

from benchmarks.session import PROGRAMS, Session
from benchmarks.tools import Heapsight, HeapsightSwitch, Tool, Tracemalloc, Untraced

PROGRAM = PROGRAMS / "block_scaling.py"
COUNTS = (100_000, 1_000_000, 2_000_000, 3_500_000, 10_000_000)
QUICK_COUNTS = (100_000, 1_000_000)

TOOLS: tuple[Tool, ...] = (
    Untraced("untraced", "untraced"),
    HeapsightSwitch("heapsight-x1", "heapsight, 1 frame", limit=1),
    Heapsight("heapsight", "heapsight, full call paths", options=("--frames", "all")),
    Tracemalloc("tracemalloc-1", "tracemalloc, 1 frame", frames=1),
)


QUESTIONS = {
    "snapshot": "snapshot_seconds",
    "with blocks": "snapshot_with_traces_seconds",
    "as a dictionary": "get_traces_seconds",
    "statistics": "statistics_seconds",
    "compare": "compare_seconds",
    "slowest top list": "top_seconds",
    "filter": "filter_seconds",
    "write": "write_seconds",
    "load": "load_seconds",
}
"""Column → the value that the program measured."""


def tracer_of(tool: Tool) -> str:
    """Which interface the program has to use under a tool."""
    if tool.distribution == "heapsight":
        return "heapsight"
    return "tracemalloc" if isinstance(tool, Tracemalloc) else "none"


def measure(session: Session) -> None:
    """Run every count under every tool; three rounds, but one for a count above two million."""
    kinds = {tracer_of(tool) for tool in session.tools}
    tools = [tool for tool in TOOLS if tracer_of(tool) in kinds]
    for blocks in QUICK_COUNTS if session.quick else COUNTS:
        rounds = min(session.rounds, 3 if blocks <= 2_000_000 else 1)
        for number in range(rounds):
            for tool in session.shuffled(tools):
                _time(session, tool, blocks, number)


def _time(session: Session, tool: Tool, blocks: int, number: int) -> None:
    arguments = [tracer_of(tool), str(blocks)]
    finished, answer = session.run_program(tool, PROGRAM, arguments, hash_seed=number + 1)
    problem = session.problem(tool, finished, answer)
    values = {} if problem else dict(answer["values"], process_cpu_seconds=finished.cpu_seconds)
    session.add("blocks", str(blocks), tool.name, number, values, problem)
    session.say(f"blocks {blocks}: {tool.name}: {problem or _summary(values)}")


def _summary(values: dict[str, float]) -> str:
    nanoseconds = values["build_seconds"] / values["blocks"] * 1e9
    asked = f", statistics {values['statistics_seconds']:.4g} s" if "statistics_seconds" in values else ""
    return f"{nanoseconds:.0f} ns per allocation{asked}"


def bytes_per_block(traced: list[dict[str, float]], untraced: list[dict[str, float]]) -> float:
    """The tracer's own memory per block, as the operating system sees it.

    How much more the traced process grew than the untraced one while it made the same blocks.
    """
    growth = median(values["rss_growth_bytes"] for values in traced)
    plain = median(values["rss_growth_bytes"] for values in untraced)
    return (growth - plain) / traced[0]["blocks"]

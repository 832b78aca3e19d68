"""The drop-in beside `tracemalloc`: the same program, the same questions, with either of the two."""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.records import Sample
from benchmarks.session import PROGRAMS, Session
from benchmarks.summary import medians
from benchmarks.tools import Evidence, Tool

PROGRAM = PROGRAMS / "dropin.py"
BLOCKS = 3_500_000
QUICK_BLOCKS = 350_000


@dataclass(frozen=True)
class Module(Tool):
    """One of the two modules; the program switches it on itself."""

    module: str = "tracemalloc"

    def objection(self, evidence: Evidence, capture: object) -> str:
        """The program has checked its answers, and has switched everything off again."""
        return "a tracer was still on" if evidence.get("tracemalloc") or evidence.get("heapsight") else ""


TRACEMALLOC = Module("tracemalloc", "tracemalloc")
DROP_IN = Module("heapsight-dropin", "heapsight.tracemalloc", module="heapsight.tracemalloc")

STEPS = {
    "take_snapshot_seconds": "take_snapshot()",
    "statistics_seconds": "statistics('lineno')",
    "statistics_traceback_seconds": "statistics('traceback')",
    "statistics_cumulative_seconds": "statistics('filename', True)",
    "compare_seconds": "compare_to(…, 'lineno')",
    "dump_seconds": "dump()",
    "load_seconds": "Snapshot.load()",
    "snapshot_bytes": "memory of a snapshot",
    "dump_bytes": "size of the file",
    "build_seconds": "the traced program",
}


def measure(session: Session) -> None:
    """Ask both in turn, three rounds."""
    if not any(tool.distribution == "heapsight" for tool in session.tools):
        return
    blocks = QUICK_BLOCKS if session.quick else BLOCKS
    for number in range(min(session.rounds, 3)):
        for tool in session.shuffled((TRACEMALLOC, DROP_IN)):
            arguments = [tool.module, str(blocks)]
            finished, answer = session.run_program(tool, PROGRAM, arguments, hash_seed=number + 1)
            problem = session.problem(tool, finished, answer)
            values = {} if problem else dict(answer["values"])
            session.add("dropin", str(blocks), tool.name, number, values, problem)
            said = (
                problem
                or f"snapshot {values['take_snapshot_seconds']:.4g} s, statistics {values['statistics_seconds']:.4g} s"
            )
            session.say(f"dropin {blocks}: {tool.name}: {said}")


def figures(samples: list[Sample], step: str) -> tuple[float, float]:
    """The medians of `tracemalloc` and of the drop-in; not a number where nothing was measured."""
    found = medians(samples, "dropin", step)
    first, second = (
        next(iter(found.get(tool.name, {}).values()), math.nan) if found else math.nan
        for tool in (TRACEMALLOC, DROP_IN)
    )
    return first, second


def share_percent(samples: list[Sample], step: str) -> float:
    """What the drop-in needs, of what `tracemalloc` needs."""
    theirs, ours = figures(samples, step)
    return ours / theirs * 100

"""Time the workloads under every tool, interleaved, after checking each combination once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.session import PROGRAMS, Session
from benchmarks.tools import UNTRACED, Tool
from benchmarks.workloads import Workload

WORKER = PROGRAMS / "worker.py"
MAX_LOOPS = 10_000_000
LONG_LOOP_SECONDS = 0.5


@dataclass
class Plan:
    """How one workload is run: found out once, before anything is timed.

    ``loops`` and ``rounds`` are per tool. A tool that is 50 times slower gets fewer of both; what is
    compared is the time per loop.
    """

    workload: Workload
    script: Path
    warmups: int
    digests: list[Any]
    loops: dict[str, int] = field(default_factory=dict)
    rounds: dict[str, int] = field(default_factory=dict)


def next_loops(loops: int, timed_seconds: float, target_seconds: float) -> int:
    """How often to loop so that a sample takes ``target_seconds``; at most 100 times more than before.

    The limit keeps a first loop that was lucky, or too short for the clock, from asking for hours.
    """
    wanted = loops * target_seconds / max(timed_seconds, 1e-9)
    return int(max(1, min(wanted, loops * 100, MAX_LOOPS)))


def warmups_for(loops: int, loop_seconds: float) -> int:
    """How many loops are run before those that are timed: a tenth, at least one.

    The interpreter needs some tens of them to specialise a function, and until then allocates what
    it does not afterwards. The number is the same for every tool, so that a slow tool, which gets
    fewer timed loops, is not timed colder. A long loop is warm after its own first tenth.
    """
    return 0 if loop_seconds > LONG_LOOP_SECONDS else max(1, loops // 10)


def rounds_for(sample_seconds: float, rounds: int) -> int:
    """How many rounds a combination takes part in. What is slow is measured less often."""
    if sample_seconds > 30:
        return 1
    if sample_seconds > 8:
        return min(rounds, 3)
    return rounds


def measure(session: Session, kind: str, workloads: list[Workload]) -> None:
    """Check, plan and time ``workloads``; samples are kept under ``kind``."""
    pyperformance = session.environment.pyperformance
    plans = []
    for number, workload in enumerate(workloads, start=1):
        session.say(f"check {number}/{len(workloads)}: {workload.name}")
        plan = _plan(session, kind, workload, pyperformance)
        if plan is not None:
            plans.append(plan)
    for number in range(session.rounds):
        for plan in plans:
            tools = [tool for tool in session.tools if number < plan.rounds.get(tool.name, 0)]
            line = []
            for tool in session.shuffled(tools):
                seconds = _time(session, kind, plan, tool, number)
                line.append(f"{tool.name} {seconds:.4g}")
            session.say(f"round {number + 1}/{session.rounds}: {plan.workload.name}: {', '.join(line)} s per loop")


def _arguments(plan: Plan, loops: int) -> list[str]:
    workload = plan.workload
    return [str(loops), str(plan.warmups), workload.task, str(plan.script), *workload.arguments]


def _plan(session: Session, kind: str, workload: Workload, pyperformance: Path) -> Plan | None:
    """Find the loops of a workload and check it under every tool; None if it does not run at all."""
    plan = Plan(workload, workload.path(pyperformance), warmups=1, digests=[])
    loops = 1
    while True:
        finished, answer = session.run_program(UNTRACED, WORKER, _arguments(plan, loops), hash_seed=0)
        problem = session.problem(UNTRACED, finished, answer)
        if problem:
            session.say(f"  left out: {workload.name} does not run untraced: {problem}")
            session.add(kind, workload.name, UNTRACED.name, -1, {}, problem)
            return None
        timed_seconds = answer["timed_wall_seconds"]
        if timed_seconds >= session.target_seconds / 2 or loops >= MAX_LOOPS:
            break
        loops = next_loops(loops, timed_seconds, session.target_seconds)
    plan.digests = answer["digests"]
    loops = next_loops(loops, timed_seconds, session.target_seconds)
    plan.warmups = warmups_for(loops, timed_seconds / answer["loops"])
    for tool in session.tools:
        _check(session, kind, plan, tool, loops)
    return plan


def _check(session: Session, kind: str, plan: Plan, tool: Tool, loops: int) -> None:
    """Run a tenth of the loops, look closely at what came out, and decide how much to run later."""
    name = plan.workload.name
    few = max(1, loops // 10)
    finished, answer = session.run_program(tool, WORKER, _arguments(plan, few), hash_seed=0)
    problem = session.problem(tool, finished, answer)
    if not problem and plan.warmups and answer["digests"] != plan.digests:
        problem = "the workload's result differs from the untraced one"
    if not problem:
        problem = tool.verify_capture(session.environment.python, session.capture)
    if problem:
        session.say(f"  failed: {name} under {tool.name}: {problem}")
        session.add(kind, name, tool.name, -1, {}, problem)
        return
    per_loop_seconds = answer["timed_wall_seconds"] / few
    plan.loops[tool.name] = int(max(1, min(loops, session.budget_seconds / max(per_loop_seconds, 1e-9))))
    sample_seconds = per_loop_seconds * (plan.loops[tool.name] + plan.warmups)
    plan.rounds[tool.name] = rounds_for(sample_seconds, session.rounds)


def _time(session: Session, kind: str, plan: Plan, tool: Tool, number: int) -> float:
    """One timed process; returns its seconds per loop, or NaN."""
    name = plan.workload.name
    # All tools of a round share a hash seed; rounds differ, as processes do in real life.
    arguments = _arguments(plan, plan.loops[tool.name])
    finished, answer = session.run_program(tool, WORKER, arguments, hash_seed=number + 1)
    problem = session.problem(tool, finished, answer)
    if problem:
        session.say(f"  failed: {name} under {tool.name}: {problem}")
        session.add(kind, name, tool.name, number, {}, problem)
        return float("nan")
    tracers = [found for found in answer["evidence"].values() if isinstance(found, dict)]
    values = {
        "seconds": answer["seconds"],
        "cpu_seconds": answer["cpu_seconds"],
        "loops": answer["loops"],
        "timed_wall_seconds": answer["timed_wall_seconds"],
        "peak_rss_bytes": answer["peak_rss_bytes"],
        "capture_bytes": session.capture_bytes(),
        "process_wall_seconds": finished.wall_seconds,
        "process_cpu_seconds": finished.cpu_seconds,
    }
    for found in tracers:
        values["own_bytes"] = found["own_bytes"]
    session.add(kind, name, tool.name, number, values)
    return float(answer["seconds"])

"""Whole processes, from start to end: what a program costs that runs once and was tuned for by nobody.

Unlike in `overhead`, nothing is warmed up and nothing is left out: the figure is the CPU time of all threads of the
process, with the start of the interpreter and of the tool, and whatever the tool does at the end. Programs of the
section ``paths`` make call paths as they go; those of ``everyday`` do what scripts do; those of ``native`` have C code
do it, under tools that see what that takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.records import Sample
from benchmarks.session import PROGRAMS, Session
from benchmarks.summary import Table, medians
from benchmarks.tools import UNTRACED, Tool
from benchmarks.tools import select as select_tools

NEW_PATH = "new_path"
"""The program that tells what one path costs that was never seen before. It is not in any mean."""


@dataclass(frozen=True)
class Program:
    """A case of one of our programs; ``size`` makes it run for about a second untraced."""

    section: str
    case: str
    size: int

    @property
    def arguments(self) -> list[str]:
        """What comes after the result file."""
        return [self.case, str(self.size)]


SCRIPTS = {
    "paths": PROGRAMS / "new_paths.py",
    "everyday": PROGRAMS / "everyday.py",
    "native": PROGRAMS / "native.py",
}

#: Tools of a section, unless some are asked for.
TOOLS = {
    "native": [
        "untraced",
        "control",
        "heapsight",
        "heapsight-native",
        "heapsight-native-sample",
        "memray",
        "memray-native",
    ]
}

ALL = (
    Program("paths", "tree_generators", 300),
    Program("paths", "parser", 12_000),
    Program("paths", "visitors", 100),
    Program("paths", "json_encoder", 6000),
    Program("paths", "new_code", 20_000),
    Program("paths", "closures", 8000),
    Program("paths", "templates", 8000),
    Program("paths", "imports", 30),
    Program("paths", NEW_PATH, 20),
    Program("everyday", "json_round_trip", 1500),
    Program("everyday", "numeric", 50_000),
    Program("everyday", "words", 450),
    Program("everyday", "records", 500),
    Program("everyday", "events", 1_000_000),
    Program("everyday", "tasks", 50_000),
    Program("everyday", "log_lines", 400),
    Program("everyday", "sources", 600),
    Program("native", "numpy_temporaries", 40_000),
    Program("native", "lxml_parse", 300),
    Program("native", "pandas_groupby", 40),
    Program("native", "sqlite", 60),
)


def new_paths(size: int) -> int:
    """How many call paths `NEW_PATH` of that size makes, each of which gets one block."""
    return int((1 << size) - 1)


def names() -> list[str]:
    """Every program's name."""
    return [program.case for program in ALL]


def select(section: str, only: list[str]) -> list[Program]:
    """The programs of a section; ``only`` names some."""
    return [program for program in ALL if program.section == section and (not only or program.case in only)]


def without_new_path(table: Table) -> Table:
    """The programs that count in means."""
    return {tool: {case: figure for case, figure in cases.items() if case != NEW_PATH} for tool, cases in table.items()}


def nanoseconds_per_new_path(samples: list[Sample], tool: str) -> float:
    """What a path costs that was never seen before, with a block made and freed on it; NaN if it was not measured."""
    cpu_seconds = medians(samples, "paths", "cpu_seconds")
    paths = medians(samples, "paths", "new_paths").get(tool, {}).get(NEW_PATH, math.nan)
    own, plain = (cpu_seconds.get(name, {}).get(NEW_PATH, math.nan) for name in (tool, UNTRACED.name))
    return (own - plain) / paths * 1e9


def measure(session: Session, section: str, only: list[str]) -> None:
    """Run every program of a section under every tool, interleaved; results are compared with the untraced one's."""
    tools = _tools(session, section)
    for program in select(section, only):
        answers: dict[str, object] = {}
        failed: set[str] = set()
        for number in range(session.rounds):
            line = []
            # The yardstick first in the first round: others are compared with what it says.
            order = tools if number == 0 else session.shuffled(tools)
            for tool in order:
                if tool.name not in failed:
                    seconds = _run(session, program, tool, number, answers)
                    failed |= {tool.name} if seconds is None else set()
                    line.append(f"{tool.name} {'failed' if seconds is None else f'{seconds:.3f}'}")
            session.say(f"round {number + 1}/{session.rounds}: {section}: {program.case}: {', '.join(line)} s of CPU")
        if UNTRACED.name in failed:
            session.say(f"  left out: {program.case} does not run untraced")


def _tools(session: Session, section: str) -> list[Tool]:
    """Those of the section, unless others were asked for."""
    if section not in TOOLS or any(tool not in select_tools([]) for tool in session.tools):
        return session.tools
    return [tool for tool in select_tools(TOOLS[section]) if tool.distribution not in session.environment.missing]


def _run(session: Session, program: Program, tool: Tool, number: int, answers: dict[str, object]) -> float | None:
    """One process; its CPU seconds, or None if it failed."""
    script = SCRIPTS[program.section]
    finished, answer = session.run_program(tool, script, program.arguments, hash_seed=number + 1)
    problem = session.problem(tool, finished, answer)
    if not problem:
        expected = answers.setdefault(UNTRACED.name, answer["digests"])
        if answer["digests"] != expected:
            problem = "the program's result differs from the untraced one"
        elif number == 0:
            problem = tool.verify_capture(session.environment.python, session.capture)
    if problem:
        session.say(f"  failed: {program.case} under {tool.name}: {problem}")
        session.add(program.section, program.case, tool.name, number, {}, problem)
        return None
    values = {
        "seconds": finished.wall_seconds,
        "cpu_seconds": finished.cpu_seconds,
        "peak_rss_bytes": answer["peak_rss_bytes"],
        "capture_bytes": session.capture_bytes(),
    }
    if program.case == NEW_PATH:
        values["new_paths"] = new_paths(program.size)
    session.add(program.section, program.case, tool.name, number, values)
    return finished.cpu_seconds

"""What every benchmark of a run shares: the environment, the tools, where samples go."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.environment import BENCHMARKS, Environment
from benchmarks.process import Finished, clean_environment, run_measured
from benchmarks.records import Sample, Store
from benchmarks.tools import Tool

PROGRAMS = BENCHMARKS / "programs"

Thing = TypeVar("Thing")


@dataclass
class Session:
    """One run of the benchmarks."""

    environment: Environment
    tools: list[Tool]
    store: Store
    scratch: Path
    rounds: int
    quick: bool
    target_seconds: float
    budget_seconds: float
    timeout_seconds: float
    shuffle: random.Random

    def say(self, text: str) -> None:
        """One line of progress, on standard error."""
        print(text, file=sys.stderr, flush=True)

    def shuffled(self, things: Iterable[Thing]) -> list[Thing]:
        """In a new random order, so that nothing always runs after the same other thing."""
        order = list(things)
        self.shuffle.shuffle(order)
        return order

    @property
    def capture(self) -> Path:
        """Where a tool writes its file. Removed before each process."""
        return self.scratch / "capture"

    def run_program(
        self,
        tool: Tool,
        program: Path,
        arguments: Sequence[str],
        *,
        hash_seed: int,
        timeout_seconds: float | None = None,
    ) -> tuple[Finished, dict[str, Any]]:
        """Run a program of ours under a tool; it gets a result file as its first argument.

        Returns how the process ended and what it wrote; nothing if it failed or its result must not
        be believed, and then ``output_tail`` of the first tells why.
        """
        result = self.scratch / "result.json"
        result.unlink(missing_ok=True)
        self.capture.unlink(missing_ok=True)
        command = [
            *tool.command(self.environment.python, self.capture),
            str(program),
            str(result),
            *arguments,
        ]
        finished = run_measured(
            command,
            environment=clean_environment(hash_seed),
            directory=self.scratch,
            timeout_seconds=timeout_seconds or self.timeout_seconds,
        )
        if finished.problem or not result.exists():
            return finished, {}
        answer: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
        return finished, answer

    def problem(self, tool: Tool, finished: Finished, answer: dict[str, Any]) -> str:
        """Why a sample must not be counted; empty if it is good."""
        if finished.problem:
            return finished.problem
        if not answer:
            return "the program wrote no result"
        return tool.objection(answer.get("evidence", {}), self.capture)

    def capture_bytes(self) -> int:
        """The size of the file the last tool wrote, 0 if it wrote none."""
        return self.capture.stat().st_size if self.capture.exists() else 0

    def add(self, kind: str, case: str, tool: str, number: int, values: dict[str, float], problem: str = "") -> None:
        """Keep one sample."""
        self.store.add(Sample(kind, case, tool, number, values, problem))

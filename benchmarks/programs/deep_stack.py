"""Recursion 150 frames deep that allocates: the hard case for a tracer that keeps whole call paths.

Written in the style of a pyperformance script. Four cases, one per run:

loop       allocate in a loop at depth 150: every event has the same deep call path.
descent    allocate at every level on the way down and on the way up: the path changes with every event.
evaluator  a recursive evaluator over an expression nested 150 deep, two calls and a new float per level.
tree       build a balanced tree of depth 10 below 140 frames: the top of a deep stack moves all the time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Optional, Union

import pyperf  # type: ignore[import-not-found]  # only in the benchmark's environment

DEPTH = 150

Chain = Optional[tuple[list[float], Any]]


def at_depth(depth: int, work: Callable[[], Any]) -> Any:
    """Call ``work`` below ``depth`` frames."""
    if depth == 0:
        return work()
    return at_depth(depth - 1, work)


def allocate_in_a_loop() -> int:
    """Allocate blocks of a few kinds from one function."""
    kept: list[Any] = []
    for number in range(4000):
        kept.append((number, [number * 0.5]))
        if len(kept) > 100:
            kept.clear()
    return len(kept)


def loop() -> int:
    """Run the loop at the bottom of a deep stack."""
    return int(at_depth(DEPTH, allocate_in_a_loop))


def descend(depth: int) -> Chain:
    """Allocate before the recursive call and after it."""
    if depth == 0:
        return None
    node = [depth * 0.5]
    child = descend(depth - 1)
    return (node, child)


def descent() -> int:
    """Go down to the bottom and back up, often."""
    length = 0
    for _ in range(40):
        chain = descend(DEPTH)
        length = 0
        while chain is not None:
            length += 1
            chain = chain[1]
    return length


class Number:
    """A leaf of an expression."""

    def __init__(self, value: float) -> None:
        self.value = value

    def evaluate(self) -> float:
        """A new float."""
        return self.value + 0.25


class Sum:
    """The sum of two expressions."""

    def __init__(self, left: Expression, right: Expression) -> None:
        self.left = left
        self.right = right

    def evaluate(self) -> float:
        """Evaluate both sides."""
        return self.left.evaluate() + self.right.evaluate()


Expression = Union[Number, Sum]


def nested(depth: int) -> Expression:
    """An expression nested ``depth`` deep on its right side."""
    expression: Expression = Number(1.0)
    for level in range(depth):
        expression = Sum(Number(float(level)), expression)
    return expression


EXPRESSION = nested(DEPTH)


def evaluator() -> float:
    """Evaluate the nested expression, often."""
    total = 0.0
    for _ in range(40):
        total += EXPRESSION.evaluate()
    return total


def build(depth: int) -> list[Any]:
    """A balanced binary tree of lists."""
    if depth == 0:
        return []
    return [build(depth - 1), build(depth - 1)]


def tree() -> int:
    """Build trees at the bottom of a deep stack."""
    return len(at_depth(DEPTH - 10, lambda: build(10)))


CASES = {"loop": loop, "descent": descent, "evaluator": evaluator, "tree": tree}

if __name__ == "__main__":
    case = sys.argv.pop(1)
    pyperf.Runner().bench_func("deep_" + case, CASES[case])

"""Eight small programs that nobody tuned a tracer for: what scripts do all day.

    python everyday.py RESULT CASE SIZE

Each case runs once; the same data in every process.
"""

import ast
import asyncio
import heapq
import json
import random
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.programs.probe import memory_bytes, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import memory_bytes, write_result

chance = random.Random(14)  # noqa: S311  # the same data in every process, not a secret


def json_round_trip(size: int) -> int:
    """Nested data to JSON and back."""
    data = [
        {"id": number, "name": f"user {number}", "scores": [number * 0.5, number / 3, None], "tags": {"a": {"b": []}}}
        for number in range(200)
    ]
    characters = 0
    for _ in range(size):
        text = json.dumps(data)
        characters += len(text)
        data = json.loads(text)
    return characters


def numeric(size: int) -> float:
    """Loops over floats."""
    points = [(number * 0.1, number * 0.7) for number in range(100)]
    total = 0.0
    for step in range(size):
        x = y = 0.0
        for px, py in points:
            dx, dy = px - x, py - y
            distance = (dx * dx + dy * dy) ** 0.5
            x += dx / (distance + 1.5)
            y += dy / (distance + 1.5)
        total += x - y + step
    return total


def words(size: int) -> int:
    """Count the words of a text."""
    vocabulary = [f"word{number}" for number in range(2000)]
    text = " ".join(chance.choice(vocabulary) for _ in range(10_000))
    kinds = 0
    for _ in range(size):
        counts = Counter(word.strip(".,").upper() for word in text.split())
        kinds += len(counts) + len(" ".join(word for word, _ in counts.most_common(50)))
    return kinds


@dataclass(frozen=True)
class Order:
    """One row of a table."""

    customer: str
    amount: float
    day: int


def records(size: int) -> int:
    """Group, sort and change records."""
    orders = [Order(f"c{number % 97}", number * 0.25, number % 31) for number in range(1000)]
    groups = 0
    for _ in range(size):
        by_customer: defaultdict[str, list[Order]] = defaultdict(list)
        for order in orders:
            by_customer[order.customer].append(replace(order, amount=order.amount + 1))
        ranked = sorted(by_customer.items(), key=lambda item: (-sum(order.amount for order in item[1]), item[0]))
        groups += len(ranked)
    return groups


class Event:
    """Something that happens at a time."""

    def __init__(self, time: float, name: str) -> None:
        self.time = time
        self.name = name

    def __lt__(self, other: "Event") -> bool:
        """Whether it is earlier."""
        return self.time < other.time


def events(size: int) -> int:
    """A simulation with a queue of events."""
    queue = [Event(chance.random(), f"start {number}") for number in range(200)]
    heapq.heapify(queue)
    handled = 0
    for number in range(size):
        event = heapq.heappop(queue)
        handled += len(event.name)
        heapq.heappush(queue, Event(event.time + chance.random(), f"event {number}"))
    return handled


async def _produce(queue: "asyncio.Queue[Any]", size: int) -> None:
    for number in range(size):
        await queue.put({"number": number, "text": f"item {number}"})
    await queue.put(None)


async def _consume(queue: "asyncio.Queue[Any]") -> int:
    total = 0
    while (item := await queue.get()) is not None:
        total += len(item["text"])
        if item["number"] % 16 == 0:
            await asyncio.sleep(0)
    return total


async def _pipes(size: int) -> int:
    queues: list[asyncio.Queue[Any]] = [asyncio.Queue(8) for _ in range(10)]
    producers = [asyncio.ensure_future(_produce(queue, size)) for queue in queues]
    totals = await asyncio.gather(*(_consume(queue) for queue in queues))
    await asyncio.gather(*producers)
    return sum(totals)


def tasks(size: int) -> int:
    """Tasks that hand each other items."""
    return asyncio.run(_pipes(size))


LINE = re.compile(r'(?P<host>\S+) - \[(?P<time>[^\]]+)\] "(?P<verb>\w+) (?P<path>\S+)" (?P<status>\d+) (?P<bytes>\d+)')


def log_lines(size: int) -> int:
    """Read the lines of a log with a regular expression."""
    lines = [
        f'10.0.{number % 7}.{number % 250} - [01/Jan:{number:06}] "GET /page/{number % 40}" {200 + number % 3} {number}'
        for number in range(2000)
    ]
    total = 0
    for _ in range(size):
        sums: dict[str, list[int]] = {}
        for line in lines:
            found = LINE.match(line)
            if found:
                row = found.groupdict()
                sums.setdefault(row["path"], []).append(int(row["bytes"]) + 1000)
        total += sum(sum(column) for column in sums.values())
    return total


class _Calls(ast.NodeVisitor):
    def __init__(self) -> None:
        self.names: list[str] = []

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name):
            self.names.append(f"{node.func.id}:{node.lineno}")
        self.generic_visit(node)


def sources(size: int) -> int:
    """Parse generated sources and visit them."""
    calls = 0
    for number in range(size):
        functions = "".join(
            f"def f{index}(a, b):\n    if a > {number}:\n        return g(a, [h(b), b * {index}])\n    return f{index}(a + 1, b)\n"
            for index in range(20)
        )
        visitor = _Calls()
        visitor.visit(ast.parse(functions))
        calls += len(visitor.names)
    return calls


CASES: dict[str, Callable[[int], Any]] = {
    "json_round_trip": json_round_trip,
    "numeric": numeric,
    "words": words,
    "records": records,
    "events": events,
    "tasks": tasks,
    "log_lines": log_lines,
    "sources": sources,
}


def main() -> None:
    """Run one case and write the result."""
    result_path, case, size = sys.argv[1:4]
    answer = CASES[case](int(size))
    write_result(result_path, {"digests": [answer], "peak_rss_bytes": memory_bytes("VmHWM")})


if __name__ == "__main__":
    main()

"""Makes very many call paths, and says how much memory the process and the tracer have in the end.

    python call_paths.py RESULT CASE

CASE is a key of `CASES`.
"""

import importlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmarks.programs.probe import evidence, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import evidence, write_result

MODULES = [
    "asyncio",
    "http.client",
    "http.server",
    "xml.dom.minidom",
    "xml.etree.ElementTree",
    "email.message",
    "email.mime.text",
    "unittest.mock",
    "multiprocessing.pool",
    "concurrent.futures",
    "logging.config",
    "sqlite3",
    "ctypes",
    "decimal",
    "fractions",
    "statistics",
    "argparse",
    "optparse",
    "pydoc",
    "doctest",
    "difflib",
    "tarfile",
    "zipfile",
    "ftplib",
    "smtplib",
    "imaplib",
    "urllib.request",
    "json",
    "csv",
    "pickle",
]

SOURCE = "def f():\n    return [each for each in range(3)]\ndef g():\n    return {1: f(), 2: str(12345)}\nx = g()\n"


class Tree:
    """A search tree whose iterators go down by recursion."""

    __slots__ = ("left", "right", "value")

    def __init__(self, items: range, chance: random.Random) -> None:
        at = chance.randrange(len(items))
        self.value = items[at]
        self.left = Tree(items[:at], chance) if at else None
        self.right = Tree(items[at + 1 :], chance) if at + 1 < len(items) else None

    def __iter__(self) -> Iterator[int]:
        if self.left:
            yield from self.left
        yield self.value
        if self.right:
            yield from self.right


def trees(chance: random.Random) -> None:
    """Go over fresh trees."""
    for _ in range(25):
        sum(Tree(range(4_000), chance))


def first(depth: int, chance: random.Random) -> Any:
    """One of three that call each other at random."""
    return [depth, choose(depth - 1, chance) if depth else 0]


def second(depth: int, chance: random.Random) -> Any:
    """Another one."""
    return {depth: choose(depth - 1, chance) if depth else 1}


def third(depth: int, chance: random.Random) -> Any:
    """The last one."""
    return (depth, choose(depth - 1, chance) if depth else 2)


def choose(depth: int, chance: random.Random) -> Any:
    """Call one of them."""
    return (first, second, third)[chance.randrange(3)](depth, chance)


def recursion(chance: random.Random) -> None:
    """Never the same way twice."""
    for _ in range(40_000):
        choose(25, chance)


def files(_: random.Random) -> None:
    """Templates that are compiled again and again."""
    for number in range(100_000):
        exec(compile(SOURCE, f"/generated/templates/page_{number}.html", "exec"), {})  # noqa: S102  # our own


def imports(_: random.Random) -> None:
    """A start-up that imports much."""
    for name in MODULES:
        importlib.import_module(name)


def down(depth: int, choices: int, kept: list[Any]) -> None:
    """Leave a block at the end of a path of its own."""
    if depth == 0:
        kept.append([choices])
    elif choices & 1:
        down(depth - 1, choices >> 1, kept)
    else:
        down(depth - 1, choices >> 1, kept)


def live(_: random.Random) -> None:
    """Keep a block on each of very many paths."""
    kept: list[Any] = []
    for choices in range(1 << 17):
        down(17, choices, kept)
    globals()["kept"] = kept


CASES: dict[str, Callable[[random.Random], None]] = {
    "trees": trees,
    "recursion": recursion,
    "files": files,
    "imports": imports,
    "live": live,
}


def anonymous_bytes() -> int:
    """Memory of the process that no file stands behind, shared pages by their share."""
    with open("/proc/self/smaps_rollup", encoding="ascii") as rollup:
        for line in rollup:
            if line.startswith("Pss_Anon:"):
                return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Do it, then tell."""
    result, case = sys.argv[1:]
    CASES[case](random.Random(7))  # noqa: S311  # not a secret
    anonymous = anonymous_bytes()
    found = evidence()
    own = max((found[name]["own_bytes"] for name in ("tracemalloc", "heapsight") if name in found), default=0)
    write_result(result, {"values": {"anonymous_bytes": anonymous, "own_bytes": own}})


main()

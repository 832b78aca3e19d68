"""Programs that make call paths as they go: what a tracer that keeps whole paths has not seen before.

    python new_paths.py RESULT CASE SIZE

Each case runs once, on fresh data of a fixed seed; nothing is warmed up, for a second pass would meet known paths.
"""

import ast
import importlib
import json.encoder
import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    from benchmarks.programs.probe import memory_bytes, write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import memory_bytes, write_result

chance = random.Random(14)  # noqa: S311  # the same data in every process, not a secret


class Tree:
    """A search tree that is not balanced."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.left: Optional[Tree] = None
        self.right: Optional[Tree] = None

    def insert(self, key: int) -> None:
        """Add a key below its place."""
        tree = self
        while True:
            side = "left" if key < tree.key else "right"
            below: Optional[Tree] = getattr(tree, side)
            if below is None:
                setattr(tree, side, Tree(key))
                return
            tree = below

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """Keys in order, each with its square: a block that is made as deep as the key is."""
        if self.left is not None:
            yield from self.left
        yield self.key, self.key * self.key
        if self.right is not None:
            yield from self.right


def generators(size: int) -> int:
    """Recursive generators over fresh search trees: each key has a call path of its own."""
    total = 0
    for _ in range(size):
        tree = Tree(chance.randrange(1 << 30))
        for _ in range(2500):
            tree.insert(chance.randrange(1 << 30))
        total += sum(square for _, square in tree)
    return total


class Parser:
    """Recursive descent over sums, products, negations and parentheses."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def sum(self) -> Any:
        """Terms with + or - between them."""
        left = self.product()
        while self.at < len(self.text) and self.text[self.at] in "+-":
            sign = self.text[self.at]
            self.at += 1
            left = (sign, left, self.product())
        return left

    def product(self) -> Any:
        """Factors with * between them."""
        left = self.factor()
        while self.at < len(self.text) and self.text[self.at] == "*":
            self.at += 1
            left = ("*", left, self.factor())
        return left

    def factor(self) -> Any:
        """A number, a negation or a sum in parentheses."""
        sign = self.text[self.at]
        if sign == "(":
            self.at += 1
            inner = self.sum()
            self.at += 1
            return inner
        if sign == "~":
            self.at += 1
            return ("~", self.factor())
        start = self.at
        while self.at < len(self.text) and self.text[self.at].isdigit():
            self.at += 1
        return ("number", int(self.text[start : self.at]))


def expression(length: int) -> str:
    """A random expression of so many numbers."""
    parts = []
    opened = 0
    for _ in range(length):
        while chance.random() < 0.35:
            parts.append(chance.choice("((~"))
            opened += parts[-1] == "("
        parts.append(str(chance.randrange(1000, 100_000)))
        while opened and chance.random() < 0.3:
            parts.append(")")
            opened -= 1
        parts.append(chance.choice("+-*"))
    parts[-1] = ")" * opened
    return "".join(parts)


def parser(size: int) -> int:
    """A recursive-descent parser over random input."""
    nodes = 0
    for _ in range(size):
        nodes += len(Parser(expression(40)).sum())
    return nodes


class Names(ast.NodeVisitor):
    """Collects names and how deep they stand."""

    def __init__(self) -> None:
        self.depth = 0
        self.found: dict[str, list[int]] = {}

    def generic_visit(self, node: ast.AST) -> None:
        """One level deeper."""
        self.depth += 1
        super().generic_visit(node)
        self.depth -= 1

    def visit_Name(self, node: ast.Name) -> None:
        """Note it."""
        self.found.setdefault(node.id, []).append(self.depth + 1000)


def visitors(size: int) -> int:
    """`ast` visitors over the standard library."""
    folder = os.path.dirname(os.__file__)
    names = 0
    # Packages of Linux distributions have links in there that lead nowhere.
    files = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if name.endswith(".py")]
    for path in [path for path in files if os.path.isfile(path)][:size]:
        with open(path, encoding="utf-8") as source:
            tree = ast.parse(source.read())
        visitor = Names()
        visitor.visit(tree)
        names += len(visitor.found)
    return names


def nested(depth: int) -> Any:
    """Random JSON, nested at most so deep."""
    kind = chance.random()
    if depth == 0 or kind < 0.35:
        return chance.choice([None, True, "text", chance.random(), chance.randrange(1 << 40)])
    if kind < 0.7:
        return [nested(depth - 1) for _ in range(chance.randrange(1, 4))]
    return {f"key {number}": nested(depth - 1) for number in range(chance.randrange(1, 4))}


def json_encoder(size: int) -> int:
    """The JSON encoder that is written in Python, on random nesting."""
    json.encoder.c_make_encoder = None  # type: ignore[attr-defined]
    characters = 0
    for _ in range(size):
        for part in json.JSONEncoder(indent=1).iterencode(nested(12)):
            characters += len(part)
    return characters


def new_code(size: int) -> int:
    """Code that was not there before is compiled and run: what templates and data classes do."""
    total = 0
    for number in range(size):
        source = f"class C{number}:\n def f(self, x):\n  return [x, x * {number}.5]\nresult = C{number}().f(1.5)\n"
        space: dict[str, Any] = {}
        exec(compile(source, f"<generated {number}>", "exec"), space)  # noqa: S102
        total += len(space["result"])
    return total


def closures(size: int) -> int:
    """Random recursion through functions that are made on the way."""

    def doubled(depth: int) -> list[Any]:
        return [walk(depth - 1), walk(depth - 2)]

    def through_closure(depth: int) -> Any:
        def inner(less: int) -> Any:
            return (depth, walk(depth - less))

        return inner(1)

    def through_lambda(depth: int) -> Any:
        return (lambda less: {"below": walk(depth - less)})(2)

    def walk(depth: int) -> Any:
        if depth <= 0:
            return [depth * 0.5]
        return chance.choice(steps)(depth)

    steps = (doubled, through_closure, through_lambda)
    total = 0
    for _ in range(size):
        total += len(walk(22))
    return total


class Text:
    """A piece of a template that stays as it is."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self, context: dict[str, Any]) -> str:
        """Itself."""
        return self.text


class Variable(Text):
    """A name to be looked up, through dots."""

    def render(self, context: dict[str, Any]) -> str:
        """The value."""
        value: Any = context
        for part in self.text.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return f"{value}"


class Nodes:
    """Some pieces one after the other, as Django's NodeList."""

    def __init__(self, nodes: list[Any]) -> None:
        self.nodes = nodes

    def render(self, context: dict[str, Any]) -> str:
        """All of them."""
        return "".join([self.render_annotated(node, context) for node in self.nodes])

    def render_annotated(self, node: Any, context: dict[str, Any]) -> str:
        """One of them, with its place if it fails."""
        try:
            rendered: str = node.render(context)
        except Exception as error:
            error.args += (node,)
            raise
        return rendered


class Loop:
    """For each item of a list."""

    def __init__(self, body: Nodes, count: int) -> None:
        self.body = body
        self.count = count

    def render(self, context: dict[str, Any]) -> str:
        """The body for each."""
        out = []
        for number in range(self.count):
            out.append(self.body.render({**context, "number": number * 1000}))
        return "".join(out)


class Block:
    """A part that is drawn in a context of its own."""

    def __init__(self, body: Nodes) -> None:
        self.body = body

    def render(self, context: dict[str, Any]) -> str:
        """The body."""
        return self.body.render(dict(context, block={"name": "block"}))


def template(depth: int) -> Nodes:
    """A random template, nested at most so deep."""
    nodes: list[Any] = []
    for _ in range(chance.randrange(1, 4)):
        kind = chance.random()
        if depth == 0 or kind < 0.2:
            nodes.append(Text("<p>text</p>"))
        elif kind < 0.5:
            nodes.append(Variable(chance.choice(["user.name", "number", "block.name"])))
        elif kind < 0.75:
            nodes.append(Loop(template(depth - 1), chance.randrange(1, 4)))
        else:
            nodes.append(Block(template(depth - 1)))
    return Nodes(nodes)


def templates(size: int) -> int:
    """Templates of varying depth, rendered as Django does."""
    characters = 0
    for _ in range(size):
        characters += len(template(chance.randrange(2, 14)).render({"user": {"name": "somebody"}}))
    return characters


#: The thirty packages and modules of the standard library with most code in them that every version has.
BIG_MODULES = (
    *("_pydecimal", "argparse", "ast", "asyncio", "configparser", "ctypes.util", "difflib", "doctest"),
    *("email.message", "email.parser", "http.server", "imaplib", "inspect", "ipaddress", "logging.config", "mailbox"),
    *("multiprocessing.managers", "optparse", "pathlib", "pickletools", "pydoc", "smtplib", "ssl", "statistics"),
    *("tarfile", "typing", "unittest.mock", "urllib.request", "xml.dom.minidom", "zipfile"),
)


def imports(size: int) -> int:
    """Import the biggest standard modules."""
    return sum(importlib.import_module(name) is not None for name in BIG_MODULES[:size])


def new_path(size: int) -> int:
    """As little as can be for each call path: two calls lead on from every one, and a block is made on each."""
    kept: list[Any] = [None]

    def walk(depth: int) -> None:
        # A kind of object that the interpreter has no free list for.
        kept[0] = object()
        if depth > 1:
            walk(depth - 1)
            walk(depth - 1)

    walk(size)
    return (1 << size) - 1


CASES: dict[str, Callable[[int], int]] = {
    "tree_generators": generators,
    "parser": parser,
    "visitors": visitors,
    "json_encoder": json_encoder,
    "new_code": new_code,
    "closures": closures,
    "templates": templates,
    "imports": imports,
    "new_path": new_path,
}


def main() -> None:
    """Run one case and write the result."""
    result_path, case, size = sys.argv[1:4]
    answer = CASES[case](int(size))
    write_result(result_path, {"digests": [answer], "peak_rss_bytes": memory_bytes("VmHWM")})


if __name__ == "__main__":
    main()

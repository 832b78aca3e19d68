"""A busy program: works through the sources of the standard library in ever other ways, for some time.

    python busy.py RESULT SECONDS

It parses, walks, compiles and tokenizes modules, makes and reads JSON and XML of what it found, keeps some of it and drops the
rest, so that live memory rises and falls and call paths are many and deep.
"""

import ast
import collections
import io
import json
import os
import random
import sys
import textwrap
import time
import tokenize
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

if TYPE_CHECKING:
    from benchmarks.programs.probe import write_result
else:
    # The folder of a script is where its imports are looked for; the harness is not importable here.
    from probe import write_result

KEPT_MODULES = 40


class Outline(ast.NodeVisitor):
    """Names of what a module defines, each with what is in it."""

    def __init__(self) -> None:
        self.tree: dict[str, Any] = {}

    def generic_visit(self, node: ast.AST) -> None:
        """Enter what has a name as a level of its own."""
        name = getattr(node, "name", None)
        if not isinstance(name, str):
            super().generic_visit(node)
            return
        outer, self.tree = self.tree, {}
        super().generic_visit(node)
        outer[name] = {"line": getattr(node, "lineno", 0), "in it": self.tree}
        self.tree = outer


def outline(source: str) -> dict[str, Any]:
    """The names in a module."""
    visitor = Outline()
    visitor.visit(ast.parse(source))
    return visitor.tree


def words(source: str) -> "collections.Counter[str]":
    """How often each token occurs."""
    counter: collections.Counter[str] = collections.Counter()
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            counter[token.string] += 1
    except (tokenize.TokenError, SyntaxError):
        pass
    return counter


def as_xml(tree: dict[str, Any], name: str = "module") -> ElementTree.Element:
    """An outline as elements."""
    element = ElementTree.Element("item", name=name)
    for inner, what in tree.items():
        element.append(as_xml(what["in it"], inner))
    return element


def work(source: str) -> Any:
    """Everything that is made of one module; a part of it is kept by the caller."""
    tree = outline(source)
    text = json.dumps(tree, indent=1)
    xml = ElementTree.tostring(as_xml(tree))
    return {
        "outline": json.loads(text),
        "xml": ElementTree.fromstring(xml),  # noqa: S314  # made above
        "words": words(source),
        "code": compile(source, "<module>", "exec", dont_inherit=True),
        "wrapped": textwrap.wrap(source[:5000], 60),
    }


def main() -> None:
    """Work until the time is over."""
    result_path, seconds = sys.argv[1], float(sys.argv[2])
    folder = os.path.dirname(ast.__file__)
    names = sorted(
        os.path.join(root, name)
        for root, _, files in os.walk(folder)
        for name in files
        if name.endswith(".py") and "lib2to3" not in root and "site-packages" not in root
    )
    order = random.Random(0)  # noqa: S311  # an order, not a secret
    kept: collections.OrderedDict[str, Any] = collections.OrderedDict()
    modules = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        name = order.choice(names)
        try:
            with tokenize.open(name) as file:
                kept[name] = work(file.read())
        except (SyntaxError, ValueError, RecursionError):
            continue
        modules += 1
        if len(kept) > order.randrange(1, KEPT_MODULES):
            kept.popitem(last=False)
    write_result(result_path, {"values": {"modules": modules}})


if __name__ == "__main__":
    main()

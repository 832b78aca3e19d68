"""Index the symbols of Python's standard library.

Parses every module of the installed standard library into a syntax tree, and gathers what each one defines, imports
and refers to. The index is kept, and so are the trees of a few packages (for a closer look at them); all other trees
and texts are dropped as soon as they have been read. Prints what it found.

    python examples/index_stdlib.py [PACKAGE ...]      packages whose trees to keep (default: asyncio email json)
"""

from __future__ import annotations

import ast
import sys
import sysconfig
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KEPT_PACKAGES = ("asyncio", "email", "json")

#: Not part of the library that programs use.
SKIPPED_DIRECTORIES = {"site-packages", "dist-packages", "test", "tests", "idle_test", "lib2to3", "__pycache__"}


@dataclass
class Symbol:
    """A function or a class, with the place of its definition."""

    name: str
    kind: str
    line: int
    summary: str


@dataclass
class Module:
    """What the index keeps of one module."""

    name: str
    symbols: list[Symbol] = field(default_factory=list)
    imports: set[str] = field(default_factory=set)
    references: Counter[str] = field(default_factory=Counter)


class Indexer(ast.NodeVisitor):
    """Fills a Module from its syntax tree."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self.scope: list[str] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.define(node, "function")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self.define(node, "coroutine")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self.define(node, "class")

    def visit_Import(self, node: ast.Import) -> None:
        self.module.imports.update(alias.name for alias in node.names)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        if node.module and not node.level:
            self.module.imports.add(node.module)

    def visit_Name(self, node: ast.Name) -> None:
        self.module.references[node.id] += 1

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.module.references[node.attr] += 1
        self.generic_visit(node)

    def define(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, kind: str) -> None:
        """Record a definition, then look inside it."""
        self.scope.append(node.name)
        documentation = ast.get_docstring(node) or ""
        summary = documentation.partition("\n")[0]
        self.module.symbols.append(Symbol(".".join(self.scope), kind, node.lineno, summary))
        self.generic_visit(node)
        self.scope.pop()


@dataclass
class Index:
    """Every module, and where each name is defined."""

    modules: dict[str, Module] = field(default_factory=dict)
    defined_in: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    trees: dict[str, ast.Module] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def add(self, name: str, path: Path, *, keep_tree: bool) -> None:
        """Parse one file into the index."""
        source = path.read_bytes()
        try:
            tree = ast.parse(source, filename=str(path))
        except SyntaxError:  # some files are there to be wrong
            self.unreadable.append(name)
            return
        module = self.modules[name] = Module(name)
        Indexer(module).visit(tree)
        for symbol in module.symbols:
            self.defined_in[symbol.name.rpartition(".")[2]].append(f"{name}:{symbol.line}")
        if keep_tree:
            self.trees[name] = tree

    def uses(self) -> Counter[str]:
        """Count the references to every name defined anywhere."""
        total: Counter[str] = Counter()
        for module in self.modules.values():
            total.update(module.references)
        return Counter({name: count for name, count in total.items() if name in self.defined_in})


def library_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield (module name, path) of each module under `root`, in order."""
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if SKIPPED_DIRECTORIES.isdisjoint(parts) and path.is_file():  # a link may lead nowhere
            yield ".".join(parts).removesuffix(".__init__"), path


def build_index(root: Path, kept_packages: tuple[str, ...]) -> Index:
    """Index the library under `root`."""
    index = Index()
    for name, path in library_files(root):
        index.add(name, path, keep_tree=name.partition(".")[0] in kept_packages)
    return index


def print_table(title: str, rows: list[tuple[str, int]]) -> None:
    """Print names with a count, aligned."""
    print(f"\n{title}")
    for name, count in rows:
        print(f"  {count:7,}  {name}")


def main() -> Index:
    """Build the index and show what is in it."""
    warnings.simplefilter("ignore")  # old modules have old ways with backslashes
    kept_packages = tuple(sys.argv[1:]) or KEPT_PACKAGES
    index = build_index(Path(sysconfig.get_path("stdlib")), kept_packages)

    kinds = Counter(symbol.kind for module in index.modules.values() for symbol in module.symbols)
    nodes = sum(1 for tree in index.trees.values() for _ in ast.walk(tree))
    print(f"{len(index.modules):,} modules indexed, {len(index.unreadable)} unreadable")
    print(", ".join(f"{count:,} {kind} definitions" for kind, count in kinds.most_common()))
    print(f"{len(index.trees):,} trees kept ({', '.join(kept_packages)}): {nodes:,} nodes")

    by_definitions = ((name, len(places)) for name, places in index.defined_in.items())
    print_table("Names with the most definitions", sorted(by_definitions, key=lambda row: (-row[1], row[0]))[:5])
    print_table("Names used most", sorted(index.uses().items(), key=lambda row: (-row[1], row[0]))[:5])
    imported = Counter(name for module in index.modules.values() for name in module.imports)
    print_table("Modules imported most", sorted(imported.items(), key=lambda row: (-row[1], row[0]))[:5])
    return index


if __name__ == "__main__":
    index = main()  # stays in reach, for `python -i`

"""docs/functions.md: every public function and class of the `heapsight` package, of its docstrings and stubs.

Signatures are read from the sources (native ones from the stub, which stubtest compares with the module); docstrings
are those of the installed module, for that of a native function is in no Python file.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Union

from commands import filled

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "python" / "heapsight"
PAGE = ROOT / "docs" / "functions.md"

INTRODUCTION = """\
# Functions and classes

Everything in the top-level module, by its docstrings: `scripts/site/generate.py` makes this page. What belongs
together, and why, is in the [reference](reference.md). `heapsight.tracemalloc` has the names of the standard
`tracemalloc`: see [how to use it](how-to/replace-tracemalloc.md).
"""

#: The order of the page: what is asked most comes first.
GROUPS = {
    "Switching it on": ("enable", "disable", "is_enabled", "get_traceback_limit", "set_traceback_limit"),
    "What is traced right now": (
        *("get_traced_memory", "get_traced_peak", "reset_peak", "clear_traces", "get_stats", "get_traces", "get_trace"),
        *("get_object_trace", "get_object_address", "get_process_memory", "process_report", "get_tracemalloc_size"),
        *("get_budget", "set_budget", "Frame", "Trace", "TraceStats", "ProcessMemory", "ProcessReport"),
    ),
    "Filters": (
        *("Filter", "Filters", "add_filter", "add_include_filter", "add_exclude_filter", "get_filters"),
        "clear_filters",
    ),
    "Snapshots": ("Snapshot", "GroupedStats", "StatsDiff", "Metric", "standard_metrics"),
    "Display": ("DisplayTop",),
    "Tasks and the timer": ("DisplayTopTask", "TakeSnapshot", "start_timer", "stop_timer"),
}

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


class Member:
    """A function, a property or an attribute of a class, as the sources define it."""

    def __init__(self, name: str, signature: str, doc: str) -> None:
        self.name = name
        self.signature = signature
        self.doc = doc


def definitions() -> dict[str, ast.stmt]:
    """Return what the stub and the modules of the package define at their top, by name."""
    found: dict[str, ast.stmt] = {}
    for path in [*sorted(PACKAGE.glob("*.py")), PACKAGE / "_heapsight.pyi"]:
        for statement in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
                # Wrappers have the names of what they wrap; the package gives the wrappers.
                found.setdefault(statement.name, statement)
    return found


def annotated(annotation: ast.expr) -> str:
    """Spell an annotation, which may stand in quotation marks."""
    is_quoted = isinstance(annotation, ast.Constant) and isinstance(annotation.value, str)
    text = str(ast.literal_eval(annotation)) if is_quoted else ast.unparse(annotation)
    # Where a name is at home says nothing to a reader.
    return re.sub(r"\b(?:typing|abc|_\w+)\.", "", text)


def argument(given: ast.arg, default: ast.expr | None) -> str:
    """Spell one argument."""
    annotation = given.annotation
    text = given.arg
    if annotation is not None:
        text += f": {annotated(annotation)}"
    if default is not None:
        text += f" = {ast.unparse(default)}" if annotation is not None else f"={ast.unparse(default)}"
    return text


def arguments(of: ast.arguments) -> list[str]:
    """Spell the arguments, without `self` and `cls`."""
    positional = [*of.posonlyargs, *of.args]
    defaults = [None] * (len(positional) - len(of.defaults)) + list(of.defaults)
    spelt = [argument(given, default) for given, default in zip(positional, defaults)]
    if of.posonlyargs:
        spelt.insert(len(of.posonlyargs), "/")
    if of.kwonlyargs:
        spelt.append("*")
        spelt += [argument(given, default) for given, default in zip(of.kwonlyargs, of.kw_defaults)]
    return [text for text in spelt if text not in ("self", "cls")]


def signature(name: str, function: Function) -> str:
    """Spell how a function is called."""
    result = "" if function.returns is None else f" -> {annotated(function.returns)}"
    parts = arguments(function.args)
    if name[0].isupper() and "." not in name:
        result = ""
    return on_lines(name, parts, result)


def on_lines(name: str, parts: list[str], result: str = "") -> str:
    """Spell a call with its arguments, each on a line of its own if it is long."""
    line = f"{name}({', '.join(parts)}){result}"
    if len(line) <= 100:
        return line
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){result}"


def decorators(function: Function) -> set[str]:
    """Return the names of a function's decorators."""
    return {decorator.id for decorator in function.decorator_list if isinstance(decorator, ast.Name)}


def members(name: str, statement: ast.ClassDef, value: type) -> Iterator[Member]:
    """Give what a class has for its users, in the order of its source."""
    body = statement.body
    for index, each in enumerate(body):
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name) and each.target.id[0] != "_":
            after = body[index + 1] if index + 1 < len(body) else None
            if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
                text = f"{each.target.id}: {annotated(each.annotation)}"
                yield Member(each.target.id, text, inspect.cleandoc(str(after.value.value)))
        elif isinstance(each, ast.FunctionDef) and each.name[0] != "_":
            doc = inspect.getdoc(getattr(value, each.name)) or ""
            if "property" in decorators(each):
                result = f": {annotated(each.returns)}" if each.returns else ""
                yield Member(each.name, f"{each.name}{result}", doc)
            else:
                owner = f"{name}." if "classmethod" in decorators(each) else ""
                yield Member(each.name, signature(owner + each.name, each), doc)


def constructor(name: str, statement: ast.ClassDef) -> str:
    """Spell how an object of a class is made; its name, if it is made by something else."""
    for each in statement.body:
        if isinstance(each, ast.FunctionDef) and each.name in ("__new__", "__init__"):
            makes = not isinstance(each.body[-1], ast.Raise)
            return signature(name, each) if makes else name
    fields = [each for each in statement.body if isinstance(each, ast.AnnAssign)]
    return on_lines(name, [ast.unparse(each) for each in fields]) if fields else name


def prose(doc: str) -> str:
    """Set a docstring as Markdown: code as code, examples as examples."""
    parts = []
    for part in doc.replace("``", "`").split("\n\n"):
        if part.lstrip().startswith(">>>"):
            parts.append(f"```pycon\n{textwrap.dedent(part)}\n```")
        elif part.startswith(("* ", "- ")):
            parts.append(part)
        else:
            parts.append(filled(part))
    return "\n\n".join(parts)


def entry(name: str, statement: ast.stmt, value: object) -> str:
    """Set one function or class."""
    parts = [f"### {name}"]
    doc = prose(inspect.getdoc(value) or "")
    if isinstance(statement, ast.FunctionDef):
        parts += [f"```python\n{signature(name, statement)}\n```", doc]
    elif isinstance(statement, ast.ClassDef) and isinstance(value, type):
        parts += [f"```python\n{constructor(name, statement)}\n```", doc]
        for member in members(name, statement, value):
            parts += [f"#### {name}.{member.name}", f"```python\n{member.signature}\n```", prose(member.doc)]
    return "\n\n".join(filter(None, parts))


def page() -> str:
    """Return the whole page."""
    package = importlib.import_module("heapsight")
    defined = definitions()
    public = {name for name in package.__all__ if not name.startswith("__")}
    grouped = {name for group in GROUPS.values() for name in group}
    if public != grouped:
        raise SystemExit(
            f"scripts/site/functions.py: GROUPS differs from heapsight.__all__: {sorted(public ^ grouped)}"
        )
    parts = [INTRODUCTION.strip()]
    for heading, group in GROUPS.items():
        parts.append(f"## {heading}")
        parts += [entry(name, defined[name], getattr(package, name)) for name in group]
    return "\n\n".join(parts) + "\n"

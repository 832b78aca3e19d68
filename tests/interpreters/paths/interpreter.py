"""Code that comes in by other ways: exec, eval, imports, and very deep stacks."""

from __future__ import annotations

import code
import importlib.abc
import importlib.machinery
import importlib.util
import os
import runpy
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from paths.probe import Case, probe


def exec_and_eval() -> None:
    exec("probe.keep(bytes(40))", {"probe": probe})
    exec("\n\ndef f():\n    probe.keep(bytes(40))\n\nf()\nf()", {"probe": probe})
    eval("probe.keep(bytes(40))", {"probe": probe})
    eval("[probe.keep(bytes(40)) for _ in range(2)]", {"probe": probe})
    eval("(lambda: probe.keep(bytes(40)))()", {"probe": probe})
    exec(compile("probe.keep(bytes(40))", "a file of its own", "exec"), {"probe": probe})
    # Names outside Latin-1, in all three widths that strings have.
    for name in ("täst", "тест", "测试", "𝔱𝔢𝔰𝔱"):
        source = f"def {name}():\n    probe.keep(bytes(40))\n{name}()"
        exec(compile(source, f"<{name}>", "exec"), {"probe": probe})


def interactive_console() -> None:
    console = code.InteractiveConsole({"probe": probe})
    console.push("probe.keep(bytes(40))")
    console.push("for _ in range(2): probe.keep(bytes(40))")
    console.push("")


MODULE = """
from paths.probe import probe
probe.keep(bytes(40))

class Body:
    probe.keep(bytes(40))

def function():
    probe.keep(bytes(40))

function()
"""


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Makes modules out of nothing, and allocates at every step."""

    def find_spec(self, fullname: str, _path: Any, _target: Any = None) -> Any:
        if not fullname.startswith("made_of_nothing"):
            return None
        probe.keep(bytes(40))
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: Any) -> Any:
        probe.keep(bytes(40))
        return None

    def exec_module(self, module: Any) -> None:
        probe.keep(bytes(40))
        exec(MODULE, vars(module))


def imports() -> None:
    finder = Finder()
    with tempfile.TemporaryDirectory() as folder:
        # The recorded paths name the file: it must be the same in every round.
        link = Path(tempfile.gettempdir(), f"heapsight-paths-{os.getpid()}")
        link.symlink_to(folder)
        package = link / "imported_package"
        package.mkdir()
        (package / "__init__.py").write_text(MODULE + "from imported_package import part\n")
        (package / "part.py").write_text(MODULE)
        (link / "script.py").write_text(MODULE)
        sys.meta_path.insert(0, finder)
        sys.path.insert(0, str(link))
        try:
            import imported_package  # type: ignore[import-not-found]
            import made_of_nothing  # type: ignore[import-not-found]

            importlib.reload(imported_package)
            importlib.import_module("made_of_nothing_either")
            runpy.run_path(str(link / "script.py"))
            assert made_of_nothing.function() is None
        finally:
            sys.path.remove(str(link))
            sys.meta_path.remove(finder)
            link.unlink()
            for name in list(sys.modules):
                if name.startswith(("imported_package", "made_of_nothing")):
                    del sys.modules[name]
            importlib.invalidate_caches()


#: How deep the deepest recursion goes; a backend that cannot follow takes less.
deepest = 100_000


def in_a_big_thread(work: Any) -> None:
    """Run `work` in a thread whose C stack has room for one C frame for each Python frame."""
    limit = sys.getrecursionlimit()
    before = threading.stack_size(1 << 30)
    sys.setrecursionlimit(deepest * 2)
    try:
        thread = threading.Thread(target=work)
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    sys.setrecursionlimit(limit)


def deep_recursion() -> None:
    def down(depth: int) -> None:
        if depth:
            if depth % (deepest // 4) == 0:
                probe.keep(bytes(40))
            down(depth - 1)
            if depth % (deepest // 4) == 0:
                probe.keep(bytes(41))
        else:
            probe.keep(bytes(42))

    def leaves() -> None:
        probe.keep(bytes(43))

    def down_to_leaves(depth: int) -> None:
        if depth:
            down_to_leaves(depth - 1)
        else:
            for _ in range(3):
                leaves()
                probe.keep(bytes(44))

    def work() -> None:
        down(deepest)
        down_to_leaves(deepest)
        down(10)

    in_a_big_thread(work)


CASES: list[Case] = [exec_and_eval, interactive_console, imports, deep_recursion]

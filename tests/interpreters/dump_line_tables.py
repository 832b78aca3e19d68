"""Writes every line table of the standard library, and the line of every instruction according to CPython.

``python dump_line_tables.py FILE`` writes one line of text for each code object::

    MINOR FIRST_LINE TABLE LINES

with the table in hexadecimal and one number for each code unit of two bytes, comma-separated, ``-`` where the
instruction has no line. The lines come from ``PyCode_Addr2Line``, the function that makes tracebacks.
"""

from __future__ import annotations

import ctypes
import sys
import sysconfig
import types
import warnings
from collections.abc import Iterator
from pathlib import Path

#: Parts of the library that are only more of the same, or code that cannot be compiled on purpose.
LEFT_OUT = {"test", "tests", "site-packages", "dist-packages", "idlelib", "lib2to3", "turtledemo", "ensurepip"}

TABLE = "co_linetable" if sys.version_info >= (3, 10) else "co_lnotab"

line_of = ctypes.pythonapi.PyCode_Addr2Line
line_of.argtypes = [ctypes.py_object, ctypes.c_int]
line_of.restype = ctypes.c_int


def code_objects(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code object and all that are nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from code_objects(constant)


def library() -> Iterator[types.CodeType]:
    """Yield every code object of the standard library's modules."""
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        # Debian's sitecustomize.py is a link that need not lead anywhere.
        if path.is_file() and not LEFT_OUT.intersection(path.relative_to(root).parts):
            yield from code_objects(compile(path.read_bytes(), str(path), "exec", dont_inherit=True))


def describe(code: types.CodeType) -> str:
    """Make the line of text for one code object."""
    table: bytes = getattr(code, TABLE)
    assert line_of(code, -1) == code.co_firstlineno
    lines = [line_of(code, offset) for offset in range(0, len(code.co_code), 2)]
    shown = ",".join("-" if line < 0 else str(line) for line in lines)
    return f"{sys.version_info[1]} {code.co_firstlineno} {table.hex() or '-'} {shown}\n"


def main() -> None:
    """Write the file."""
    warnings.simplefilter("ignore")
    with Path(sys.argv[1]).open("w", encoding="ascii") as file:
        file.writelines(describe(code) for code in library())


if __name__ == "__main__":
    main()

"""Programs that allocate in every kind of place, to compare the call paths that a tracer gives with CPython's.

A case is a function that allocates objects and hands each in with ``probe.keep(object)``, *on the line that
allocates it*. paths_program.py runs the cases.
"""

from __future__ import annotations

from paths import callbacks, calls, classes, exceptions, generators, interpreter, newer, threads
from paths.probe import Case

CASES: list[Case] = [
    case
    for module in (calls, callbacks, classes, generators, exceptions, threads, interpreter, newer)
    for case in module.CASES
]

"""Syntax that 3.9 does not have, as text; each is run from the version on that has it."""

from __future__ import annotations

import sys
from typing import Any

from paths.probe import Case, probe

MATCH = """
class Point:
    __match_args__ = ("x",)

    @property
    def x(self):
        probe.keep(bytes(40))
        return 1

for _ in range(3):
    match Point():
        case Point(2):
            probe.keep(bytes(40))
        case Point(1) if [probe.keep(bytes(40))]:
            probe.keep(bytes(40))

with (
    open("/dev/null") as first,
    open("/dev/null") as second,
):
    probe.keep(bytes(40))
"""

EXCEPTION_GROUPS = """
def fail(*kinds):
    probe.keep(bytes(40))
    raise ExceptionGroup("several", [kind() for kind in kinds])

for _ in range(2):
    try:
        fail(ValueError, KeyError, ValueError)
    except* ValueError:
        probe.keep(bytes(40))
    except* KeyError:
        probe.keep(bytes(40))
    finally:
        probe.keep(bytes(40))
"""

TYPE_PARAMETERS = """
def note(value):
    probe.keep(bytes(40))
    return value

type Alias[T] = note(list[T])
Alias.__value__

def generic[T: note(int)](argument: note(T)) -> note(T):
    probe.keep(bytes(40))
    return argument

generic(1)
generic.__type_params__[0].__bound__
generic.__annotations__

class Generic[T]:
    probe.keep(bytes(40))
    values = [probe.keep(bytes(40)) for _ in range(2)]

    def method[U](self, argument: U) -> None:
        probe.keep(bytes(40))

Generic[int]().method(1)
"""

TYPE_DEFAULTS = """
def note(value):
    probe.keep(bytes(40))
    return value

class Defaulted[T = note(int)]:
    pass

Defaulted.__type_params__[0].__default__
locals()
[sorted([1, 2], key=lambda value: note(value + each)) for each in range(2)]
"""

DEFERRED_ANNOTATIONS = """
import annotationlib

def note(value):
    probe.keep(bytes(40))
    return value

def annotated(first: note(int), second: note(str)) -> note(None):
    pass

class Annotated:
    field: note(int)
    other: missing

annotated.__annotations__
annotationlib.get_annotations(Annotated, format=annotationlib.Format.FORWARDREF)
for _ in range(2):
    try:
        probe.keep(bytes(40))
    except ValueError, KeyError:
        pass

def early():
    with open("/dev/null"):
        probe.keep(bytes(40))
        t"{note(1)} and {note(2)}"

early()
"""

SOURCES = [
    ("match", (3, 10), MATCH),
    ("exception groups", (3, 11), EXCEPTION_GROUPS),
    ("type parameters", (3, 12), TYPE_PARAMETERS),
    ("type defaults", (3, 13), TYPE_DEFAULTS),
    ("deferred annotations", (3, 14), DEFERRED_ANNOTATIONS),
]


def newer_syntax() -> None:
    for name, version, source in SOURCES:
        if sys.version_info >= version:
            namespace: dict[str, Any] = {"probe": probe, "__name__": "newer"}
            exec(compile(source, f"<{name}>", "exec", dont_inherit=True), namespace)
    probe.keep(bytes(40))


CASES: list[Case] = [newer_syntax]

"""Python called back from C: key functions, hooks of library functions, foreign function calls."""

from __future__ import annotations

import copy
import ctypes
import functools
import itertools
import json
import operator
import pickle
import re
import string
from typing import Any

from paths.probe import Case, probe


def kept(value: Any) -> Any:
    """Return the argument; somewhere inside is an allocation."""
    probe.keep(bytes(40))
    return value


def key_functions() -> None:
    sorted([3, 1, 2], key=lambda each: (probe.keep(bytes(40)), each)[1])
    [3, 1, 2].sort(key=kept)
    max([3, 1, 2], key=kept)
    min((3, 1, 2), key=lambda each: kept(kept(each)))
    sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: int(kept(a) - b)))
    list(itertools.groupby([1, 1, 2], key=kept))


def functions_over_iterables() -> None:
    list(map(kept, range(3)))
    list(filter(kept, range(3)))
    functools.reduce(lambda a, b: (probe.keep(bytes(40)), a + b)[1], range(4))
    list(itertools.accumulate(range(3), lambda a, b: kept(a + b)))
    list(itertools.starmap(lambda a, b: kept(a + b), [(1, 2), (3, 4)]))
    list(itertools.takewhile(kept, [1, 1, 0]))
    list(map(kept, map(kept, filter(kept, [1, 2]))))
    numbers = iter([1, 2, 3, 0])
    list(iter(lambda: kept(next(numbers)), 0))


def regular_expressions() -> None:
    re.sub("[a-c]", lambda match: (probe.keep(bytes(40)), match.group())[1], "abcd")
    re.compile("(.)").subn(lambda match: kept(match[0]), "xyz")
    string.Template("$a").safe_substitute(collections_mapping())


class collections_mapping(dict[str, str]):
    """A mapping whose look-ups of missing keys run Python."""

    def __missing__(self, key: str) -> str:
        probe.keep(bytes(40))
        return key


def missing_keys() -> None:
    mapping = collections_mapping()
    mapping["a"]
    "%(b)s" % mapping
    "{c}".format_map(mapping)


def json_hooks() -> None:
    json.dumps([1, {2}], default=lambda value: (probe.keep(bytes(40)), list(value))[1])
    json.dumps({"a": {1}}, default=lambda value: kept(list(value)), indent=1)
    json.loads('{"a": [1.5, {"b": 2}]}', object_hook=kept, parse_float=lambda text: kept(float(text)))
    json.loads('{"a": 1}', object_pairs_hook=lambda pairs: kept(dict(pairs)))


class Reduced:
    """Runs Python while it is pickled and copied."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        probe.keep(bytes(40))
        return Reduced, (), {"a": 1}

    def __setstate__(self, state: Any) -> None:
        probe.keep(bytes(40))


def pickles_and_copies() -> None:
    pickle.loads(pickle.dumps([Reduced(), (Reduced(),)]))
    copy.copy(Reduced())
    copy.deepcopy({"a": [Reduced()]})


def operators_by_name() -> None:
    class Target:
        def method(self, value: int) -> int:
            probe.keep(bytes(40))
            return value

        @property
        def attribute(self) -> int:
            probe.keep(bytes(40))
            return 1

    target = Target()
    operator.methodcaller("method", 1)(target)
    operator.attrgetter("attribute")(target)
    list(map(operator.attrgetter("attribute"), [target, target]))
    getattr(target, "method")(1)


def foreign_functions() -> None:
    """C calls Python back through libffi, which enters the interpreter anew each time."""
    comparison = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))

    def compare(left: Any, right: Any) -> int:
        probe.keep(bytes(40))
        return int(left[0]) - int(right[0])

    numbers = (ctypes.c_int * 4)(3, 1, 2, 0)
    ctypes.CDLL(None).qsort(numbers, 4, ctypes.sizeof(ctypes.c_int), comparison(compare))
    assert list(numbers) == [0, 1, 2, 3]


def python_and_c_in_turns() -> None:
    def down(depth: int) -> int:
        probe.keep(bytes(40))
        return max(map(down, [depth - 1, depth - 2])) if depth > 0 else 1

    down(8)


CASES: list[Case] = [
    key_functions,
    functions_over_iterables,
    regular_expressions,
    missing_keys,
    json_hooks,
    pickles_and_copies,
    operators_by_name,
    foreign_functions,
    python_and_c_in_turns,
]

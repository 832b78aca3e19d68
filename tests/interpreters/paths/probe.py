"""Where the cases hand in the objects that they allocate."""

from __future__ import annotations

import collections
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

#: File name, line (0: none) and qualified name of a frame.
Place = tuple[str, int, str]
Path = tuple[Place, ...]
Case = Callable[[], None]
#: Returns nothing of use; typed so that it may stand in an expression.
Keep = Callable[[object], Any]


def call_path(frame: FrameType | None) -> Path:
    """Return the path of a frame, most recent call first, as CPython itself tells it."""
    places: list[Place] = []
    while frame is not None:
        code = frame.f_code
        name: str = getattr(code, "co_qualname", code.co_name)
        # Typed as int, but None for an instruction that belongs to no line.
        line: int | None = frame.f_lineno
        places.append((code.co_filename, line or 0, name))
        frame = frame.f_back
    return tuple(places)


class Probe:
    """Keeps objects, and in a recording round also the call path from which each was handed in.

    Recording makes frame objects and allocates, which can hide a fault of the tracer under test. So in all
    other rounds `keep` is a bare ``list.append``: between one allocation of a case and the next no Python
    code runs but its own.
    """

    #: Keeps an object under the key "main". A new function in every round.
    keep: Keep

    def __init__(self) -> None:
        self.objects: dict[str, list[object]] = {}
        self.paths: dict[str, list[Path]] = {}
        self.discard()

    def record(self) -> None:
        """Begin a round that keeps objects and their paths."""
        self.paths = {}
        self._begin(self._recorder)

    def collect(self) -> None:
        """Begin a round that keeps objects only."""
        self._begin(lambda key: self.objects[key].append)

    def discard(self) -> None:
        """Begin a round that keeps nothing."""
        nothing: collections.deque[object] = collections.deque(maxlen=0)
        self._begin(lambda _key: nothing.append)

    def keeper(self, key: str) -> Keep:
        """Return a `keep` of its own for a thread, so that the order of threads does not matter."""
        self.objects.setdefault(key, [])
        return self._make(key)

    def _begin(self, make: Callable[[str], Keep]) -> None:
        self._make = make
        self.objects = {}
        self.keep = self.keeper("main")

    def _recorder(self, key: str) -> Keep:
        objects = self.objects[key]
        paths = self.paths.setdefault(key, [])

        def record(kept: object) -> None:
            paths.append(call_path(sys._getframe(1)))
            objects.append(kept)

        return record


probe = Probe()

"""A traced block, the path that allocated it, and one line of that path."""

from collections import abc as _abc
from functools import total_ordering

from heapsight._tracemalloc.home import public
from heapsight._tracemalloc.size import size_text

__all__ = ["Frame", "Trace", "Traceback"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any as _Any

    _Frame = tuple[str, int]


@public
@total_ordering
class Frame:
    """One line of a traceback: ``filename`` and ``lineno``. Sorts by them; ``str()`` is ``filename:lineno``."""

    __slots__ = ("_frame",)

    def __init__(self, frame: "_Frame") -> None:
        self._frame = frame

    @property
    def filename(self) -> str:
        """Name of the file."""
        return self._frame[0]

    @property
    def lineno(self) -> int:
        """Number of the line, 0 when unknown."""
        return self._frame[1]

    def __eq__(self, other: object) -> bool:
        return self._frame == other._frame if isinstance(other, Frame) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._frame < other._frame if isinstance(other, Frame) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._frame)

    def __str__(self) -> str:
        filename, lineno = self.filename, self.lineno
        return f"{filename!s}:{lineno!s}"

    def __repr__(self) -> str:
        return f"<Frame filename={self.filename!r} lineno={self.lineno!r}>"


@public
@total_ordering
class Traceback(_abc.Sequence):  # type: ignore[type-arg]
    """The frames that allocated a block, the oldest first. Made from the tracer's tuples, which have the most recent first."""

    __slots__ = ("_frames", "_total_nframe")

    def __init__(self, frames: "_abc.Sequence[_Frame]", total_nframe: "int | None" = None) -> None:
        self._frames = tuple(reversed(frames))
        self._total_nframe = total_nframe

    @property
    def total_nframe(self) -> "int | None":
        """How many frames there were before they were cut to the limit; None when nobody knows."""
        return self._total_nframe

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: "_Any") -> "_Any":
        found = self._frames[index]
        return tuple(map(Frame, found)) if isinstance(index, slice) else Frame(found)

    def __contains__(self, frame: "_Any") -> bool:
        return frame._frame in self._frames

    def __eq__(self, other: object) -> bool:
        return self._frames == other._frames if isinstance(other, Traceback) else NotImplemented

    def __lt__(self, other: object) -> bool:
        return self._frames < other._frames if isinstance(other, Traceback) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._frames)

    def __str__(self) -> str:
        return str(self[0])

    def __repr__(self) -> str:
        known = "" if self._total_nframe is None else f" total_nframe={self._total_nframe}"
        return f"<Traceback {tuple(self)!r}{known}>"

    def format(self, limit: "int | None" = None, most_recent_first: bool = False) -> "list[str]":
        """Return lines of text: file and line of each frame, and the source where it can be read.

        A positive limit keeps the most recent frames, a negative one the oldest.
        """
        import linecache

        kept = slice(None) if limit is None else slice(-limit, None) if limit > 0 else slice(limit)
        frames = list(self[kept])
        if most_recent_first:
            frames.reverse()
        lines = []
        for frame in frames:
            lines.append(f'  File "{frame.filename!s}", line {frame.lineno!s}')
            source = linecache.getline(frame.filename, frame.lineno).strip()
            if source:
                lines.append(f"    {source}")
        return lines


@public
class Trace:
    """One memory block: ``domain``, ``size`` in bytes, ``traceback``."""

    __slots__ = ("_trace",)

    def __init__(self, trace: "tuple[int, int, _Any]") -> None:
        self._trace = trace

    @property
    def domain(self) -> int:
        """Who gave the block: 0 for Python's own allocators."""
        return self._trace[0]

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._trace[1]

    @property
    def traceback(self) -> Traceback:
        """Where it was allocated."""
        return Traceback(*self._trace[2:])

    def __eq__(self, other: object) -> bool:
        return self._trace == other._trace if isinstance(other, Trace) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._trace)

    def __str__(self) -> str:
        return f"{self.traceback}: {size_text(self.size, False)}"

    def __repr__(self) -> str:
        return f"<Trace domain={self.domain!s} size={size_text(self.size, False)}, traceback={self.traceback!r}>"

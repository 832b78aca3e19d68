"""Compares the call path that a tracer gives each object with the one that CPython gives: ``sys._getframe``.

``python paths_program.py [--backend heapsight|tracemalloc] [--frames N] [CASE…]`` runs the cases of the
``paths`` package, each several times: first while the true paths are recorded, then undisturbed, and again after the
interpreter has specialised (or compiled) the code. Prints how many paths agreed; the first that do not are
shown, and the exit status is then 1. Needs the interpreter it runs on and, for that backend, an importable
heapsight; nothing else.
"""

from __future__ import annotations

import argparse
import gc
import sys
import sysconfig
import tracemalloc
from typing import Any, Protocol

import paths.interpreter
from paths import CASES
from paths.probe import Case, Path, probe

#: Undisturbed rounds after the recorded one.
ROUNDS = 3
#: Times a case runs, without a look at the outcome, to make its code hot.
WARM_UP = 60
#: Cases whose single run is long.
HEAVY = {"deep_recursion"}
#: Mismatches shown in full.
SHOWN = 5


class Backend(Protocol):
    """A tracer under test."""

    def start(self, frames: int | None) -> None:
        """Begin to trace, with that many frames of each call path, or all of them."""

    def path(self, kept: object) -> Path | None:
        """Return the path that allocated the object's memory; None if it is not known."""

    def shorten(self, path: Path) -> Path:
        """Leave of a true path what this tracer can tell."""

    def can_tell(self, kept: object) -> bool:
        """Whether this tracer finds the block of such an object."""
        return kept is not None


class Tracemalloc(Backend):
    """The standard library's tracer: at most 65,535 frames, and no function names."""

    def start(self, frames: int | None) -> None:
        """See Backend."""
        self.limit = frames or 65_535
        tracemalloc.start(self.limit)
        # Its cost grows with the depth, and 3.9 allocates at every level.
        paths.interpreter.deepest = 2_000

    def path(self, kept: object) -> Path | None:
        """See Backend."""
        traceback = tracemalloc.get_object_traceback(kept)
        if traceback is None:
            return None
        return tuple((frame.filename, frame.lineno, "") for frame in reversed(traceback))

    def shorten(self, path: Path) -> Path:
        """See Backend."""
        return tuple((filename, line, "") for filename, line, _ in path[: self.limit])

    def can_tell(self, kept: object) -> bool:
        """See Backend."""
        # 3.11's forgets that the pointer to an instance's attributes is stored in front of it.
        return sys.version_info[:2] != (3, 11) or not hasattr(kept, "__dict__")


class Heapsight(Backend):
    """The tracer of this repository."""

    def start(self, frames: int | None) -> None:
        """See Backend."""
        import heapsight
        from heapsight import _testing

        self.heapsight: Any = heapsight
        self.module: Any = _testing
        self.limit = frames
        if hasattr(sys, "gettotalrefcount") or sysconfig.get_config_var("Py_GIL_DISABLED"):
            # Frames of debug and free-threaded builds are not marked: each allocation walks the whole stack.
            paths.interpreter.deepest = 5_000
        heapsight.set_traceback_limit(frames)
        heapsight.enable()

    def path(self, kept: object) -> Path | None:
        """See Backend."""
        trace = self.module.trace_of_address(self.heapsight.get_object_address(kept))
        if trace is None:
            return None
        size, frames = trace
        if isinstance(kept, bytes):
            # Of no other type is the size of the block what getsizeof() says, in all versions.
            assert size == sys.getsizeof(kept), f"{size} bytes for {kept!r}"
        return tuple(frames)

    def shorten(self, path: Path) -> Path:
        """See Backend."""
        return path[: self.limit]


BACKENDS: dict[str, type[Backend]] = {"heapsight": Heapsight, "tracemalloc": Tracemalloc}


def explain(expected: Path, actual: Path | None) -> str:
    """Show two paths around the first place where they differ."""
    if actual is None:
        return "  the tracer does not know the object"
    common = 0
    while common < min(len(expected), len(actual)) and expected[common] == actual[common]:
        common += 1
    first = max(0, common - 2)
    text = [f"  {len(expected)} frames expected, {len(actual)} found; they differ from frame {common} on"]
    for title, path in (("expected", expected), ("found", actual)):
        text += [f"  {title}:"]
        text += [f"    #{first + index} {place}" for index, place in enumerate(path[first : first + 6])]
    return "\n".join(text)


class Comparison:
    """Runs cases and counts what agrees."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.agreed = 0
        self.failures: list[str] = []

    def run(self, case: Case) -> None:
        """Run one case in all its rounds, every time from the same line."""
        rounds = ["record", "collect", "collect"]
        if case.__name__ not in HEAVY:
            rounds += ["discard"] * WARM_UP + ["record"] + ["collect"] * ROUNDS
        for number, kind in enumerate(rounds):
            getattr(probe, kind)()
            case()
            self._compare(f"{case.__name__}, round {number} ({kind})")
        if not any(probe.paths.values()):
            self.failures.append(f"{case.__name__} handed in no object")
        probe.discard()

    def _compare(self, label: str) -> None:
        """Compare the objects of one round, if it kept any."""
        for key, objects in probe.objects.items():
            expected = probe.paths.get(key, [])
            if objects and len(objects) != len(expected):
                self.failures.append(f"{label}, {key}: {len(expected)} objects expected, {len(objects)} kept")
            for index, (kept, path) in enumerate(zip(objects, expected)):
                if not self.backend.can_tell(kept):
                    continue
                wanted, found = self.backend.shorten(path), self.backend.path(kept)
                if wanted == found:
                    self.agreed += 1
                else:
                    self.failures.append(f"{label}, {key} object {index}:\n{explain(wanted, found)}")


def main() -> int:
    """Run the cases asked for; return the exit status."""
    parser = argparse.ArgumentParser(description="compare a tracer's call paths with sys._getframe")
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="heapsight")
    parser.add_argument("--frames", type=int, help="most recent frames to trace (default: all)")
    parser.add_argument("cases", nargs="*", metavar="CASE", help="names of cases (default: all)")
    options = parser.parse_args()
    by_name = {case.__name__: case for case in CASES}
    unknown = [name for name in options.cases if name not in by_name]
    if unknown:
        parser.error(f"no case named {', '.join(unknown)}: choose from {', '.join(by_name)}")

    # Collections happen where a case asks for one, and so at the same place in every round.
    gc.disable()
    sys.dont_write_bytecode = True
    comparison = Comparison(BACKENDS[options.backend]())
    comparison.backend.start(options.frames)
    chosen = [by_name[name] for name in options.cases] or CASES
    for case in chosen:
        comparison.run(case)

    for failure in comparison.failures[:SHOWN]:
        sys.stderr.write(f"{failure}\n")
    version = ".".join(map(str, sys.version_info[:3]))
    sys.stdout.write(
        f"{options.backend} on {version}: {comparison.agreed} paths of {len(chosen)} cases agree, "
        f"{len(comparison.failures)} do not\n"
    )
    return 1 if comparison.failures else 0


if __name__ == "__main__":
    sys.exit(main())
